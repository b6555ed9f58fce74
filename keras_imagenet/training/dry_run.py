"""A dry run: one step of a run, which leaves nothing behind, and the memory that it took."""

import resource
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from keras_imagenet.console import Console as Output
from keras_imagenet.data import sources
from keras_imagenet.settings import Settings
from keras_imagenet.training import checkpoints
from keras_imagenet.training.run import Run, open_data, prepare


@dataclass(frozen=True)
class Memory:
    """Bytes. weights: the network's. optimizer: its state. process: the most that this process has held, step included."""

    weights: int
    optimizer: int
    process: int

    @classmethod
    def now(cls, run: Run) -> "Memory":
        """Measured after a step."""
        sizes = [
            sum(int(np.prod(v.shape)) * 4 for v in owner.variables)
            for owner in (run.trainer.network, run.trainer.optimizer)
        ]
        # Linux counts the peak in units of 1,024 bytes.
        return cls(*sizes, process=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)

    @property
    def line(self) -> str:
        """In words."""
        weights, state, process = (f"{size / 2**20:,.0f} MiB" for size in (self.weights, self.optimizer, self.process))
        return f"memory: weights {weights}, optimizer {state}, this process at most {process} with one step at this batch size"


def try_one_batch(
    settings: Settings, splits: sources.Splits, strategy: tf.distribute.Strategy, output: Output
) -> tuple[Run, Memory]:
    """Prepare a run and make one step of it, for what that shows: whether it works, and the memory it takes."""
    run = prepare(settings, splits, strategy)
    start = checkpoints.Progress(0, 0.0, run.training.fingerprint)
    batches, validation = open_data(run, start, output)
    run.trainer.make_train_function()(batches)
    if validation is not None:
        next(validation)
    return run, Memory.now(run)
