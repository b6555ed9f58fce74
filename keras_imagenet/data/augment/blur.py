"""Gaussian blur."""

import tensorflow as tf

RADIUS = 6
"""Taps on each side: three standard deviations of the strongest blur in use, 2 pixels."""


def gaussian_blur(image: tf.Tensor, sigma: tf.Tensor) -> tf.Tensor:
    """An image uint8 [h, w, c] under a Gaussian of `sigma` pixels (above 0 and up to 2), rounded; uint8 [h, w, c].

    The kernel is cut off after RADIUS pixels and scaled to sum 1; the border is mirrored without repeating the edge.
    """
    channels = image.shape[-1]
    pixels = tf.cast(image, tf.float32)
    for axis in (0, 1):
        radius = min(RADIUS, image.shape[axis] - 1)
        weights = tf.exp(-0.5 * (tf.range(-radius, radius + 1, dtype=tf.float32) / sigma) ** 2)
        weights /= tf.reduce_sum(weights)
        edges = [(0, 0), (0, 0), (0, 0)]
        edges[axis] = (radius, radius)
        pixels = tf.pad(pixels, edges, "REFLECT")
        shape = (-1, 1, 1, 1) if axis == 0 else (1, -1, 1, 1)
        taps = tf.tile(tf.reshape(weights, shape), (1, 1, channels, 1))
        pixels = tf.nn.depthwise_conv2d(pixels[tf.newaxis], taps, (1, 1, 1, 1), "VALID")[0]
    return tf.cast(tf.clip_by_value(tf.round(pixels), 0, 255), tf.uint8)
