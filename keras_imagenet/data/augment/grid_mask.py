"""GridMask (arXiv:2001.04086): squares of a regular grid taken out of an image."""

import math

import tensorflow as tf

from keras_imagenet.data.augment.operations import Fill


def grid_mask(
    image: tf.Tensor,
    seed: tf.Tensor,
    fill: Fill,
    *,
    probability: float,
    ratio: float,
    unit: tuple[int, int],
    rotation: float = 0.0,
) -> tf.Tensor:
    """With `probability` fill a grid of squares of an image uint8 [h, w, c]; seed int32 [2].

    The grid's unit is a whole number d of pixels uniform in `unit`, both ends included; of each unit round(ratio d) pixels
    are kept along each axis (the paper's r), the square of the rest is filled. The grid starts anywhere in 0..d - 1 along
    each axis, and is turned about the image's centre by an angle uniform in 0..rotation degrees. The fill is the mean's
    colour where the paper has 0 after normalising.
    """
    draws = tf.random.stateless_uniform((4,), seed)
    side = tf.cast(unit[0] + tf.floor(draws[1] * (unit[1] - unit[0] + 1)), tf.int32)
    start = tf.cast(tf.floor(draws[2:] * tf.cast(side, tf.float32)), tf.int32)

    def masked() -> tf.Tensor:
        angle = None
        if rotation:
            angle = math.radians(rotation) * tf.random.stateless_uniform((), tf.random.fold_in(seed, 1))
        dropped = dropped_squares(tf.shape(image)[:2], side, ratio, start, angle)
        return tf.where(dropped[..., tf.newaxis], tf.constant(fill, tf.uint8), image)

    return tf.cond(draws[0] < probability, masked, lambda: tf.identity(image))


def dropped_squares(
    size: tf.Tensor, unit: tf.Tensor, ratio: float, start: tf.Tensor, angle: tf.Tensor | None = None
) -> tf.Tensor:
    """The pixels in the grid's squares: bool [h, w]; size, start int32 [2], unit int32 scalar.

    angle: float32 scalar in radians by which the grid is turned counterclockwise about the centre; upright if None. A pixel
    belongs to the square that the pixel of the upright grid nearest to it does.
    """
    kept = tf.cast(tf.floor(ratio * tf.cast(unit, tf.float32) + 0.5), tf.int32)
    rows, columns = tf.range(size[0])[:, tf.newaxis], tf.range(size[1])[tf.newaxis]
    if angle is not None:
        middle = tf.cast(size - 1, tf.float32) / 2
        down, right = tf.cast(rows, tf.float32) - middle[0], tf.cast(columns, tf.float32) - middle[1]
        sine, cosine = tf.sin(angle), tf.cos(angle)
        rows = tf.cast(tf.floor(sine * right + cosine * down + middle[0] + 0.5), tf.int32)
        columns = tf.cast(tf.floor(cosine * right - sine * down + middle[1] + 0.5), tf.int32)
    in_rows, in_columns = ((place - start[axis]) % unit >= kept for axis, place in enumerate((rows, columns)))
    return in_rows & in_columns
