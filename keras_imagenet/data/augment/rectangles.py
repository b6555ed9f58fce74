"""Rectangles of the images of a batch, and other content in their place."""

from functools import reduce

import tensorflow as tf


def replaced(images: tf.Tensor, rectangles: tf.Tensor, content: tf.Tensor) -> tf.Tensor:
    """Images with the content wherever one of their m rectangles lies.

    By rows of all channels, [b, h, w c]: broadcasting along three channels costs TensorFlow five times as much.

    Args:
        images: [b, h, w, c].
        rectangles: int32 [b, m, 4], top, left, bottom and right in pixels; bottom and right lie outside.
        content: of the images' dtype; a scalar, or of a shape that broadcasts to theirs.
    """
    batch, height, width, channels = tf.shape(images)[0], *images.shape[1:]
    rows = (batch, height, width * channels)
    corners = tf.cast(rectangles, tf.float32)  # which GPUs compare; TensorFlow has them leave int32 to the CPU
    inside = [_inside(one, (height, width), channels) for one in tf.unstack(corners, axis=1)]
    if content.shape.rank:
        content = tf.reshape(tf.broadcast_to(content, tf.shape(images)), rows)
    return tf.reshape(
        tf.where(reduce(tf.logical_or, inside), content, tf.reshape(images, rows)), (batch, height, width, channels)
    )


def _inside(corners: tf.Tensor, size: tuple[int, int], channels: int) -> tf.Tensor:
    """Which values lie within a rectangle of each image, float32 [b, 4]: bool [b, h, w c]."""
    top, left, bottom, right = tf.split(corners, 4, axis=1)
    rows, columns = (tf.range(float(side)) for side in size)
    in_columns = tf.repeat((columns >= left) & (columns < right), channels, axis=1)
    return ((rows >= top) & (rows < bottom))[:, :, tf.newaxis] & in_columns[:, tf.newaxis]
