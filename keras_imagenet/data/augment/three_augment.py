"""3-Augment's first part (arXiv:2204.07118, section 3): grey, solarized or blurred; colour jitter is a step of its own."""

import numpy as np
import tensorflow as tf

from keras_imagenet.data.augment import operations
from keras_imagenet.data.augment.blur import gaussian_blur
from keras_imagenet.data.augment.pixels import changed
from keras_imagenet.data.seeds import uniform

STEPS = (("saturation", 0.0), ("solarize", 128.0), ("identity", 0.0))
"""Grey, solarized, and what is to be blurred."""
SIGMA = (0.1, 2.0)


def three_augment(images: tf.Tensor, seeds: tf.Tensor) -> tf.Tensor:
    """One of three changes, drawn evenly, of each image uint8 [n, h, w, 1 or 3]; seeds int32 [n, 2].

    Grey in every channel; the values from 128 on inverted; a Gaussian blur of a standard deviation uniform in 0.1..2
    pixels.
    """

    def act(pixels: np.ndarray, draws: np.ndarray) -> np.ndarray:
        drawn = (3 * draws[:, 0]).astype(int)
        names, arguments = zip(*(STEPS[index] for index in drawn), strict=True)
        numbers = np.array([[operations.NUMBERS[name]] for name in names])
        results = operations.operate(pixels, numbers, np.array(arguments)[:, np.newaxis], (0,) * pixels.shape[-1])
        for index in np.flatnonzero(drawn == 2):
            gaussian_blur(pixels[index], SIGMA[0] + (SIGMA[1] - SIGMA[0]) * float(draws[index, 1]), results[index])
        return results

    return changed(images, act, uniform(seeds, 2))
