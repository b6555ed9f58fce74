"""The training loop, whole: steps, epochs, evaluation, checkpoints, and the ways out."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from math import ceil
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from keras_imagenet.errors import TrainingStopped
from keras_imagenet.evaluation import Metrics
from keras_imagenet.run_folder import RunFolder, write_history
from keras_imagenet.training import checkpoints, workers
from keras_imagenet.training.assembly import Run
from keras_imagenet.training.guards import Deadline, Signals, require_finite
from keras_imagenet.training.monitors import Monitor, View
from keras_imagenet.training.state import BEST_OF, Row, State, average_best, averaged, first_copy
from keras_imagenet.training.step import within_memory

Evaluate = Callable[..., tuple[Metrics, np.ndarray | None]]
"""Measures the network as it is: metrics, and the confusion matrix where the classes are few. `between` is called before each
of its batches."""


def train(
    run: Run,
    batches: Iterator[Any],
    evaluate: Evaluate | None,
    also: Mapping[str, Evaluate],
    folder: RunFolder,
    monitors: Sequence[Monitor],
    deadline: Deadline,
) -> bool:
    """Train from where the run's state stands to its end, an epoch's row at a time; False if the deadline came first.

    also: what measures on further sets, by their names, which the rows show and nothing goes by.
    Raises Interrupted after a signal, DataUnavailable where the disk gives no data, TrainingStopped for a loss that is not
    finite. The state is saved before leaving, whatever fails outside a step, except where it is not finite.
    """
    state, settings, course = run.state, run.settings.train, run.course
    view = View(state, _rate_now(run), course.steps, ceil(course.epochs), settings.summary_steps, run.norms)
    saving, asked, alone = Saving(run, folder, monitors), Wishes(), workers.count(run.strategy) == 1

    def close(epoch: int, over: bool) -> None:
        """Measure, note and save an epoch that ends here; over: whether somebody asked in it for the run to end."""
        with saving.whatever_fails():
            row, confusion = _measured(run, epoch, evaluate, also, monitors, lambda: signals.caught and saving.once())
        _end_epoch(state, row)
        if settings.keep in BEST_OF and state.best_row(BEST_OF[settings.keep]) is row:
            state.best = state.values(averaged=settings.keep == "best_average")
        state.over |= _patience_is_out(state, settings.patience)
        saving.save()  # Before anyone is told: an output may be closed, and a user's callback may fail.
        if saving.writes:
            write_history(folder.history_file, state.rows)
        wishes = [monitor.end_epoch(row, confusion) for monitor in monitors]
        acting = Wishes(signals.caught is not None, over=any(wishes) or over)
        acting = Wishes(*(workers.summed(run.strategy, np.array(acting, np.float64)) > 0).tolist())
        state.over |= acting.over
        if acting.over or acting.interrupted:
            saving.save()
        signals.heed(state.step, acting.interrupted)

    with Signals().watching() as signals, _shown(monitors, view):
        if state.step == 0 and not state.rows and first_copy(state.sums)[3] > 0:
            close(0, over=False)  # Of the head that was solved, from which training starts.
        for epoch, end in run.course.epoch_ends(after=state.epoch_began):
            if state.over and state.step == state.epoch_began:  # Else an epoch is open that ended early.
                break
            view.epoch_end = end
            with saving.whatever_fails():
                for monitor in monitors:
                    monitor.begin_epoch(epoch)
            while state.step < end and not state.over:
                with _timed(view):
                    with saving.whatever_fails():
                        # The processor waits for data here, and for the device where sums are read.
                        batch = view.fetch(batches)
                    rate = tf.constant(view.schedule(state.step), tf.float64)
                    wanted, number = tf.constant(view.due(state.step + 1)), tf.constant(state.step, tf.int64)
                    with within_memory(run.course.batches):
                        told = run.step(batch, rate, number, tf.constant(asked, tf.float64), wanted)
                    state.step += 1
                    heard = None if alone else _heard(told, state.step)
                with saving.whatever_fails():
                    wishes = [monitor.step() for monitor in monitors]
                asked = Wishes(signals.caught is not None, deadline.passed(), over=any(wishes))
                # Workers act on what all have heard, a step later, so that none waits for one that left.
                acting = asked if heard is None else heard
                state.over = acting.over
                if acting.interrupted or acting.late:
                    saving.save()
                    signals.heed(state.step, acting.interrupted)
                    return False
                saving.save_if_due()
            close(epoch, asked.over)
            asked = Wishes()
    return True


class Wishes(NamedTuple):
    """What a worker asks for; what one asks for, all do. late: its time limit is reached. over: a callback ends the run."""

    interrupted: bool = False
    late: bool = False
    over: bool = False


def _heard(told: tf.Tensor, step: int) -> Wishes:
    """Everybody's wishes out of what a step has told; a loss that is not finite ends all workers at the same step."""
    values = told.numpy()
    require_finite(values, step, step)
    return Wishes(*(values[-len(Wishes._fields) :] > 0).tolist())


