"""Noise for each example of a batch from its own seed, by arithmetic on all of it at once."""

from functools import cache

import numpy as np
import tensorflow as tf


def normal(seeds: tf.Tensor, count: int) -> tf.Tensor:
    """Numbers of a standard normal distribution, float32 [b, count], each a function of its seed, int32 [b, 2], and its place.

    Two numbers come from each 32 bits: quantiles of the distribution at the middles of 2**16 equal parts, so they end at
    +-4.3. TensorFlow's own generators take one seed a call, and a call for each example is a loop.
    """
    halves = tf.reshape(tf.bitcast(_bits(seeds, -(-count // 2)), tf.uint16), (-1, count + count % 2))
    return tf.gather(tf.constant(_quantiles()), tf.cast(halves[:, :count], tf.int32))


def _bits(seeds: tf.Tensor, count: int) -> tf.Tensor:
    """Random bits, uint32 [b, count]: a sequence whose start and odd step come from the seed, scrambled.

    So works SplitMix (Steele, Lea, Flood, OOPSLA 2014, section 3), here of 32 bits.
    """
    start, step = tf.split(_scrambled(tf.bitcast(seeds, tf.uint32)), 2, axis=1)
    return _scrambled(start + tf.cast(tf.range(count), tf.uint32) * (step | np.uint32(1)))


def _scrambled(bits: tf.Tensor) -> tf.Tensor:
    """A bijection of uint32 after which every bit depends on all: the end of MurmurHash3 (A. Appleby), of 32 bits."""
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        bits = _shifted(bits, shift) * np.uint32(factor)
    return _shifted(bits, 16)


def _shifted(bits: tf.Tensor, shift: int) -> tf.Tensor:
    return tf.bitwise.bitwise_xor(bits, tf.bitwise.right_shift(bits, np.uint32(shift)))


@cache
def _quantiles() -> np.ndarray:
    from scipy.special import ndtri

    return ndtri((np.arange(2**16) + 0.5) / 2**16).astype(np.float32)
