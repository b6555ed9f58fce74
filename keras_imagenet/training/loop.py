"""The training loop, whole: steps, epochs, evaluation, checkpoints, and the ways out."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_imagenet.errors import Interrupted
from keras_imagenet.evaluation import Metrics
from keras_imagenet.run_folder import RunFolder, write_history
from keras_imagenet.training import checkpoints
from keras_imagenet.training.guards import Deadline, Signals, require_finite
from keras_imagenet.training.trainer import Trainer

Row = dict[str, Any]
Evaluate = Callable[[], tuple[Metrics, np.ndarray] | None]


@dataclass(frozen=True)
class Course:
    """A run's length: epoch_ends[e] is the step after which epoch e is over; the last is the run's end."""

    epoch_ends: Sequence[int]
    checkpoint_steps: int | None
    patience: int | None

    @property
    def total_steps(self) -> int:
        """Steps of the whole run."""
        return self.epoch_ends[-1]


@dataclass
class State:
    """Where a run stands: its rows so far, its seconds of training, and what its checkpoints say of the data."""

    rows: list[Row]
    seconds: float
    progress_of_data: Callable[[], dict[str, Any]]
    last_validation: Metrics | None = None


def train(
    trainer: Trainer,
    batches: Iterator[Any],
    evaluate: Evaluate,
    course: Course,
    state: State,
    folder: RunFolder,
    callbacks: keras.callbacks.CallbackList,
    deadline: Deadline,
) -> bool:
    """Train from where the trainer stands to the course's end, an epoch's row at a time; False if the deadline came first.

    Raises Interrupted after a signal, TrainingStopped for a loss that is not finite; the state is saved before leaving,
    except where it is not finite.
    """
    started = time.perf_counter() - state.seconds
    train_one = trainer.make_train_function()

    def save() -> None:
        require_finite(trainer.sums.numpy(), 0, trainer.step_number)
        state.seconds = time.perf_counter() - started
        checkpoints.save(
            folder.checkpoints,
            trainer,
            checkpoints.Progress(trainer.step_number, state.seconds, **state.progress_of_data()),
        )

    with Signals().watching() as signals, _displayed(callbacks):
        for epoch, end in enumerate(course.epoch_ends):
            if epoch < len(state.rows) or _patience_is_out(state.rows, course.patience):
                continue
            callbacks.on_epoch_begin(epoch)
            epoch_started = time.perf_counter()
            while trainer.step_number < end:
                train_one(batches)
                callbacks.on_train_batch_end(trainer.step_number - 1)
                if signals.caught or deadline.passed():
                    save()
                    if signals.caught:
                        step = trainer.step_number
                        raise Interrupted(f"interrupted at step {step}; its state is saved", signals.caught)
                    return False
                if course.checkpoint_steps and trainer.step_number % course.checkpoint_steps == 0:
                    save()
            row, confusion = _end_epoch(trainer, evaluate, state, time.perf_counter() - epoch_started)
            state.rows.append(row)
            callbacks.on_epoch_end(epoch, {**row, "confusion": confusion})
            write_history(folder.history_file, state.rows)
            if best_row(state.rows) is row:
                checkpoints.save_best(folder.checkpoints, trainer)
            save()
    return True


@contextmanager
def _displayed(callbacks: keras.callbacks.CallbackList) -> Iterator[None]:
    """Monitors open before the first step, and closed whichever way the run ends: a bar left open hides the cursor."""
    callbacks.on_train_begin()
    try:
        yield
    finally:
        callbacks.on_train_end()


def _end_epoch(trainer: Trainer, evaluate: Evaluate, state: State, seconds: float) -> tuple[Row, np.ndarray | None]:
    """The epoch's row of history.csv, and validation's confusion matrix; the sums start anew."""
    sums = trainer.sums.numpy()
    require_finite(sums, 0, trainer.step_number)
    trainer.sums.assign(np.zeros_like(sums))
    training = Metrics.from_sums(sums)
    row: Row = {
        "epoch": len(state.rows) + 1,
        "step": trainer.step_number,
        "loss": training.loss,
        "top1": training.top1,
        "top5": training.top5,
        "learning_rate": trainer.schedule(trainer.step_number - 1),
        "seconds": round(seconds, 3),
        "images_per_second": round(training.examples / max(seconds, 1e-9), 1),
        "examples": training.examples,
    }
    evaluated = evaluate()
    if evaluated is None:
        return row, None
    state.last_validation, confusion = evaluated
    row |= {
        f"validation_{name}": value for name, value in state.last_validation.as_dict().items() if name != "examples"
    }
    return row, confusion


def best_row(rows: Sequence[Row]) -> Row | None:
    """The row of the best validation top-1, the earliest of equals; None without validation."""
    rows = [row for row in rows if "validation_top1" in row]
    return max(rows, key=lambda row: float(row["validation_top1"]), default=None)


def _patience_is_out(rows: Sequence[Row], patience: int | None) -> bool:
    best = best_row(rows)
    return patience is not None and best is not None and len(rows) - int(best["epoch"]) >= patience