class Saving:
    """Checkpoints of a run's state, which worker 0 writes: when they are due, and before what fails ends the run."""

    def __init__(self, run: Run, folder: RunFolder, monitors: Sequence[Monitor]) -> None:
        self.run, self.folder, self.monitors = run, folder, monitors
        self.settings, self.saved_at = run.settings.train, -1
        self.writes = workers.index(run.strategy) == 0
        self.next = Deadline(self.settings.checkpoint_minutes)

    def save(self) -> None:
        """Write a checkpoint, whatever becomes of those who are told of it."""
        try:
            for monitor in self.monitors:
                monitor.doing("saving")
        finally:
            if self.writes:
                kept, best = self.settings.keep_checkpoints, self.settings.keep_best_checkpoints
                checkpoints.save(self.folder.checkpoints, self.run.state, self.run.fingerprint, kept, best)
            self.saved_at, self.next = self.run.state.step, Deadline(self.settings.checkpoint_minutes)

    def save_if_due(self) -> None:
        """After a step: by the count of steps, or by the clock."""
        every = self.settings.checkpoint_steps
        if (every and self.run.state.step % every == 0) or self.next.passed():
            self.save()

    def once(self) -> None:
        """Write one unless this step has it."""
        if self.saved_at != self.run.state.step:
            self.save()

    @contextmanager
    def whatever_fails(self) -> Iterator[None]:
        """For what lies outside a step, where the state is sound: save it before an error ends the run."""
        try:
            yield
        except TrainingStopped:
            raise  # What is not finite is not worth saving.
        except BaseException:
            self.once()
            raise


@contextmanager
def _shown(monitors: Sequence[Monitor], view: View) -> Iterator[None]:
    """Monitors open before the first step, and closed whichever way the run ends: a bar left open hides the cursor."""
    with ExitStack() as opened:
        for monitor in monitors:
            monitor.begin(view)
            opened.callback(monitor.end)
        yield


@contextmanager
def _timed(view: View) -> Iterator[None]:
    """Add a step's seconds to the state's; a process' first step, which compiles, is waited for and counted apart."""
    started, before = time.perf_counter(), None if view.compiled else first_copy(view.state.sums)
    yield
    if before is not None:
        view.state.compiling_examples += float(first_copy(view.state.sums)[3] - before[3])
        view.state.compiling_seconds += time.perf_counter() - started
        view.compiled = True
    view.state.epoch_seconds += time.perf_counter() - started
    view.state.seconds += time.perf_counter() - started


def _measured(
    run: Run,
    epoch: int,
    evaluate: Evaluate | None,
    also: Mapping[str, Evaluate],
    monitors: Sequence[Monitor],
    between: Callable[[], object],
) -> tuple[Row, np.ndarray | None]:
    """The epoch's row, and validation's confusion matrix. The state changes in its times, and in an average of the best."""
    state, started = run.state, time.perf_counter()
    sums = first_copy(state.sums)  # Waits for the epoch's last steps.
    state.epoch_seconds += time.perf_counter() - started
    require_finite(sums, 0, state.step)
    training, confusion = Metrics.from_sums(sums), None
    row: Row = {
        "epoch": epoch,
        "step": state.step,
        "loss": training.loss,
        "top1": training.top1,
        "top5": training.top5,
        "learning_rate": run.course.schedule(state.step - 1, state.validation_losses()) if state.step else 0.0,
        "seconds": round(state.epoch_seconds, 3),
        "images_per_second": round(_rate(state, training.examples), 1),
        "examples": training.examples,
    }
    for monitor in monitors if evaluate is not None or also else ():
        monitor.doing("validating")
    if evaluate is not None:
        metrics, confusion = evaluate(between=between)
        row |= _columns("validation", metrics)
        if run.settings.average is not None and run.settings.average.name == "best":
            average_best(state, row, run.settings.average.count)
        if state.average:
            with averaged(state):
                metrics, _ = evaluate(between=between)
            row |= _columns("average", metrics)
    for name, measure in also.items():
        row |= _columns(name, measure(between=between)[0])
    state.seconds += time.perf_counter() - started
    return row, confusion


def _columns(name: str, metrics: Metrics) -> Row:
    return {f"{name}_{what}": getattr(metrics, what) for what in ("loss", "top1", "top5")}


def _end_epoch(state: State, row: Row) -> None:
    """Add the row; the sums start anew."""
    state.rows.append(row)
    state.sums.assign(np.zeros(state.sums.shape))
    state.epoch_seconds = state.compiling_seconds = state.compiling_examples = 0.0


def _rate_now(run: Run) -> Callable[[int], float]:
    """The schedule, told of the epochs that are over."""
    return lambda step: run.course.schedule(step, run.state.validation_losses())


def _rate(state: State, examples: int) -> float:
    """Images per second of the epoch's steps, of those that compiled only where there are no others."""
    others = examples - state.compiling_examples
    if others > 0:
        return others / max(state.epoch_seconds - state.compiling_seconds, 1e-9)
    return examples / max(state.epoch_seconds, 1e-9)


def _patience_is_out(state: State, patience: int | None) -> bool:
    best = state.best_row()
    return patience is not None and best is not None and len(state.rows) - 1 - state.rows.index(best) >= patience
