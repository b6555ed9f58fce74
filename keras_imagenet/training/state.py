"""Where a run stands, in one value: what every step changes on the devices, and what is counted beside them.

It is saved and restored whole (`training.checkpoints`). history.csv, metrics.json and model.keras are written from it and
never read back into it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_imagenet.training.averages import Average
from keras_imagenet.training.optimizers import Optimizer

Row = dict[str, Any]
"""A row of history.csv: an epoch's figures by column."""

SUMS = ("loss", "top1", "top5", "examples")
BEST_OF = {"best": "validation", "best_average": "average"}
"""Whose top-1 says which weights the run leaves, by train.keep."""
FIRST_LOSS_SCALE = 2.0**15
"""What float16's losses are multiplied by at first, as in keras.optimizers.LossScaleOptimizer."""


@dataclass
class State:
    """Where a run stands.

    network: its weights, moving statistics and the seeds of its random layers. slots: for each trainable weight, what the
    optimizer's rule keeps. sums: float64 [4] over the epoch's examples so far, by SUMS. scaling: for float16 the loss
    scale, steps since it last changed, and updates that were left out; float32 [3]. average: by places in the network's
    variables, the twins of those that are averaged.
    step: optimizer steps made; the one counter. rows: of history.csv. seconds: of training. epoch_seconds: of steps in the
    epoch under way; compiling_seconds and compiling_examples: of those, what fell to the first step of a process. over:
    whether something ended the run before its length was reached. unreadable: indices of training examples that cannot be
    read, with the reason. best: the network's variables, or their average, after the epoch of the best validation top-1,
    where the run is to keep those. epochs: by their numbers, the ends' values of what is averaged, where the average is that
    of the best.
    """

    network: keras.Model
    slots: tuple[tuple[tf.Variable, ...], ...]
    sums: tf.Variable
    scaling: tf.Variable | None = None
    average: Mapping[int, tf.Variable] = field(default_factory=dict)
    step: int = 0
    rows: list[Row] = field(default_factory=list)
    seconds: float = 0.0
    epoch_seconds: float = 0.0
    compiling_seconds: float = 0.0
    compiling_examples: float = 0.0
    over: bool = False
    unreadable: dict[int, str] = field(default_factory=dict)
    best: list[np.ndarray] | None = None
    epochs: dict[int, list[np.ndarray]] = field(default_factory=dict)

    @property
    def weights(self) -> Sequence[keras.Variable]:
        """What learns."""
        return self.network.trainable_variables

    @property
    def rest(self) -> Sequence[keras.Variable]:
        """What the network holds besides: statistics, seeds, frozen weights."""
        return self.network.non_trainable_variables

    @property
    def seeds(self) -> list[int]:
        """Places in `rest` of random layers' seeds: (seed, count of draws), int64 [2] each."""
        return [index for index, variable in enumerate(self.rest) if variable.path.endswith("seed_generator_state")]

    @property
    def epoch_began(self) -> int:
        """Steps made before the epoch under way."""
        return self.rows[-1]["step"] if self.rows else 0

    def tensors(self) -> Iterator[tuple[str, tf.Variable]]:
        """Every variable by a name that depends on its place alone, so that any process finds it again."""
        for index, variable in enumerate(self.network.variables):
            yield f"network/{index}", variable.value
        for index, slots in enumerate(self.slots):
            for number, slot in enumerate(slots):
                yield f"slot{number}/{index}", slot
        yield "sums", self.sums
        if self.scaling is not None:
            yield "scaling", self.scaling
        for place, twin in self.average.items():
            yield f"average/{place}", twin

    def values(self, *, averaged: bool = False) -> list[np.ndarray]:
        """The network's variables, or their averages where they have one."""
        twins = self.average if averaged else {}
        return [first_copy(twins.get(place, variable.value)) for place, variable in enumerate(self.network.variables)]

    def validation_losses(self) -> list[float]:
        """Of the epochs of training that are over."""
        return [row["validation_loss"] for row in self.rows if row["epoch"] and "validation_loss" in row]

    def best_row(self, of: str = "validation") -> Row | None:
        """As best_of, of its rows."""
        return best_of(self.rows, of)


def best_of(rows: Sequence[Row], of: str = "validation") -> Row | None:
    """The row of the best top-1 on validation, the earliest of equals; None without. of: validation, or average."""
    measured = [row for row in rows if f"{of}_top1" in row]
    return max(measured, key=lambda row: row[f"{of}_top1"], default=None)


def start(network: keras.Model, optimizer: Optimizer, precision: str, average: Average | None = None) -> State:
    """The state before the first step. Call it under the strategy's scope."""
    slots = tuple(
        tuple(
            tf.Variable(tf.fill(weight.shape, tf.cast(first, weight.dtype)), trainable=False)
            for first in rule.slots.values()
        )
        for weight, rule in zip(network.trainable_variables, optimizer.rules, strict=True)
    )
    scaling = tf.Variable([FIRST_LOSS_SCALE, 0.0, 0.0], trainable=False) if precision == "mixed_float16" else None
    sums = tf.Variable(tf.zeros([len(SUMS)], tf.float64), trainable=False)
    return State(network, slots, sums, scaling, _twins(network, average) if average else {})


def _twins(network: keras.Model, average: Average) -> dict[int, tf.Variable]:
    """A copy of each variable that learns and, where asked for, of each that follows the images."""
    return {
        place: tf.Variable(tf.convert_to_tensor(variable.value), trainable=False)
        for place, variable in enumerate(network.variables)
        if variable.trainable or (average.statistics and variable.path.rpartition("/")[2].startswith("moving_"))
    }


def average_best(state: State, row: Row, most: int) -> None:
    """Let the average be the mean of the weights at the ends of the best epochs, up to `most`, with the one that ends now.

    row: of that epoch, whose weights the network has. The best are those of the best validation top-1, the earliest of equals.
    """
    top1 = {known["epoch"]: known["validation_top1"] for known in (*state.rows, row)}
    now = [first_copy(state.network.variables[place].value) for place in state.average]
    ends = {**state.epochs, row["epoch"]: now}
    best = sorted(ends, key=lambda epoch: (-top1[epoch], epoch))[:most]
    state.epochs = {epoch: ends[epoch] for epoch in sorted(best)}
    for twin, *values in zip(state.average.values(), *state.epochs.values(), strict=True):
        twin.assign(np.mean(values, axis=0, dtype=np.float64).astype(twin.dtype.as_numpy_dtype))


@contextmanager
def averaged(state: State) -> Iterator[None]:
    """Let the network have the average's values meanwhile; after it, it has its own to the bit."""
    own = {place: first_copy(state.network.variables[place].value) for place in state.average}
    try:
        for place, twin in state.average.items():
            state.network.variables[place].assign(first_copy(twin))
        yield
    finally:
        for place, value in own.items():
            state.network.variables[place].assign(value)


def first_copy(variable: tf.Variable) -> np.ndarray:
    """A variable's value; the first replica's where each has its own, which are all equal."""
    return tf.distribute.get_strategy().experimental_local_results(variable)[0].numpy()
