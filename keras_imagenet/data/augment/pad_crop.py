"""A border and a random crop back to the size: the augmentation of CIFAR (arXiv:1512.03385 section 4.2)."""

import tensorflow as tf


def pad_crop(image: tf.Tensor, seed: tf.Tensor, padding: int) -> tf.Tensor:
    """Pad an image [h, w, c] with `padding` black pixels on each side, cut its size out at random; seed int32 [2]."""
    corner = tf.random.stateless_uniform((2,), seed, maxval=2 * padding + 1, dtype=tf.int32)
    padded = tf.pad(image, ((padding, padding), (padding, padding), (0, 0)))
    return tf.slice(padded, tf.concat((corner, [0]), axis=0), tf.shape(image))
