"""One training step, whole, on one device or on many: forward, backward, one reduction, clipping, the rule.

What costs time is computed by pure functions from tensors to tensors, so that XLA can compile them and no replica touches
another's variables; each replica then assigns to its own copies. All replicas compute the same update of the same reduced
gradients, so their copies stay equal.

Keras' `fit` clips each replica's gradients before their sum and leaves every replica batch-norm statistics of its own;
here both follow from the whole global batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import keras
import numpy as np
import tensorflow as tf

from keras_imagenet.data.batches import Batches
from keras_imagenet.errors import TrainingStopped
from keras_imagenet.training import sharpness
from keras_imagenet.training.averages import Average, moved
from keras_imagenet.training.clipping import Clip
from keras_imagenet.training.norms import Norms
from keras_imagenet.training.objectives import Objective
from keras_imagenet.training.optimizers import Optimizer
from keras_imagenet.training.rules import Slots
from keras_imagenet.training.state import State

Batch = Mapping[str, tf.Tensor]
Tensors = list[tf.Tensor]
Structure = TypeVar("Structure")
Forward = Callable[[Tensors, Tensors, tf.Tensor], tuple[tf.Tensor, Tensors]]
"""(weights, rest, images) -> logits, and the rest afterwards, where what did not change is the same object."""

REPLICA_STRIDE = 1_640_531_527
"""What the seeds of neighbouring replicas' random layers differ by: 2**32 over the golden ratio, which keeps small seeds
apart modulo 2**31 - 2, to which Keras reduces them."""
WISHES = 3
"""How many things a worker can ask the others for."""
NONE = np.zeros(WISHES)
UNASKED = np.zeros((), bool)
GROWTH_STEPS = 2000
"""Steps with finite gradients after which float16's loss scale doubles, as in keras.optimizers.LossScaleOptimizer."""


@dataclass(frozen=True)
class Plan:
    """How a step computes. batch_size: the global batch. accumulate: micro-batches that each replica's rows are cut into.

    clip: what keeps the gradients of the mean loss small; decay is no part of them. sam: how far from the weights they are
    taken, see `training.sharpness`; at the weights if not given.
    """

    batch_size: int
    accumulate: int = 1
    clip: Clip | None = None
    sam: float | None = None
    xla: bool = False


