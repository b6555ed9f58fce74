"""GridMask (arXiv:2001.04086): squares of a regular grid taken out of an image."""

import tensorflow as tf

from keras_imagenet.data.augment.operations import Fill


def grid_mask(
    image: tf.Tensor, seed: tf.Tensor, fill: Fill, *, probability: float, ratio: float, unit: tuple[int, int]
) -> tf.Tensor:
    """With `probability` fill a grid of squares of an image uint8 [h, w, c]; seed int32 [2].

    The grid's unit is a whole number d of pixels uniform in `unit`, both ends included; of each unit round(ratio d) pixels
    are kept along each axis (the paper's r), the square of the rest is filled. The grid starts anywhere in 0..d - 1 along
    each axis. The fill is the mean's colour where the paper has 0 after normalising.
    """
    draws = tf.random.stateless_uniform((4,), seed)
    side = tf.cast(unit[0] + tf.floor(draws[1] * (unit[1] - unit[0] + 1)), tf.int32)
    start = tf.cast(tf.floor(draws[2:] * tf.cast(side, tf.float32)), tf.int32)

    def masked() -> tf.Tensor:
        dropped = dropped_squares(tf.shape(image)[:2], side, ratio, start)
        return tf.where(dropped[..., tf.newaxis], tf.constant(fill, tf.uint8), image)

    return tf.cond(draws[0] < probability, masked, lambda: tf.identity(image))


def dropped_squares(size: tf.Tensor, unit: tf.Tensor, ratio: float, start: tf.Tensor) -> tf.Tensor:
    """The pixels in the grid's squares: bool [h, w]; size, start int32 [2], unit int32 scalar."""
    kept = tf.cast(tf.floor(ratio * tf.cast(unit, tf.float32) + 0.5), tf.int32)
    rows, columns = ((tf.range(size[axis]) - start[axis]) % unit >= kept for axis in (0, 1))
    return rows[:, tf.newaxis] & columns
