"""What ends a run early: a loss that is no longer finite, a signal, the clock."""

import signal
import threading
import time
from collections.abc import Iterator, Mapping
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


class Signals:
    """Notes SIGINT, SIGTERM and SIGHUP, so that the step under way ends and the state is saved; a second one ends at once.

    SIGHUP stays ignored where the process was started so, which is what nohup does.
    """

    def __init__(self) -> None:
        self.caught: int | None = None

    @contextmanager
    def watching(self) -> Iterator["Signals"]:
        """Catch the signals inside the block, and hand them back afterwards."""
        if threading.current_thread() is not threading.main_thread():
            yield self  # Python hands signals to the main thread only.
            return
        kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
        if kept[signal.SIGHUP] is signal.SIG_IGN:
            del kept[signal.SIGHUP]
        for number in kept:
            signal.signal(number, self._note)
        try:
            yield self
        finally:
            for number, handler in kept.items():
                signal.signal(number, handler)

    def heed(self, step: int) -> None:
        """Raise Interrupted if one came; the state after so many steps is saved."""
        if self.caught is not None:
            raise Interrupted(f"interrupted at step {step}; its state is saved", self.caught)

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
