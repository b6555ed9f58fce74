"""Rotation about the centre."""

import numpy as np
import tensorflow as tf

from keras_imagenet.data.augment import operations
from keras_imagenet.data.augment.pixels import changed
from keras_imagenet.data.seeds import uniform


def rotation(images: tf.Tensor, seeds: tf.Tensor, degrees: float) -> tf.Tensor:
    """Rotate images uint8 [n, h, w, c] by angles uniform in [-degrees, degrees], bilinear, black around them.

    seeds: int32 [n, 2].
    """

    def act(pixels: np.ndarray, angles: np.ndarray) -> np.ndarray:
        numbers = np.full(angles.shape, operations.NUMBERS["rotate"])
        return operations.operate(pixels, numbers, angles.astype(np.float64), (0,) * pixels.shape[-1])

    return changed(images, act, uniform(seeds, 1) * (2 * degrees) - degrees)
