"""The train function: one global step on one device or on many, with any Keras optimizer."""

import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial

import keras
import numpy as np
import tensorflow as tf

from keras_imagenet.data.images.normalise import normalise
from keras_imagenet.evaluation import correct
from keras_imagenet.preset import Preset
from keras_imagenet.training import fused_norm, losses, recomputation
from keras_imagenet.training.schedules import Schedule

Batch = Mapping[str, tf.Tensor]
Mix = Callable[[tf.Tensor, tf.Tensor, Batch], tuple[tf.Tensor, tf.Tensor]]


class Trainer(keras.Model):
    """A network under training: normalising, mixing, loss, and the step that Keras' own `fit` gets wrong on replicas.

    Keras clips and accumulates each replica's gradients before their sum, and its `fit` compiles the reduction into the
    step; here the replicas compute gradients, the strategy sums them, and the optimizer acts once, on the sum, in
    cross-replica context. Build under the strategy's scope, then `compile(optimizer)`.
    """

    def __init__(
        self,
        network: keras.Model,
        preset: Preset,
        *,
        schedule: Schedule,
        label_smoothing: float = 0.0,
        class_weights: np.ndarray | None = None,
        mix: Mix | None = None,
        consistency: float = 0.0,
        xla: bool = False,
        gradient_checkpointing: bool = False,
    ) -> None:
        super().__init__(name="trainer")
        self.network = network
        fused_norm.fuse(network)
        self.preset = preset
        self.schedule = schedule
        self.label_smoothing = label_smoothing
        self.class_weights = class_weights
        self.mix = mix
        self.consistency = consistency
        self.xla = xla
        self.forward = (
            recomputation.checkpointed(network) if gradient_checkpointing else partial(network, training=True)
        )
        self.step_number = 0
        self.seconds_waiting = 0.0
        self.first_images: tf.Tensor | None = None
        # Sums over an epoch's examples: loss, top-1, top-5, examples. In the checkpoint, so that a resumed epoch's row is whole.
        self.sums = tf.Variable(tf.zeros([4], tf.float64), trainable=False, name="sums")

    def call(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Logits float32 [batch, classes] of images 0-255 [batch, height, width, channels]."""
        return self.network(normalise(images, self.preset), training=training)

    def make_train_function(self, force: bool = False) -> Callable[[Iterator[Batch]], None]:
        """A function that takes the next global batch from an iterator and makes one step with it."""
        if self.train_function is not None and not force:
            return self.train_function
        forward_backward = tf.function(self._forward_backward, jit_compile=self.xla)

        @tf.function(reduce_retracing=True)
        def global_step(batch: Batch, rate: tf.Tensor) -> None:
            strategy = self.distribute_strategy
            examples = tf.maximum(strategy.reduce("SUM", strategy.run(count, args=(batch,)), axis=None), 1)
            sums, gradients = strategy.run(forward_backward, args=(batch, examples))
            self.sums.assign_add(tf.cast(strategy.reduce("SUM", sums, axis=None), tf.float64))
            variables = self.network.trainable_variables
            pairs = list(zip(gradients, [variable.value for variable in variables], strict=True))
            gradients = strategy.extended.batch_reduce_to(tf.distribute.ReduceOp.SUM, pairs)
            self.optimizer.learning_rate.assign(rate)
            self.optimizer.apply(gradients, variables)

        def train_function(iterator: Iterator[Batch]) -> None:
            start = time.perf_counter()
            batch = next(iterator)  # The CPU waits for data here, and for the device only where `sums` is read.
            self.seconds_waiting += time.perf_counter() - start
            if self.first_images is None:
                self.first_images = self.distribute_strategy.experimental_local_results(batch["images"])[0][:16]
            global_step(batch, tf.constant(self.schedule(self.step_number), tf.float32))
            self.step_number += 1

        self.train_function = train_function
        return train_function

    def _forward_backward(self, batch: Batch, examples: tf.Tensor) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """One replica's share: sums of loss, top-1, top-5 and examples float32 [4], and gradients of the global mean loss.

        examples: how many the global batch has that count, float32 []; unreadable ones have weight 0 and do not.
        """
        images, labels, weights = batch["images"], batch["labels"], batch["weights"]
        targets = losses.smooth(labels, self.network.output_shape[-1], self.label_smoothing)
        images = normalise(images, self.preset)
        if self.mix is not None:
            images, targets = self.mix(images, targets, batch)
        if self.consistency:  # The images, then one more of each, then another: one batch for the batch norms.
            views = normalise(batch["views"], self.preset)
            images = tf.concat((images, *tf.unstack(views, axis=1)), axis=0)
        with tf.GradientTape() as tape:
            logits, *others = tf.split(self.forward(images), 3 if self.consistency else 1)
            loss = tf.reduce_sum(losses.cross_entropy(targets, logits, self.class_weights) * weights)
            if self.consistency:
                loss += self.consistency * tf.reduce_sum(losses.jensen_shannon((logits, *others)) * weights)
            mean_loss = self.optimizer.scale_loss(loss / examples)
        gradients = tape.gradient(mean_loss, [variable.value for variable in self.network.trainable_variables])
        seen = tf.cast(weights > 0, tf.float32)
        top1, top5 = (tf.reduce_sum(correct(labels, logits, k) * seen) for k in (1, 5))
        return tf.stack([loss, top1, top5, count(batch)]), gradients


def count(batch: Batch) -> tf.Tensor:
    """Examples of a batch that count, float32 []."""
    return tf.reduce_sum(tf.cast(batch["weights"] > 0, tf.float32))


def seed_replicas(network: keras.Model, strategy: tf.distribute.Strategy) -> None:
    """Give every replica its own stream of dropout masks; without this they would all drop the same units.

    A random layer's state is (seed, counter) on each replica; replica r adds r to the seed of the first.
    """
    for variable in network.variables:
        if variable.path.endswith("seed_generator_state"):
            local = strategy.experimental_local_results(variable.value)
            seed, counter = (int(number) for number in local[0].numpy())
            for replica, state in enumerate(local):
                state.assign([seed + replica * REPLICA_STRIDE, counter])


# Seeds of a network's layers are small integers or random 31-bit ones: a stride past both keeps streams apart.
REPLICA_STRIDE = 2**33
