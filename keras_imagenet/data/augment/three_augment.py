"""3-Augment's first part (arXiv:2204.07118, section 3): grey, solarized or blurred; colour jitter is a step of its own."""

import tensorflow as tf

from keras_imagenet.data.augment import color, operations
from keras_imagenet.data.augment.blur import gaussian_blur

THRESHOLD = 128.0
SIGMA = (0.1, 2.0)


def three_augment(image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """One of three changes, drawn evenly, of an image uint8 [h, w, 1 or 3]; seed int32 [2].

    Grey in every channel; the values from 128 on inverted; a Gaussian blur of a standard deviation uniform in 0.1..2
    pixels.
    """
    draws = tf.random.stateless_uniform((2,), seed)
    sigma = SIGMA[0] + (SIGMA[1] - SIGMA[0]) * draws[1]
    branches = [
        lambda: color.grey(image),
        lambda: operations.solarize(image, tf.constant(THRESHOLD), ()),
        lambda: gaussian_blur(image, sigma),
    ]
    return tf.switch_case(tf.cast(3 * draws[0], tf.int32), branches)
