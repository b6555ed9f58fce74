"""What a run shows while it trains: progress on a terminal or in a pipe, TensorBoard. Keras callbacks all."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from keras_imagenet.console import Console as Output
from keras_imagenet.training.guards import require_finite

SECONDS_BETWEEN_LINES = 30
SECONDS_BETWEEN_REDRAWS = 0.5


@dataclass
class Meter:
    """What happened between two readings of a trainer, for one monitor. Reading waits for the device."""

    step: int
    sums: np.ndarray
    time: float
    waiting: float

    @classmethod
    def start(cls, trainer: keras.Model) -> "Meter":
        """A meter that counts from now."""
        return cls(trainer.step_number, trainer.sums.numpy(), time.perf_counter(), trainer.seconds_waiting)

    def read(self, trainer: keras.Model) -> dict[str, float]:
        """Means and rates since the last reading (or the epoch's start), by TensorBoard tag; then count anew.

        loss in nats, top1 and top5 as shares, images_per_second, data_wait as the share of time spent waiting for data.
        Raises TrainingStopped where the loss is not finite.
        """
        now = Meter.start(trainer)
        sums = now.sums - self.sums
        require_finite(sums, self.step, now.step)
        seconds, examples = max(now.time - self.time, 1e-9), max(sums[3], 1.0)
        values = {
            "loss": sums[0] / examples,
            "top1": sums[1] / examples,
            "top5": sums[2] / examples,
            "images_per_second": sums[3] / seconds,
            "data_wait": min((now.waiting - self.waiting) / seconds, 1.0),
        }
        self.step, self.sums, self.time, self.waiting = now.step, now.sums, now.time, now.waiting
        return values


class TensorBoard(keras.callbacks.Callback):
    """Event files: train/ with a point every `every` steps, validation/ with one an epoch; the step is the optimizer's.

    Tags: loss, top1, top5, learning_rate, images_per_second, data_wait; images as the network sees them; in validation/
    also the confusion matrix as an image.
    """

    def __init__(self, folder: Path, every: int) -> None:
        super().__init__()
        self.every = every
        self.training = tf.summary.create_file_writer(str(folder / "train"))
        self.validation = tf.summary.create_file_writer(str(folder / "validation"))

    def on_train_begin(self, logs: Mapping | None = None) -> None:
        """Start counting."""
        self.meter = Meter.start(self.model)
        self.images_shown = False

    def on_train_batch_end(self, batch: int, logs: Mapping | None = None) -> None:
        """The first images, as the network gets them; a point of every training curve, each `every` steps."""
        if not self.images_shown:
            with self.training.as_default(step=batch):
                tf.summary.image("images", tf.cast(self.model.first_images, tf.uint8), max_outputs=16)
            self.images_shown = True
        if (batch + 1) % self.every == 0:
            self._write(
                self.training, {**self.meter.read(self.model), "learning_rate": self.model.schedule(batch)}, batch + 1
            )

    def on_epoch_end(self, epoch: int, logs: Mapping | None = None) -> None:
        """Validation's scalars and confusion matrix."""
        step, logs = self.model.step_number, logs or {}
        scalars = {tag: logs[f"validation_{tag}"] for tag in ("loss", "top1", "top5") if f"validation_{tag}" in logs}
        self._write(self.validation, scalars, step)
        if (confusion := logs.get("confusion")) is not None:
            with self.validation.as_default(step=step):
                tf.summary.image("confusion_matrix", confusion_image(confusion))
        # Validation's seconds belong to no training step.
        self.meter = Meter.start(self.model)
        self.training.flush()
        self.validation.flush()

    def on_train_end(self, logs: Mapping | None = None) -> None:
        """Close the files."""
        self.training.close()
        self.validation.close()

    @staticmethod
    def _write(writer: tf.summary.SummaryWriter, scalars: Mapping[str, float], step: int) -> None:
        with writer.as_default(step=step):
            for tag, value in scalars.items():
                tf.summary.scalar(tag, value)


class ProgressLines(keras.callbacks.Callback):
    """Plain lines for a pipe or a log: one at least every 30 seconds, and one an epoch."""

    def __init__(self, output: Output, total_steps: int) -> None:
        super().__init__()
        self.output = output
        self.total_steps = total_steps

    def on_train_begin(self, logs: Mapping | None = None) -> None:
        """Start counting."""
        self.meter, self.clock = Meter.start(self.model), TimeLeft(self.model.step_number, self.total_steps)

    def on_train_batch_end(self, batch: int, logs: Mapping | None = None) -> None:
        """A line when the last is old."""
        if time.perf_counter() - self.meter.time >= SECONDS_BETWEEN_LINES:
            values = self.meter.read(self.model)
            self.output.say(
                f"step {batch + 1}/{self.total_steps}: {describe(values)}, {self.clock.left(batch + 1)} left"
            )

    def on_epoch_end(self, epoch: int, logs: Mapping | None = None) -> None:
        """The epoch's line."""
        self.output.say(epoch_line(epoch, logs or {}))
        self.meter = Meter.start(self.model)


class ProgressBar(keras.callbacks.Callback):
    """A bar that is redrawn on a terminal, with a line an epoch above it."""

    def __init__(self, output: Output, total_steps: int) -> None:
        super().__init__()
        self.output = output
        self.total_steps = total_steps

    def on_train_begin(self, logs: Mapping | None = None) -> None:
        """Draw the bar."""
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[values]}"))
        self.bar = Progress(*columns, console=Console(file=self.output.stream), transient=True, auto_refresh=False)
        self.task = self.bar.add_task("starting", total=self.total_steps, completed=self.model.step_number, values="")
        self.bar.start()
        self.meter, self.clock = Meter.start(self.model), TimeLeft(self.model.step_number, self.total_steps)

    def on_train_batch_end(self, batch: int, logs: Mapping | None = None) -> None:
        """Redraw when the last drawing is old."""
        if time.perf_counter() - self.meter.time >= SECONDS_BETWEEN_REDRAWS:
            values = describe(self.meter.read(self.model)) + f", {self.clock.left(batch + 1)} left"
            self.bar.update(
                self.task, completed=batch + 1, description=f"step {batch + 1}/{self.total_steps}", values=values
            )
            self.bar.refresh()

    def on_epoch_end(self, epoch: int, logs: Mapping | None = None) -> None:
        """The epoch's line, above the bar."""
        line = epoch_line(epoch, logs or {})
        self.bar.print(line, highlight=False, soft_wrap=True)
        self.output.log(line)
        self.meter = Meter.start(self.model)

    def on_train_end(self, logs: Mapping | None = None) -> None:
        """Take the bar away."""
        self.bar.stop()


