"""A rectangle of each image of a batch, as the rows and the columns it takes, and other content in its place."""

import tensorflow as tf


def sides(start: tf.Tensor, stop: tf.Tensor, size: tuple[int, int]) -> tuple[tf.Tensor, tf.Tensor]:
    """Which rows and columns lie within corners: bool [b, h] and [b, w].

    start, stop: float [b, 2], (row, column) of whole numbers; stop lies outside. size: height and width.
    """
    rows, columns = (tf.range(float(side)) for side in size)
    return (
        (rows >= start[:, :1]) & (rows < stop[:, :1]),
        (columns >= start[:, 1:]) & (columns < stop[:, 1:]),
    )


def replaced(images: tf.Tensor, in_rows: tf.Tensor, in_columns: tf.Tensor, content: tf.Tensor) -> tf.Tensor:
    """Images with the content where both row and column are a rectangle's.

    By rows of all channels, [b, h, w c]: broadcasting along three channels costs TensorFlow five times as much.

    Args:
        images: [b, h, w, c].
        in_rows: bool [b, h].
        in_columns: bool [b, w].
        content: of the images' dtype; a scalar, or of a shape that broadcasts to theirs.
    """
    batch, height, width, channels = tf.shape(images)[0], *images.shape[1:]
    rows = (batch, height, width * channels)
    mask = in_rows[:, :, tf.newaxis] & tf.repeat(in_columns, channels, axis=1)[:, tf.newaxis]
    if content.shape.rank:
        content = tf.reshape(tf.broadcast_to(content, tf.shape(images)), rows)
    return tf.reshape(tf.where(mask, content, tf.reshape(images, rows)), (batch, height, width, channels))
