"""Each operation's own seed, from the example's."""

import struct
from hashlib import blake2b

import tensorflow as tf


def fold(seed: tf.Tensor, name: str | int) -> tf.Tensor:
    """The seed int32 [2] of an operation, or of its draw of that number, from the example's seed, int32 [2].

    A constant that the name decides is added, each half modulo 2**32. That suffices, and costs one operation where
    tf.random.fold_in costs six: examples' seeds are hashes (data/order.py), and TensorFlow scrambles a seed before it draws.
    """
    return seed + tf.constant(struct.unpack("<2i", blake2b(str(name).encode(), digest_size=8).digest()))
