"""Draws docs/pictures/schedules.png: the learning rate of each schedule over 30 epochs, and of each relation to a warm-up.

    python tools/draw_schedules.py

Each title is the recipe's line that gives the curve. With matplotlib 3.11.
"""

from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import yaml
from PIL import Image
from pydantic import TypeAdapter

from keras_imagenet.settings.schedule import ScheduleSettings
from keras_imagenet.training import schedules

PICTURE = Path(__file__).resolve().parent.parent / "docs" / "pictures" / "schedules.png"
EPOCHS, STEPS = 30, 50
CURVES = (
    "name: constant, warmup_epochs: 5",
    "name: step, milestones: [10, 20]",
    "name: step, every: 6, factor: 0.5",
    "name: exponential, factor: 0.9",
    "name: exponential, factor: 0.8, every: 2.4, staircase: true",
    "name: cosine, warmup_epochs: 5",
    "name: cosine, final_factor: 0.1, by: epoch",
    "name: cosine, restarts: 10",
    "name: linear, warmup_epochs: 5",
    "name: polynomial, power: 3",
    "name: one_cycle",
    "name: points, points: [[0, 0.1], [5, 1], [30, 0]]",
    "name: cosine, warmup_epochs: 9, warmup: before",
    "name: cosine, warmup_epochs: 9, warmup: over",
    "name: cosine, warmup_epochs: 9, warmup: joins",
    "name: cosine, warmup_epochs: 9, warmup: multiplies",
    "name: cosine, warmup_epochs: 5, warmup_from: 0.2, warmup_by: epoch",
    "name: plateau, factor: 0.3, patience: 2",
)
LOSSES = [max(2 - 0.2 * epoch, 0.9) if epoch < 14 else max(1.8 - 0.07 * epoch, 0.6) for epoch in range(EPOCHS)]
"""Of validation, for the plateau: it stops falling after epoch 7, falls from 14 on, and stops after 18."""


def main() -> None:
    """Six rows of three curves."""
    figure, axes = plt.subplots(6, 3, figsize=(11, 10), sharex=True, sharey=True, layout="constrained")
    for line, axis in zip(CURVES, axes.flat, strict=True):
        settings = TypeAdapter(ScheduleSettings).validate_python(yaml.safe_load(f"{{{line}}}"))
        rate = schedules.build(settings, 1.0, batch_size=1, steps_per_epoch=STEPS, total_steps=EPOCHS * STEPS)
        steps = range(EPOCHS * STEPS)
        axis.plot(
            [step / STEPS for step in steps], [rate(step, LOSSES[: step // STEPS]) for step in steps], linewidth=1.2
        )
        axis.set_title(line, fontsize=7, family="monospace")
        axis.tick_params(labelsize=7)
        axis.spines[["top", "right"]].set_visible(False)
    figure.supxlabel("epoch", fontsize=8)
    figure.supylabel("share of the peak rate", fontsize=8)
    figure.savefig(PICTURE, dpi=75)
    Image.open(PICTURE).convert("RGB").quantize(12).save(PICTURE, optimize=True)


if __name__ == "__main__":
    main()
