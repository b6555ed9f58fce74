"""A contact sheet: images as the network gets them, each with what it is labelled."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from keras_imagenet import files
from keras_imagenet.data import order
from keras_imagenet.data.sources import Splits
from keras_imagenet.data.sources.source import subset
from keras_imagenet.errors import SettingsError, writing_output
from keras_imagenet.preset import Preset
from keras_imagenet.settings import Settings

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = 8
LEAST_COLUMNS = 4
"""As wide as the title."""


def draw_first_batch(
    settings: Settings, preset: Preset, splits: Splits, file: Path, *, threads: int, most: int = 32
) -> None:
    """Draws the first images of the first training batch, or of the validation split where there is no other.

    They are drawn as they are before lighting, erasing and mixing, and for one device, since batches are the same on any number;
    of a run without an epoch some training images as evaluation crops them, which is all it sees. Raises SettingsError if the
    file cannot be written.
    """
    import tensorflow as tf

    from keras_imagenet.data import pipeline

    def silent(name: str, reason: str) -> None:
        """The summary names what is unreadable."""

    strategy = tf.distribute.OneDeviceStrategy("/cpu:0")
    rows = {"batch_size": settings.train.batch_size, "threads": threads, "report": silent}
    train = settings.train
    if splits.train is not None and train.epochs != 0:
        drawing = {"seed": settings.runtime.seed, "repeats": train.repeats, "balance": train.balance}
        augment = settings.augment.model_copy(update={"mixing": None, "random_erasing": None, "lighting": 0.0})
        batches = pipeline.training_stream(splits.train, preset, augment, strategy, **drawing, **rows)
    elif splits.train is not None:
        drawn = order.examples(np.arange(min(len(splits.train), most)), len(splits.train), settings.runtime.seed)[1]
        rows["batch_size"] = len(drawn)
        batches = pipeline.evaluation_stream(subset(splits.train, drawn), preset.evaluation, strategy, **rows)
    else:
        batches = pipeline.evaluation_stream(splits.validation, preset.evaluation, strategy, **rows)
    parts = {name: value.numpy() for name, value in next(batches).items()}
    readable = np.flatnonzero(parts["weights"])[:most]
    captions = [splits.class_names[label] for label in parts["labels"][readable]]
    title = f"{settings.data.source.name}, {'training' if splits.train is not None else 'validation'}: batch 0"
    with writing_output(file):
        draw_sheet(parts["images"][readable], captions, title, file)


def require_drawable(file: Path) -> None:
    """Raises SettingsError where a picture's ending is none that can be drawn."""
    from matplotlib.figure import Figure

    known, ending = Figure().canvas.get_supported_filetypes(), file.suffix[1:].lower()
    if ending and ending not in known:
        raise SettingsError(f"--output {file}: no picture ends in .{ending}; give .png, .svg or .pdf")


def draw_sheet(images: np.ndarray, captions: Sequence[str], title: str, file: Path) -> None:
    """Writes the sheet as PNG, SVG or PDF by the file's ending; PNG without."""
    with files.appearing(file) as stream:
        sheet(images, captions, title).savefig(stream, format=file.suffix[1:] or "png", dpi=150)


def sheet(images: np.ndarray, captions: Sequence[str], title: str) -> Figure:
    """Images, uint8 or float 0-255 [n, height, width, 1 or 3], with a caption each, of which a line is at most 24 characters."""
    from matplotlib.figure import Figure

    columns = min(max(len(images), LEAST_COLUMNS), COLUMNS)
    rows = -(-len(images) // columns)
    lines = max(caption.count("\n") for caption in captions)
    figure = Figure(figsize=(1.6 * columns, (1.85 + 0.1 * lines) * rows + 0.5), layout="constrained")
    figure.suptitle(title, fontsize=10, parse_math=False)
    axes = figure.subplots(rows, columns, squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    pixels = np.clip(np.rint(images), 0, 255).astype(np.uint8)
    for axis, image, caption in zip(axes.flat, pixels, captions, strict=False):
        grey = image.shape[2] == 1
        axis.imshow(image[..., 0] if grey else image, cmap="gray" if grey else None, vmin=0, vmax=255)
        cut = (line if len(line) <= 24 else f"{line[:23]}…" for line in caption.split("\n"))
        # Without y, Matplotlib looks for labels above the axis, which is off, and takes a third of the time for it.
        axis.set_title("\n".join(cut), y=1.0, fontsize=6, parse_math=False)
    return figure