def build(
    state: State,
    objective: Objective,
    optimizer: Optimizer,
    strategy: tf.distribute.Strategy,
    plan: Plan,
    forward: Forward | None = None,
    average: Average | None = None,
    norms: Norms | None = None,
) -> Callable[..., tf.Tensor]:
    """The function (global batch, rate [], step [], wishes [WISHES], asked []) that makes one step and adds what it saw to
    `state.sums`.

    It returns the step's sums and, after them, the wishes of all workers added up, on every worker alike: float [4 + WISHES].

    A batch: what `objective` wants; every value has the rows as its first dimension. rate: float64. step: steps made
    before, int64. forward: the network's training pass, where it is not its `stateless_call`. average: how the state's
    average follows. norms: what notes the norms of a step where it is asked to, bool.
    """
    network = state.network
    forward = forward or (lambda weights, rest, images: network.stateless_call(weights, rest, images, training=True))
    moving: list[int] = []  # places in the rest that a pass changes; known once it is traced

    def forward_backward(batch: Batch, weights: Tensors, rest: Tensors, taught: Tensors, scale: tf.Tensor):
        """Sums of a micro-batch, gradients of its share in the mean loss times scale, and what changed of the rest."""
        with tf.GradientTape() as tape:
            tape.watch(weights)
            images, targets, answers = objective.inputs(batch, taught)
            logits, after = forward(weights, rest, images)
            sums, loss = objective.sums(batch, targets, logits, answers)
            share = loss * (tf.cast(scale, loss.dtype) / plan.batch_size)
        moving[:] = [index for index, (new, old) in enumerate(zip(after, rest, strict=True)) if new is not old]
        gradients = tape.gradient(share, weights, unconnected_gradients="zero")
        return sums, [tf.convert_to_tensor(gradient) for gradient in gradients], [after[index] for index in moving]

    def update(weights: Tensors, gradients: Tensors, slots: Sequence[Slots], rate: tf.Tensor, count: tf.Tensor):
        gradients = gradients if plan.clip is None else plan.clip(weights, gradients)
        return optimizer.update(weights, gradients, slots, rate, count)

    compute = _apart(forward_backward, plan, communicates=communicates(network, strategy))
    renew = tf.function(update, jit_compile=True, autograph=False) if plan.xla else update

    def replica(batch: Batch, rate: tf.Tensor, step: tf.Tensor, wishes: tf.Tensor, asked: tf.Tensor) -> tf.Tensor:
        held = (state.weights, state.rest, objective.teacher.variables if objective.teacher else ())
        weights, rest, taught = ([tf.convert_to_tensor(v.value) for v in group] for group in held)
        scale = tf.constant(1.0) if state.scaling is None else state.scaling[0]
        offset = tf.cast([REPLICA_STRIDE, 0], tf.int64) * _replica_id()
        for place in state.seeds:
            rest[place] += offset
        seen, gradients = [], []
        for radius in (0.0,) if plan.sam is None else (0.0, plan.sam):
            at = sharpness.climbed(weights, gradients, radius) if radius else weights
            # Each pass begins with the same rest, so with the same masks.
            left, sums, gradients = [*rest], 0.0, None
            for micro in range(plan.accumulate):
                rows = _rows_of(batch, micro, plan.accumulate, gradients)
                part, own, changed = compute(rows, at, left, taught, scale)
                sums += part
                gradients = own if gradients is None else [one + new for one, new in zip(gradients, own, strict=True)]
                for place, value in zip(moving, changed, strict=True):
                    left[place] = value
            averaged = [place for place in moving if left[place].dtype.is_floating]
            told = tf.concat([sums, tf.cast(wishes, sums.dtype)], axis=0)
            statistics = [left[place] / strategy.num_replicas_in_sync for place in averaged]
            told, gradients, averages = _reduced((told, gradients, statistics), strategy, gradients[0].dtype)
            # Every share was divided by the batch size; rows that do not count have no part in the mean.
            mean = plan.batch_size / (tf.maximum(told[3], 1) * tf.cast(scale, told.dtype))
            gradients = _times(mean, gradients)
            seen.append((told, left, averages))
        # What a second pass sees, and leaves of the rest, is not the network's, as in the authors' code of SAM.
        told, rest, averages = seen[0]
        for place, value in zip(averaged, averages, strict=True):
            rest[place] = value
        for place in state.seeds:
            rest[place] -= offset
        for place in moving:
            state.rest[place].assign(rest[place])
        renewed = _update(state, renew, weights, gradients, rate, step)
        if norms is not None:
            norms.note(asked, weights, gradients, renewed)
        if average is not None and average.decay is not None:
            _follow(state, average, average.decay(step))
        state.sums.assign_add(tf.cast(told[:-WISHES], tf.float64))
        return told

    @tf.function(reduce_retracing=True, autograph=False)
    def global_step(
        batch: Batch, rate: tf.Tensor, step: tf.Tensor, wishes: tf.Tensor = NONE, asked: tf.Tensor = UNASKED
    ) -> tf.Tensor:
        told = strategy.run(replica, args=(batch, rate, step, wishes, asked))
        return strategy.experimental_local_results(told)[0]

    return global_step


@contextmanager
def within_memory(batches: Batches) -> Iterator[None]:
    """Raise TrainingStopped that names the parts that are smaller, where a step takes more memory than there is."""
    try:
        yield
    except tf.errors.ResourceExhaustedError as error:
        parts = range(batches.accumulate + 1, batches.rows + 1)
        smaller = next((number for number in parts if batches.fits(number)), None)
        remedy = (
            f"train.accumulate {smaller} takes {batches.rows // smaller} at a time, with the same gradients"
            if smaller
            else "give a smaller train.batch_size"
        )
        raise TrainingStopped(
            f"a step of {batches.micro_rows} examples at a time takes more memory than the device has; {remedy}, or "
            "train.gradient_checkpointing true"
        ) from error


def communicates(network: keras.Model, strategy: tf.distribute.Strategy) -> bool:
    """Whether the network's own pass exchanges something between replicas: synchronised batch norms do."""
    # Networks inside networks and layers of layers included, which Keras itself walks by this name only.
    layers = network._flatten_layers(include_self=False)
    return strategy.num_replicas_in_sync > 1 and any(getattr(layer, "synchronized", False) for layer in layers)


