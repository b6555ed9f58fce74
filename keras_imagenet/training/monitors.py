"""What a run shows while it trains: progress on a terminal or in a pipe, TensorBoard, and the user's Keras callbacks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import tensorflow as tf

from keras_imagenet import report
from keras_imagenet.console import Console
from keras_imagenet.labels import ClassList
from keras_imagenet.training.guards import require_finite
from keras_imagenet.training.norms import Norms, by_tag
from keras_imagenet.training.state import Row, State, first_copy

if TYPE_CHECKING:
    from rich.console import RenderableType

SECONDS_BETWEEN_LINES = 30
SECONDS_BETWEEN_READINGS = 0.5
SECONDS_BETWEEN_PICTURES = 60
"""Of the confusion matrix, since to draw one takes up to a few seconds."""


@dataclass
class View:
    """A run under way, as monitors see it.

    schedule: the rate by step. epochs: how many the run has. summary_steps: steps between two points of a curve. norms: what
    the steps note at which there is one, if they do. waiting: seconds in which the processor waited for data;
    waits_since: since when it does, by time.perf_counter. first_images: pixels 0-255 of the first batch
    [16, height, width, channels]. compiled: whether this process has made a step. epoch_end: the step after which the epoch
    under way is over.
    """

    state: State
    schedule: Callable[[int], float]
    total_steps: int
    epochs: int
    summary_steps: int
    norms: Norms | None = None
    waiting: float = 0.0
    waits_since: float | None = None
    first_images: tf.Tensor | None = None
    compiled: bool = False
    epoch_end: int = 0

    def due(self, step: int) -> bool:
        """Whether curves have a point after so many steps: every `summary_steps`, and at each epoch's end."""
        return step % self.summary_steps == 0 or step == self.epoch_end

    def fetch(self, batches: Iterator[Any]) -> Any:
        """The next batch, waited for."""
        start = self.waits_since = time.perf_counter()
        batch = next(batches)
        self.waiting, self.waits_since = self.waiting + time.perf_counter() - start, None
        if self.first_images is None:
            self.first_images = tf.nest.flatten(batch["images"], expand_composites=True)[0][:16]  # the first replica's
        return batch


class Monitor(Protocol):
    """Somebody who watches a run. `step` and `end_epoch` answer whether the run is to end here."""

    def begin(self, view: View) -> None:
        """Before the first step of this process."""

    def begin_epoch(self, epoch: int) -> None:
        """Before an epoch's first step; epoch counts from 1."""

    def step(self) -> bool:
        """After a step."""

    def doing(self, what: str) -> None:
        """Between steps: 'validating' or 'saving' begins."""

    def end_epoch(self, row: Row, confusion: np.ndarray | None) -> bool:
        """After an epoch's validation: its row, and the confusion matrix int64 [label, prediction] where there is one.

        Epoch 0, which nothing begins, is what the network was before its first step, where its head was solved.
        """

    def end(self) -> None:
        """Whichever way the run ends."""


class Meter:
    """Means and rates between two readings, for one monitor. Reading waits for the device."""

    def __init__(self, view: View) -> None:
        self.view = view
        self.restart()

    def restart(self) -> None:
        """Count from now."""
        self.step, self.sums = self.view.state.step, first_copy(self.view.state.sums)
        self.start_clock()

    def start_clock(self) -> None:
        """Measure rates from now, for what came before compiled; means go on."""
        self.untimed, self.waiting = first_copy(self.view.state.sums)[3], self.view.waiting
        self.time = time.perf_counter()

    def age(self) -> float:
        """Seconds since the clock was started."""
        return time.perf_counter() - self.time

    def read(self) -> dict[str, float]:
        """By TensorBoard tag, since the last reading; then count anew.

        loss in nats, top1 and top5 as shares, images_per_second, data_wait as the share of time spent waiting for data.
        Raises TrainingStopped where the loss is not finite.
        """
        step, before, untimed, waiting, start = self.step, self.sums, self.untimed, self.waiting, self.time
        self.restart()
        sums, seconds = self.sums - before, max(self.time - start, 1e-9)
        require_finite(sums, step, self.step)
        examples = max(sums[3], 1.0)
        return {
            "loss": sums[0] / examples,
            "top1": sums[1] / examples,
            "top5": sums[2] / examples,
            "images_per_second": (self.sums[3] - untimed) / seconds,
            "data_wait": min((self.waiting - waiting) / seconds, 1.0),
        }


