"""Norms of gradients, weights and updates, of the whole network and of its parts: what TensorBoard shows of a step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from keras_imagenet.models import freezing

TAGS = ("gradient_norm", "weight_norm", "update_norm")


@dataclass(frozen=True)
class Norms:
    """What the last step that was asked to has noted; a checkpoint holds none of it.

    parts: names of the network's parts: stem, stage1, ..., head. places: for each weight that learns, its part's place in them.
    squares: float64 [3, parts], squared norms by TAGS.
    """

    parts: tuple[str, ...]
    places: tuple[int, ...]
    squares: tf.Variable

    def note(
        self,
        asked: tf.Tensor,
        before: Sequence[tf.Tensor],
        gradients: Sequence[tf.Tensor],
        after: Sequence[tf.Tensor],
    ) -> None:
        """Within a replica's step, where `asked`, bool [], is true: weights before and after it, and the gradients between."""

        def seen() -> tf.Tensor:
            updates = [new - old for new, old in zip(after, before, strict=True)]
            return tf.stack([self._squared(tensors) for tensors in (gradients, after, updates)])

        self.squares.assign(tf.cond(asked, seen, lambda: tf.convert_to_tensor(self.squares)))

    def _squared(self, tensors: Sequence[tf.Tensor]) -> tf.Tensor:
        """The squared norm of each part, float64 [parts]."""
        each = tf.stack([tf.cast(tf.reduce_sum(tf.square(tensor)), tf.float64) for tensor in tensors])
        return tf.math.unsorted_segment_sum(each, tf.constant(self.places), len(self.parts))


def build(network: keras.Model) -> Norms:
    """For a network's weights that learn. Call it under the strategy's scope."""
    parts = freezing.parts(network)
    # By the layers that hold them: the paths of a network within the network name its own layers.
    held = {id(weight): parts[layer.name] for layer in network.layers for weight in layer.weights}
    own = [held[id(variable)] for variable in network.trainable_variables]
    names = tuple(dict.fromkeys(own))
    squares = tf.Variable(tf.zeros([len(TAGS), len(names)], tf.float64), trainable=False)
    return Norms(names, tuple(names.index(part) for part in own), squares)


def by_tag(parts: Sequence[str], squares: np.ndarray) -> dict[str, float]:
    """Norms by TensorBoard's tags: gradient_norm of all, gradient_norm/stem of a part, and so on."""
    found = {}
    for tag, row in zip(TAGS, squares, strict=True):
        found[tag] = float(np.sqrt(row.sum()))
        found |= {f"{tag}/{part}": float(np.sqrt(square)) for part, square in zip(parts, row, strict=True)}
    return found
