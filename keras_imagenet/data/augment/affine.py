"""Affine maps of an image, written as Pillow's Image.transform takes them: from output to input coordinates.

A map is float32 [6], (a, b, c, d, e, f): the output pixel whose centre is (x + 0.5, y + 0.5) takes its value from
(a x + b y + c, d x + e y + f), again of centres.
"""

import tensorflow as tf


def rotate(angle: tf.Tensor, shape: tf.Tensor) -> tf.Tensor:
    """A turn about the centre by an angle in radians, counter-clockwise where it is positive, as Pillow's rotate."""
    cosine, sine = tf.cos(angle), tf.sin(angle)
    middle_y, middle_x = tf.unstack(tf.cast(shape[:2], tf.float32) / 2)
    return tf.stack(
        (
            cosine,
            -sine,
            middle_x - cosine * middle_x + sine * middle_y,
            sine,
            cosine,
            middle_y - sine * middle_x - cosine * middle_y,
        )
    )


def transform(
    image: tf.Tensor, mapping: tf.Tensor, fill: tuple[int, ...], interpolation: str = "BILINEAR"
) -> tf.Tensor:
    """An image uint8 [h, w, c] under a map; output pixels whose source lies outside take the fill's colour.

    The border follows Pillow: a source within the image but beyond the outermost centres repeats the edge.
    """
    a, b, c, d, e, f = tf.unstack(mapping)
    # The operation samples corners' coordinates: shift by half a pixel on both sides.
    half = tf.stack((a, b, c + (a + b - 1) / 2, d, e, f + (d + e - 1) / 2, tf.zeros(()), tf.zeros(())))
    size = tf.shape(image)[:2]
    warped = tf.raw_ops.ImageProjectiveTransformV3(
        images=tf.cast(image, tf.float32)[tf.newaxis],
        transforms=half[tf.newaxis],
        output_shape=size,
        fill_value=0.0,
        interpolation=interpolation,
        fill_mode="NEAREST",
    )[0]
    warped = tf.cast(warped + 1e-3, tf.uint8)  # cut off, as Pillow does; the summand outweighs rounding errors
    return tf.where(_known(mapping, size)[..., tf.newaxis], warped, tf.constant(fill, tf.uint8))


def _known(mapping: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Which output pixels have their source within the image: bool [h, w]."""
    x = tf.range(0.5, tf.cast(size[1], tf.float32))
    y = tf.range(0.5, tf.cast(size[0], tf.float32))[:, tf.newaxis]
    source_x = mapping[0] * x + (mapping[1] * y + mapping[2])
    source_y = mapping[3] * x + (mapping[4] * y + mapping[5])
    width, height = tf.cast(size[1], tf.float32), tf.cast(size[0], tf.float32)
    return (source_x >= 0) & (source_x < width) & (source_y >= 0) & (source_y < height)
