"""Learning rates of the published recipes, worked out as each source's own scheduler does; nothing of ours is used.

The numbers are published.csv's, the ways are read from the sources. `points` gives a few steps of a recipe with their
rates. Our training counts positions and drops nothing, so that an epoch has examples / batch_size steps, a fraction
included; most sources round that down or up. A step is therefore taken for the same fraction of an epoch there, and
`slack` says by how much the rate may differ: by what it changes within two steps, which covers the rounding, warm-ups
that reach the peak at their last step instead of after it, and Swin's scheduler, a step late. Where a source counts
steps (Model Garden, big_vision), the step is the same. Points lie in the middle of an epoch or of a stair, where it
does not matter on which side of a border a step falls.

DeiT's main.py tells timm's scheduler of an epoch when that epoch is over, so that every rate comes an epoch late and
the first, 1e-6, lasts two epochs. The curve here is the scheduler's own, in time.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

IMAGENET = 1_281_167
"""Training examples of ImageNet-1k."""


@dataclass(frozen=True)
class Run:
    """A line of published.csv on so many examples. Rates act at its batch size; every and milestones are epochs.

    points: (epoch, rate) of a broken line. warmup_start and final are rates; steps and warmup_steps are 0 where the
    source counts epochs.
    """

    origin: str
    schedule: str
    examples: int
    batch_size: int
    epochs: float
    steps: int
    peak: float
    warmup_epochs: float
    warmup_steps: int
    warmup_start: float
    final: float
    every: float
    factor: float
    milestones: tuple[float, ...]
    points: tuple[tuple[float, float], ...]

    @property
    def steps_per_epoch(self) -> float:
        return self.examples / self.batch_size

    @property
    def whole_steps(self) -> int:
        """Steps of an epoch that drops what does not fill a batch."""
        return self.examples // self.batch_size

    @property
    def last_step(self) -> int:
        return (self.steps or math.floor(self.epochs * self.steps_per_epoch)) - 1

    def epoch(self, step: float) -> float:
        """Passes over the examples before a step."""
        return step / self.steps_per_epoch


Way = Callable[[Run, float], float]


def published() -> dict[str, dict[str, str]]:
    """Lines of published.csv by recipe."""
    with Path(__file__).with_name("published.csv").open(newline="", encoding="utf-8") as file:
        return {line["recipe"]: line for line in csv.DictReader(file)}


def points(recipe: str, examples: int = IMAGENET) -> list[tuple[int, float]]:
    """(step, rate) at the start, in the middle of the warm-up, at its end, at about a quarter, a half and three
    quarters of the run, and at its last step."""
    run = _run(published()[recipe], examples)
    return [(step, WAYS[run.origin](run, step)) for step in _moments(run)]


def slack(recipe: str, step: int, examples: int = IMAGENET) -> float:
    """How far a rate may lie from that of `points`: the curve's change within two steps, and 1e-9 of the peak."""
    run = _run(published()[recipe], examples)
    rate = WAYS[run.origin]
    near = (min(max(step + away, 0), run.last_step) for away in (-2, -1, 1, 2))
    return max(abs(rate(run, other) - rate(run, step)) for other in near) + 1e-9 * run.peak


