"""What ends a run early: a loss that is no longer finite, a signal, the clock."""

import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType

import numpy as np

from keras_imagenet.errors import Interrupted, TrainingStopped

REMEDY = "Lower optimizer.learning_rate, lengthen schedule.warmup_epochs or set train.clip_norm"


def require_finite(sums: np.ndarray, first_step: int, last_step: int) -> None:
    """Raise TrainingStopped where the loss summed over steps first_step to last_step is not finite."""
    if not np.isfinite(sums[0]):
        raise TrainingStopped(
            f"the loss became {sums[0]:g} between step {first_step} and step {last_step}; the last checkpoint is from before. "
            f"{REMEDY}"
        )


def require_finite_state(arrays: Mapping[str, np.ndarray], step: int) -> None:
    """Raise TrainingStopped where a weight, a statistic, a slot or a sum is not: a step can spoil them by a finite loss."""
    if not all(np.isfinite(array).all() for array in arrays.values()):
        raise TrainingStopped(
            f"the loss or a weight is no longer finite after step {step}; the last checkpoint is from before. {REMEDY}"
        )


@contextmanager
def raising() -> Iterator[None]:
    """Let SIGTERM and SIGHUP raise Interrupted at once inside the block, as SIGINT does KeyboardInterrupt.

    For what comes before a run's first step and after its last, when what counts is on disk already.
    """

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise _Signal(number)

    try:
        with _handling((signal.SIGTERM, signal.SIGHUP), interrupt):
            yield
    except _Signal as caught:
        raise Interrupted("interrupted", caught.args[0]) from None


class _Signal(BaseException):
    """A signal's number, on its way out: imports of TensorFlow go on after what is an Exception."""


@contextmanager
def _handling(numbers: Sequence[signal.Signals], handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Handle signals inside the block, and hand them back afterwards; SIGHUP stays ignored where it is, as by nohup."""
    if threading.current_thread() is not threading.main_thread():
        yield  # Python hands signals to the main thread only.
        return
    kept = {number: signal.getsignal(number) for number in numbers}
    if kept.get(signal.SIGHUP) is signal.SIG_IGN:
        del kept[signal.SIGHUP]
    for number in kept:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number, before in kept.items():
            signal.signal(number, before)


class Signals:
    """Notes SIGINT, SIGTERM and SIGHUP, so that the step under way ends and the state is saved; a second one ends at once."""

    def __init__(self) -> None:
        self.caught: int | None = None

    @contextmanager
    def watching(self) -> Iterator["Signals"]:
        """Catch the signals inside the block; afterwards they are handed back, with one that came too late to be heeded."""
        with _handling((signal.SIGINT, signal.SIGTERM, signal.SIGHUP), self._note):
            yield self
        if self.caught is not None:
            signal.raise_signal(self.caught)

    def heed(self, step: int, came: bool) -> None:
        """Raise Interrupted if one came, here or to another worker; the state after so many steps is saved."""
        if came:
            raise Interrupted(f"interrupted at step {step}; its state is saved", self.caught or signal.SIGTERM)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.caught is not None:
            raise KeyboardInterrupt
        self.caught = number


class Deadline:
    """The time limit of a run, from its start in this process."""

    def __init__(self, minutes: float | None) -> None:
        self.end = time.monotonic() + 60 * minutes if minutes else float("inf")

    def passed(self) -> bool:
        """Whether the limit is reached."""
        return time.monotonic() >= self.end