class TensorBoard:
    """Event files: train/ with a point wherever the view has one due, validation/ with one an epoch; the step is the
    optimizer's.

    Tags: loss, top1, top5 (of more than five classes), learning_rate, images_per_second, data_wait; norms where they are
    noted, of that step alone; images as the network sees them; in validation/ also the confusion matrix of these classes as
    an image, once a minute and at the end.
    """

    def __init__(self, folder: Path, classes: ClassList) -> None:
        self.classes = classes
        self.left_out = () if len(classes.names) > 5 else ("top5",)
        self.folders = [folder / part for part in ("train", "validation")]
        self.confusion: tuple[int, np.ndarray] | None = None

    def begin(self, view: View) -> None:
        """Start counting, and take back what a process wrote that was killed after its last checkpoint."""
        self.view, self.meter, self.began, self.drawn_at = view, Meter(view), view.state.step, time.perf_counter()
        for folder in self.folders:
            _take_back(folder, view.state)
        self.training, self.validation = (tf.summary.create_file_writer(str(folder)) for folder in self.folders)

    def begin_epoch(self, epoch: int) -> None:
        """The sums start anew, and validation's seconds belong to no training step."""
        self.meter.restart()

    def step(self) -> bool:
        """The first images, as the network gets them; a point of every training curve, where one is due."""
        step = self.view.state.step
        if step == self.began + 1:
            self.meter.start_clock()
        if step == 1:
            with self.training.as_default(step=0):
                tf.summary.image("images", tf.cast(self.view.first_images, tf.uint8), max_outputs=16)
        if self.view.due(step):
            scalars, norms = self.meter.read() | {"learning_rate": self.view.schedule(step - 1)}, self.view.norms
            if norms is not None:
                scalars |= by_tag(norms.parts, first_copy(norms.squares))
            self._write(self.training, scalars, step)
        return False

    def doing(self, what: str) -> None:
        """Nothing: curves show steps."""

    def end_epoch(self, row: Row, confusion: np.ndarray | None) -> bool:
        """Validation's scalars, those of the average and of further sets beside them, and the confusion matrix."""
        measured = {tag: value for tag, value in row.items() if tag.endswith(("_loss", "_top1", "_top5"))}
        scalars = {tag.removeprefix("validation_"): value for tag, value in measured.items()}
        self._write(self.validation, scalars, row["step"])
        if confusion is not None:
            self.confusion = row["step"], confusion
            if time.perf_counter() - self.drawn_at >= SECONDS_BETWEEN_PICTURES:
                self._draw_confusion()
        self.training.flush()
        self.validation.flush()
        return False

    def end(self) -> None:
        """Draw the last confusion matrix and close the files."""
        self._draw_confusion()
        self.training.close()
        self.validation.close()

    def _draw_confusion(self) -> None:
        if self.confusion is not None:
            step, matrix = self.confusion
            picture = tf.io.decode_png(report.confusion(self.classes, matrix), channels=3)
            with self.validation.as_default(step=step):
                tf.summary.image("confusion_matrix", picture[tf.newaxis])
            self.confusion, self.drawn_at = None, time.perf_counter()

    def _write(self, writer: tf.summary.SummaryWriter, scalars: Mapping[str, float], step: int) -> None:
        with writer.as_default(step=step):
            for tag, value in scalars.items():
                if tag.rpartition("_")[2] not in self.left_out:
                    tf.summary.scalar(tag, value)


def _take_back(folder: Path, state: State) -> None:
    """Let TensorBoard drop the points after the state's step, which will be written again; before the first row, all.

    The beginning of a session says so, since files of events are only ever added to; the first beginning takes nothing back.
    """
    with tf.Graph().as_default(), tf.compat.v1.summary.FileWriter(str(folder)) as writer:
        began = tf.compat.v1.SessionLog(status=tf.compat.v1.SessionLog.START)
        writer.add_session_log(began, state.step + 1 if state.rows or state.step else 0)


class ProgressLines:
    """Plain lines for a pipe or a log: one at least every 30 seconds, and one an epoch."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def begin(self, view: View) -> None:
        """Start counting."""
        self.view, self.meter, self.clock = view, Meter(view), TimeLeft(view)

    def begin_epoch(self, epoch: int) -> None:
        """Count anew: the sums do."""
        self.meter.restart()

    def step(self) -> bool:
        """A line when the last is old."""
        self.clock.step()
        if self.clock.steps == 0:
            self.meter.start_clock()
        if self.meter.age() >= SECONDS_BETWEEN_LINES:
            values, left = describe(self.meter.read()), ""
            if self.clock.steps > 0:
                self.clock.read()
                left = f", {self.clock.left()} left"
            self.console.say(f"step {self.view.state.step}/{self.view.total_steps}: {values}{left}")
        return False

    def doing(self, what: str) -> None:
        """Nothing: what was done is said afterwards."""

    def end_epoch(self, row: Row, confusion: np.ndarray | None) -> bool:
        """The epoch's line."""
        self.console.say(epoch_line(row, self.view.epochs))
        return False

    def end(self) -> None:
        """Nothing is open."""