def torchvision(run: Run, step: float) -> float:
    """references/classification/train.py: StepLR, or SequentialLR of LinearLR and CosineAnnealingLR, once an epoch."""
    epoch = int(run.epoch(step))
    if run.every:
        return run.peak * run.factor ** (epoch // run.every)
    if epoch < run.warmup_epochs:
        return _line(run.warmup_start, run.peak, epoch / run.warmup_epochs)
    return _cosine(run.peak, run.final, (epoch - run.warmup_epochs) / (run.epochs - run.warmup_epochs))


def deit(run: Run, step: float) -> float:
    """timm's CosineLRScheduler without warmup_prefix, once an epoch: the cosine runs under the warm-up."""
    epoch = int(run.epoch(step))
    if epoch < run.warmup_epochs:
        return _line(run.warmup_start, run.peak, epoch / run.warmup_epochs)
    return _cosine(run.peak, run.final, epoch / run.epochs)


def convnext(run: Run, step: float) -> float:
    """utils.cosine_scheduler: a list for each of floor(examples / batch) steps; the warm-up's last step has the peak."""
    at, warmup = run.epoch(step) * run.whole_steps, run.warmup_epochs * run.whole_steps
    if at < warmup:
        return _line(run.warmup_start, run.peak, min(at / (warmup - 1), 1.0))
    return _cosine(run.peak, run.final, (at - warmup) / (run.epochs * run.whole_steps - warmup))


def swin(run: Run, step: float) -> float:
    """timm's CosineLRScheduler with warmup_prefix, each of floor(examples / batch) steps."""
    at, warmup = run.epoch(step) * run.whole_steps, int(run.warmup_epochs * run.whole_steps)
    if at < warmup:
        return _line(run.warmup_start, run.peak, at / warmup)
    return _cosine(run.peak, run.final, (at - warmup) / (run.epochs * run.whole_steps - warmup))


def big_vision(run: Run, step: float) -> float:
    """utils.create_learning_rate_schedule: round(epochs * examples / batch) steps; what follows the warm-up times it.

    There 99 % of ImageNet's examples make an epoch; here all that are given.
    """
    total = round(run.epochs * run.steps_per_epoch)
    progress = min(max((step - run.warmup_steps) / (total - run.warmup_steps), 0.0), 1.0)
    rate = _line(run.peak, run.final, progress) if run.schedule == "linear" else _cosine(run.peak, run.final, progress)
    return rate * min(1.0, step / run.warmup_steps)


def model_garden(run: Run, step: float) -> float:
    """optimization.LinearWarmup over a schedule that runs from step 0, up to its value at the warm-up's end.

    Everything is in steps, floor(examples / batch) = 312 an epoch.
    """

    def after(step: float) -> float:
        if run.schedule == "cosine":
            return _cosine(run.peak, run.final, step / run.steps)
        if run.schedule == "exponential":
            return run.peak * run.factor ** (step // (run.every * run.whole_steps))
        return run.peak * run.factor ** sum(step > epoch * run.whole_steps for epoch in run.milestones)

    if step < run.warmup_steps:
        return after(run.warmup_steps) * step / run.warmup_steps
    return after(step)


def tpu(run: Run, step: float) -> float:
    """build_learning_rate of EfficientNet, MNASNet and EfficientNetV2: stairs from step 0, the warm-up to the peak before them.

    An epoch has examples / batch steps, not rounded; the warm-up is rounded down.
    """
    warmup = int(run.warmup_epochs * run.steps_per_epoch)
    if step < warmup:
        return run.peak * step / warmup
    return run.peak * run.factor ** math.floor(step / (run.every * run.steps_per_epoch))


def ffcv(run: Run, step: float) -> float:
    """train_imagenet.py: np.interp over epochs, and over an epoch's steps between its two ends."""

    def at(epoch: int) -> float:
        for (left, first), (right, second) in zip(run.points, run.points[1:], strict=False):
            if left <= epoch <= right:
                return _line(first, second, (epoch - left) / (right - left))
        raise ValueError(f"epoch {epoch} lies outside the run")

    epoch = int(run.epoch(step))
    return _line(at(epoch), at(epoch + 1), run.epoch(step) - epoch)


def pycls(run: Run, step: float) -> float:
    """core/optimizer.py: a cosine over all epochs, once an epoch, times the warm-up's share."""
    epoch = int(run.epoch(step))
    rate = _cosine(run.peak, run.final, epoch / run.epochs)
    if epoch < run.warmup_epochs:
        rate *= _line(run.warmup_start / run.peak, 1.0, epoch / run.warmup_epochs)
    return rate


def nvidia(run: Run, step: float) -> float:
    """lr_cosine_policy, once an epoch: the warm-up counts epochs from 1."""
    epoch = int(run.epoch(step))
    if epoch < run.warmup_epochs:
        return run.peak * (epoch + 1) / run.warmup_epochs
    return _cosine(run.peak, run.final, (epoch - run.warmup_epochs) / (run.epochs - run.warmup_epochs))


def mmpretrain(run: Run, step: float) -> float:
    """LinearLR each of ceil(examples / batch) steps, whose last has the peak, then CosineAnnealingLR once an epoch."""
    steps = math.ceil(run.steps_per_epoch)
    at, warmup = run.epoch(step) * steps, run.warmup_epochs * steps
    if at < warmup:
        return _line(run.warmup_start, run.peak, min(at / (warmup - 1), 1.0))
    return _cosine(run.peak, run.final, (int(run.epoch(step)) - run.warmup_epochs) / (run.epochs - run.warmup_epochs))


WAYS: dict[str, Way] = {
    "torchvision": torchvision,
    "ffcv": ffcv,
    "big_vision": big_vision,
    "deit": deit,
    "deit3": deit,
    "convnext": convnext,
    "swin": swin,
    "pycls": pycls,
    "tpu": tpu,
    "automl": tpu,
    "tfgarden": model_garden,
    "nvidia": nvidia,
    "mmpretrain": mmpretrain,
}


def _line(first: float, last: float, progress: float) -> float:
    return first + (last - first) * progress


def _cosine(first: float, last: float, progress: float) -> float:
    return last + (first - last) * (1 + math.cos(math.pi * progress)) / 2


def _run(line: dict[str, str], examples: int) -> Run:
    def number(column: str) -> float:
        return float(line[column] or 0)

    peak = number("learning_rate")
    knots = [knot.split(":") for knot in line["points"].split()]
    return Run(
        origin=line["recipe"].split("/")[1],
        schedule=line["schedule"],
        examples=examples,
        batch_size=int(line["batch_size"]),
        epochs=number("epochs"),
        steps=int(number("steps")),
        peak=peak,
        warmup_epochs=number("warmup_epochs"),
        warmup_steps=int(number("warmup_steps")),
        warmup_start=number("warmup_from_rate") or number("warmup_from") * peak,
        final=number("final_rate"),
        every=number("every"),
        factor=number("factor"),
        milestones=tuple(map(float, line["milestones"].split())),
        points=tuple((float(epoch), float(share) * peak) for epoch, share in knots),
    )


def _moments(run: Run) -> list[int]:
    """Steps to look at: the end of the warm-up from both sides, a little before and in the next flat piece."""
    rising = run.points[1][0] if run.points else run.warmup_epochs
    warmup = run.warmup_steps or rising * run.steps_per_epoch
    piece = run.every * (run.whole_steps if run.steps else run.steps_per_epoch) or run.steps_per_epoch

    def middle(step: float) -> int:
        return int((step // piece + 0.5) * piece)

    after = [middle(share * run.last_step) for share in (1 / 4, 1 / 2, 3 / 4)]
    if not warmup:
        return [0, *after, run.last_step]
    halfway = int((run.epoch(warmup) // 2 + 0.5) * run.steps_per_epoch)
    return [0, halfway, int(warmup) - 4, middle(warmup + run.steps_per_epoch / 2), *after, run.last_step]