class TimeLeft:
    """How long the rest of a run takes at the pace since its start in this process."""

    def __init__(self, first_step: int, total_steps: int) -> None:
        self.first_step, self.total_steps, self.start = first_step, total_steps, time.perf_counter()

    def left(self, step: int) -> str:
        """Time left after `step` steps, as 1:02:03."""
        seconds = (time.perf_counter() - self.start) / max(step - self.first_step, 1) * (self.total_steps - step)
        return duration(seconds)


def progress(output: Output, total_steps: int) -> keras.callbacks.Callback:
    """The display that fits where the output goes."""
    return (ProgressBar if output.live else ProgressLines)(output, total_steps)


def describe(values: Mapping[str, float]) -> str:
    """A reading in words."""
    return (
        f"loss {values['loss']:.4f}, top-1 {values['top1']:.4f}, {values['images_per_second']:.0f} images/s, "
        f"{values['data_wait']:.0%} waiting for data"
    )


def epoch_line(epoch: int, logs: Mapping[str, float]) -> str:
    """An epoch's row in words."""
    line = f"epoch {epoch + 1}: loss {logs['loss']:.4f}, top-1 {logs['top1']:.4f}"
    if "validation_top1" in logs:
        line += f"; validation loss {logs['validation_loss']:.4f}, top-1 {logs['validation_top1']:.4f}"
    return f"{line} ({logs['images_per_second']:.0f} images/s, {duration(logs['seconds'])})"


def duration(seconds: float) -> str:
    """Seconds as 1:02:03, or 2:03 below an hour."""
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"


def confusion_image(confusion: np.ndarray) -> np.ndarray:
    """A confusion matrix [label, prediction] as an image uint8 [1, side, side, 1]: each row's shares, white for none."""
    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    cell = max(1, 320 // len(confusion))
    return np.kron(255 - np.round(shares * 255), np.ones((cell, cell))).astype(np.uint8)[None, :, :, None]
