"""Each operation's own seed, from the example's."""

import struct
from collections.abc import Sequence
from hashlib import blake2b

import tensorflow as tf


def fold(seed: tf.Tensor, name: str | int) -> tf.Tensor:
    """The seed int32 [2] of an operation, or of its draw of that number, from the example's seed, int32 [2].

    A constant that the name decides is added, each half modulo 2**32. That suffices, and costs one operation where
    tf.random.fold_in costs six: examples' seeds are hashes (data/order.py), and TensorFlow scrambles a seed before it draws.
    """
    return seed + tf.constant(struct.unpack("<2i", blake2b(str(name).encode(), digest_size=8).digest()))


def uniform(seeds: tf.Tensor, count: int) -> tf.Tensor:
    """What tf.random.stateless_uniform((count,), seed) draws for each of seeds, int32 [n, 2]: float32 [n, count] in 0..1.

    The bare operation: one instead of five an example.
    """
    rows = tf.unstack(seeds)
    return tf.stack([tf.raw_ops.StatelessRandomUniform(shape=(count,), seed=row, dtype=tf.float32) for row in rows])


def fold_in(seeds: tf.Tensor, numbers: Sequence[int]) -> tf.Tensor:
    """What tf.random.fold_in makes of each of seeds, int32 [n, 2], and each of m numbers: int32 [n m, 2], a seed's together."""
    rows = tf.unstack(seeds)
    heads = tf.stack([tf.raw_ops.StatelessRandomUniformFullInt(shape=(), seed=row, dtype=tf.int32) for row in rows])
    tails = tf.constant([*numbers] * len(rows))
    return tf.stack((tf.repeat(heads, len(numbers)), tails), axis=1)
