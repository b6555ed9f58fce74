"""Rotation about the centre."""

import math

import tensorflow as tf

from keras_imagenet.data.augment.affine import rotate, transform


def rotation(image: tf.Tensor, seed: tf.Tensor, degrees: float) -> tf.Tensor:
    """Rotate an image uint8 [h, w, c] by an angle uniform in [-degrees, degrees], bilinear, black around it.

    seed: int32 [2].
    """
    angle = tf.random.stateless_uniform((), seed, -degrees, degrees) * (math.pi / 180)
    return transform(image, rotate(angle, tf.shape(image)), fill=(0,) * image.shape[-1])
