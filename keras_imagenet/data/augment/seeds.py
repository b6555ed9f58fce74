"""Each operation's own seed, from the example's."""

import zlib

import tensorflow as tf


def fold(seed: tf.Tensor, name: str) -> tf.Tensor:
    """An operation's seed: the example's seed int32 [2] folded with a checksum of the operation's name, int32 [2]."""
    return tf.random.fold_in(seed, zlib.crc32(name.encode()) & 0x7FFFFFFF)