def _apart(function: Callable, plan: Plan, communicates: bool) -> Callable:
    """The function as a unit: compiled by XLA or, where it runs several times a step, with memory that ends with it."""
    if communicates:  # TensorFlow allows a collective in the replica's own function only.
        return function
    if plan.xla:
        return tf.function(function, jit_compile=True, autograph=False)
    if plan.accumulate > 1:
        return tf.function(function, autograph=False, experimental_attributes={"_noinline": True})
    return function


def _rows_of(batch: Batch, micro: int, parts: int, after: Tensors | None) -> Batch:
    """Micro-batch number `micro` of `parts`, which is not begun before `after` is there: one at a time is in memory."""
    if parts == 1:
        return batch
    with tf.control_dependencies(after or []):
        rows = {name: value.shape[0] // parts for name, value in batch.items()}
        return {
            name: tf.identity(value[micro * rows[name] : (micro + 1) * rows[name]]) for name, value in batch.items()
        }


def _times(factor: tf.Tensor, tensors: Tensors) -> Tensors:
    return [tensor * tf.cast(factor, tensor.dtype) for tensor in tensors]


def _reduced(values: Structure, strategy: tf.distribute.Strategy, dtype: tf.DType) -> Structure:
    """Tensors in whatever structure, added up over all replicas in one collective of that type."""
    if strategy.num_replicas_in_sync == 1:
        return values
    flat = tf.nest.flatten(values)
    total = tf.distribute.get_replica_context().all_reduce("SUM", [tf.cast(value, dtype) for value in flat])
    total = [tf.cast(value, own.dtype) for value, own in zip(total, flat, strict=True)]
    return tf.nest.pack_sequence_as(values, total)


def _update(
    state: State, renew: Callable, weights: Tensors, gradients: Tensors, rate: tf.Tensor, step: tf.Tensor
) -> Tensors:
    """Assign the weights and slots that the optimizer makes, under a loss scale only where the gradients are finite; return
    the weights."""
    slots = [tuple(tf.convert_to_tensor(slot) for slot in own) for own in state.slots]
    skipped = 0 if state.scaling is None else tf.cast(state.scaling[2], tf.int64)
    new_weights, new_slots = renew(weights, gradients, slots, rate, tf.cast(step + 1 - skipped, tf.float64))
    if state.scaling is not None:
        finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(gradient)) for gradient in gradients])
        new_weights, new_slots = tf.nest.map_structure(
            lambda new, old: tf.where(finite, new, old), (new_weights, new_slots), (weights, slots)
        )
        state.scaling.assign(_rescaled(state.scaling, finite))
    for variable, value in zip(state.weights, new_weights, strict=True):
        variable.assign(value)
    for variable, value in zip(tf.nest.flatten(state.slots), tf.nest.flatten(new_slots), strict=True):
        variable.assign(value)
    return new_weights


def _follow(state: State, average: Average, decay: tf.Tensor) -> None:
    """Move the average's twins towards the weights and, where it leads, take the weights along."""
    for place, twin in state.average.items():
        variable = state.network.variables[place]
        value = tf.convert_to_tensor(variable.value)
        twin.assign(moved(twin, value, decay))
        if average.leads:
            variable.assign(tf.where(decay < 1, tf.convert_to_tensor(twin), value))


def _rescaled(scaling: tf.Tensor, finite: tf.Tensor) -> tf.Tensor:
    """float16's loss scale, steps since it changed and updates left out, after one more step."""
    scale, since, skipped = tf.unstack(tf.convert_to_tensor(scaling))
    # Doubled to infinity it would stay there: halved, infinity is itself. Gradients of a float32 head never overflow before.
    grown = (since + 1 >= GROWTH_STEPS) & tf.math.is_finite(scale * 2)
    if_finite = tf.stack([tf.where(grown, scale * 2, scale), tf.where(grown, 0.0, since + 1), skipped])
    return tf.where(finite, if_finite, tf.stack([scale / 2, 0.0, skipped + 1]))


def _replica_id() -> tf.Tensor:
    return tf.cast(tf.distribute.get_replica_context().replica_id_in_sync_group, tf.int64)