class ProgressDisplay:
    """Two lines that are redrawn on a terminal: how far the run is, and what it does; with a line an epoch above them."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def begin(self, view: View) -> None:
        """Show the two lines."""
        from rich.progress_bar import ProgressBar
        from rich.spinner import Spinner

        self.view, self.meter, self.clock = view, Meter(view), TimeLeft(view)
        self.epoch, self.now, self.values, self.read_at = 0, "compiling the first step", None, float("inf")
        self.spinner, self.bar = Spinner("dots"), ProgressBar(total=view.total_steps, width=16)
        self.opened = ExitStack()
        self.opened.enter_context(self.console.redrawn())
        self.console.draw(self._draw)

    def begin_epoch(self, epoch: int) -> None:
        """Its number is shown from now on; the sums start anew."""
        self.epoch = epoch
        self.now = "training" if self.view.compiled else "compiling the first step"
        self.meter.restart()

    def step(self) -> bool:
        """Other values when the last are old."""
        self.now = "training"
        self.clock.step()
        if self.clock.steps == 0:
            self.meter.start_clock()
            self.read_at = 0.0
        elif time.perf_counter() - self.read_at >= SECONDS_BETWEEN_READINGS:
            self.values, self.read_at = self.meter.read(), time.perf_counter()
            self.clock.read()
        return False

    def doing(self, what: str) -> None:
        """Say so until the next step."""
        self.now = what

    def end_epoch(self, row: Row, confusion: np.ndarray | None) -> bool:
        """The epoch's line."""
        self.console.say(epoch_line(row, self.view.epochs))
        return False

    def end(self) -> None:
        """Take the lines away."""
        self.console.draw(str)
        self.opened.close()

    def _draw(self) -> RenderableType:
        """At most 80 columns, in a thread that touches no device."""
        from rich.console import Group
        from rich.table import Table

        step, total = self.view.state.step, self.view.total_steps
        self.bar.update(step)
        first = Table.grid(padding=(0, 1))
        where = f"epoch {self.epoch}/{self.view.epochs} step {step}/{total}" if self.epoch else "solved head"
        left = f"{self.clock.left()} left" if self.clock.steps > 0 else ""
        first.add_row(self.spinner, where, self.bar if total else "", left)
        return Group(first, f"  {self._doing()}")

    def _doing(self) -> str:
        since = self.view.waits_since
        if since is not None and time.perf_counter() - since > SECONDS_BETWEEN_READINGS:
            return "reading images" if self.view.compiled else "reading the first images"
        if self.now != "training" or self.values is None:
            return self.now
        return f"training: {describe(self.values)}"


class TimeLeft:
    """How long the rest of a run takes at the pace of this process, validation included, its first step left out."""

    def __init__(self, view: View) -> None:
        self.view = view
        self.steps = -1
        self.end = 0.0

    def step(self) -> None:
        """A step is made."""
        self.steps += 1
        if self.steps == 0:
            self.start = time.perf_counter()

    def read(self) -> None:
        """Reckon anew when the run ends; until the next time, the time left goes by the clock."""
        now = time.perf_counter()
        self.end = now + (now - self.start) / self.steps * (self.view.total_steps - self.view.state.step)

    def left(self) -> str:
        """Time left, as 1:02:03."""
        return duration(max(self.end - time.perf_counter(), 0.0))


def progress(console: Console) -> Monitor:
    """The display that fits where the console's lines go."""
    return (ProgressDisplay if console.live else ProgressLines)(console)


def describe(values: Mapping[str, float]) -> str:
    """A reading in words."""
    return (
        f"loss {values['loss']:.3f}, top-1 {values['top1']:.3f}, {values['images_per_second']:,.0f} images/s, "
        f"{values['data_wait']:.0%} waiting for data"
    )


def epoch_line(row: Row, epochs: int) -> str:
    """An epoch's row in words: loss and top-1 in training and in validation, and the time of its steps; without an average
    it fits 80 columns."""
    which = f"epoch {row['epoch']}/{epochs}" if row["epoch"] else "solved head"
    line = f"{which}: loss {row['loss']:.4f}, top-1 {row['top1']:.4f}"
    if "validation_top1" in row:
        line += f"; validation {row['validation_loss']:.4f}, {row['validation_top1']:.4f}"
    if "average_top1" in row:
        line += f"; average {row['average_top1']:.4f}"
    return f"{line}; {duration(row['seconds'])}"


def duration(seconds: float) -> str:
    """Seconds as 1:02:03, or 2:03 below an hour."""
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"
