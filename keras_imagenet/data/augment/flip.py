"""Mirror images."""

import tensorflow as tf

from keras_imagenet.data.augment.seeds import uniform


def flip(image: tf.Tensor, seed: tf.Tensor, horizontally: bool, vertically: bool) -> tf.Tensor:
    """Mirror an image [h, w, c] along each named axis with probability 1/2; seed int32 [2]."""
    draws = tf.random.stateless_uniform((2,), seed)
    if horizontally:
        image = tf.cond(draws[0] < 0.5, lambda: tf.reverse(image, (1,)), lambda image=image: image)
    if vertically:
        upright = image
        image = tf.cond(draws[1] < 0.5, lambda: tf.reverse(upright, (0,)), lambda: upright)
    return image


def mirrored(seeds: tf.Tensor) -> tf.Tensor:
    """Which of the examples with these seeds, int32 [n, 2], `flip` mirrors left to right: bool [n]."""
    return uniform(seeds, 2)[:, 0] < 0.5
