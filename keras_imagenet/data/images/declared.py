"""What an image's first bytes declare: its format, and a size that is held to a limit before anything is decoded."""

import tensorflow as tf

from keras_imagenet.data.images.fields import piece

MAXIMUM_PIXELS = 178_956_970
"""A declared size above this is refused, 512 MiB of RGB: TensorFlow's operation decodes no whole JPEG that is larger."""

JPEG, PNG, BMP, GIF, WEBP = range(5)
_STARTS = b"\xff\xd8\xff", b"\x89PNG", b"BM", b"GIF8"


def format_of(encoded: tf.Tensor) -> tf.Tensor:
    """JPEG, PNG, BMP, GIF or WEBP, int32 scalar. Raises tf.errors.InvalidArgumentError for the bytes of anything else."""
    head = piece(encoded, 0, 12)
    is_webp = (piece(head, 0, 4) == b"RIFF") & (piece(head, 8, 4) == b"WEBP")
    matches = tf.stack([*(piece(head, 0, len(start)) == start for start in _STARTS), is_webp])
    known = tf.raw_ops.Assert(
        condition=tf.reduce_any(matches), data=["not the start of a JPEG, PNG, BMP, GIF or WebP image"]
    )
    with tf.control_dependencies([known]):
        return tf.argmax(tf.cast(matches, tf.int32), output_type=tf.int32)


def assert_size(size: tf.Tensor, most: int = MAXIMUM_PIXELS) -> tf.Operation:
    """An operation that fails where a size, int32 [..., 2], rows may run upwards, is empty or above `most` pixels."""
    pixels = tf.abs(tf.reduce_prod(tf.cast(size, tf.int64), axis=-1))
    # The bare operation: tf.debugging.Assert wraps it in a condition, which costs more than the test.
    return tf.raw_ops.Assert(
        condition=tf.reduce_all((pixels > 0) & (pixels <= most)),
        data=[f"declared height and width are empty or above {most} pixels:", size],
    )
