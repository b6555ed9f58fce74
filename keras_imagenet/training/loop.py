"""The training loop, whole: steps, epochs, evaluation, checkpoints, and the ways out."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from math import ceil
from typing import Any

import numpy as np
import tensorflow as tf

from keras_imagenet.errors import DataUnavailable
from keras_imagenet.evaluation import Metrics
from keras_imagenet.run_folder import RunFolder, write_history
from keras_imagenet.training import checkpoints
from keras_imagenet.training.assembly import Run
from keras_imagenet.training.guards import Deadline, Signals, require_finite
from keras_imagenet.training.monitors import Monitor, View
from keras_imagenet.training.state import BEST_OF, Row, State, averaged, first_copy

Evaluate = Callable[..., tuple[Metrics, np.ndarray | None]]
"""Measures the network as it is: metrics, and the confusion matrix where the classes are few."""


def train(
    run: Run,
    batches: Iterator[Any],
    evaluate: Evaluate | None,
    folder: RunFolder,
    monitors: Sequence[Monitor],
    deadline: Deadline,
) -> bool:
    """Train from where the run's state stands to its end, an epoch's row at a time; False if the deadline came first.

    Raises Interrupted after a signal, DataUnavailable where the disk gives no data, TrainingStopped for a loss that is not
    finite; the state is saved before leaving, except where it is not finite.
    """
    state, settings, course = run.state, run.settings.train, run.course
    view = View(state, _rate_now(run), course.steps, ceil(course.epochs))

    def save() -> None:
        for monitor in monitors:
            monitor.doing("saving")
        checkpoints.save(folder.checkpoints, state, run.fingerprint)

    with Signals().watching() as signals, _shown(monitors, view), _saved_without_data(save):
        for epoch, end in run.course.epoch_ends(after=state.epoch_began):
            if state.over and state.step == state.epoch_began:  # Else an epoch is open that ended early.
                break
            view.epoch_end = end
            for monitor in monitors:
                monitor.begin_epoch(epoch)
            while state.step < end and not state.over:
                with _timed(view):
                    # The processor waits for data here, and for the device where sums are read.
                    batch = view.fetch(batches)
                    rate = tf.constant(view.schedule(state.step), tf.float64)
                    run.step(batch, rate, tf.constant(state.step, tf.int64))
                    state.step += 1
                wishes = [monitor.step() for monitor in monitors]
                state.over = any(wishes)
                if signals.caught or deadline.passed():
                    save()
                    signals.heed(state.step)
                    return False
                if settings.checkpoint_steps and state.step % settings.checkpoint_steps == 0:
                    save()
            row, confusion = _end_epoch(run, epoch, evaluate, monitors)
            if settings.keep in BEST_OF and state.best_row(BEST_OF[settings.keep]) is row:
                state.best = state.values(averaged=settings.keep == "best_average")
            wishes = [monitor.end_epoch(row, confusion) for monitor in monitors]
            state.over |= any(wishes) or _patience_is_out(state, settings.patience)
            save()
            write_history(folder.history_file, state.rows)
            signals.heed(state.step)
    return True


@contextmanager
def _shown(monitors: Sequence[Monitor], view: View) -> Iterator[None]:
    """Monitors open before the first step, and closed whichever way the run ends: a bar left open hides the cursor."""
    with ExitStack() as opened:
        for monitor in monitors:
            monitor.begin(view)
            opened.callback(monitor.end)
        yield


@contextmanager
def _saved_without_data(save: Callable[[], None]) -> Iterator[None]:
    """Save the state, which is sound, where the next batch cannot be had."""
    try:
        yield
    except DataUnavailable:
        save()
        raise


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


def _end_epoch(
    run: Run, epoch: int, evaluate: Evaluate | None, monitors: Sequence[Monitor]
) -> tuple[Row, np.ndarray | None]:
    """The epoch's row, added to the state's, and validation's confusion matrix; the sums start anew."""
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
        "learning_rate": run.course.schedule(state.step - 1, state.validation_losses()),
        "seconds": round(state.epoch_seconds, 3),
        "images_per_second": round(_rate(state, training.examples), 1),
        "examples": training.examples,
    }
    if evaluate is not None:
        for monitor in monitors:
            monitor.doing("validating")
        metrics, confusion = evaluate()
        row |= {f"validation_{name}": getattr(metrics, name) for name in ("loss", "top1", "top5")}
        if state.average:
            with averaged(state):
                metrics, _ = evaluate()
            row |= {f"average_{name}": getattr(metrics, name) for name in ("loss", "top1", "top5")}
    state.rows.append(row)
    state.sums.assign(np.zeros_like(sums))
    state.seconds += time.perf_counter() - started
    state.epoch_seconds = state.compiling_seconds = state.compiling_examples = 0.0
    return row, confusion


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
