"""A dry run: one step of a run, which leaves nothing behind, and the memory that it took."""

import math
import resource
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from keras_imagenet.console import Console
from keras_imagenet.data import sources
from keras_imagenet.settings import Settings
from keras_imagenet.training.assembly import Run, assemble, open_data
from keras_imagenet.training.step import within_memory


@dataclass(frozen=True)
class Memory:
    """Bytes. weights: the network's. optimizer: its state, and the average. process: the most that this process has held.

    after: what it had done by then.
    """

    weights: int
    optimizer: int
    process: int
    after: str

    @classmethod
    def now(cls, run: Run) -> "Memory":
        """Measured after a step."""
        slots = [*(slot for own in run.state.slots for slot in own), *run.state.average.values()]
        sizes = [
            sum(int(np.prod(v.shape)) * 4 for v in variables) for variables in (run.state.network.variables, slots)
        ]
        # Linux counts the peak in units of 1,024 bytes.
        after = "with one step at this batch size" if run.course.steps else "without a step"
        return cls(*sizes, process=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, after=after)

    @property
    def line(self) -> str:
        """In words."""
        weights, state, process = (f"{size / 2**20:,.0f} MiB" for size in (self.weights, self.optimizer, self.process))
        return f"memory: weights {weights}, optimizer {state}, this process at most {process}, {self.after}"


def try_one_batch(
    settings: Settings, splits: sources.Splits, strategy: tf.distribute.Strategy, console: Console
) -> tuple[Run, Memory]:
    """Prepare a run and make one step of it, of the largest images, for what that shows: whether it works, and the memory.

    A run without a step makes none.
    """
    run = assemble(settings, splits, strategy)
    step = max(run.stretches, key=lambda stretch: math.prod(stretch.preset.size)).step
    run.state.step = step
    batches, validation = open_data(run, console)
    if run.course.steps:
        with within_memory(run.course.batches):
            run.step(next(batches), tf.constant(run.course.schedule(step), tf.float64), tf.constant(step, tf.int64))
    if validation is not None:
        next(validation)
    return run, Memory.now(run)
