"""The size that an image's header declares, held to a limit before anything is decoded."""

import tensorflow as tf

MAXIMUM_PIXELS = 200_000_000
"""A declared size above this is refused: such an image would take over 600 MB."""


def assert_size(size: tf.Tensor) -> tf.Operation:
    """An operation that fails where a size, int32 [..., 2], rows may run upwards, is empty or above MAXIMUM_PIXELS."""
    pixels = tf.abs(tf.reduce_prod(tf.cast(size, tf.int64), axis=-1))
    # The bare operation: tf.debugging.Assert wraps it in a condition, which costs more than the test.
    return tf.raw_ops.Assert(
        condition=tf.reduce_all((pixels > 0) & (pixels <= MAXIMUM_PIXELS)),
        data=[f"declared height and width are empty or above {MAXIMUM_PIXELS} pixels:", size],
    )
