"""A border and a random crop back to the size: the augmentation of CIFAR (arXiv:1512.03385 section 4.2)."""

import tensorflow as tf


def pad_crop(images: tf.Tensor, seeds: tf.Tensor, padding: int, border: str = "zeros") -> tf.Tensor:
    """Pad images [n, h, w, c] with `padding` pixels on each side, cut their size out at random; seeds int32 [n, 2].

    border: black pixels (zeros), or the image's own, mirrored at its edge (reflect).
    """
    edges = (padding, padding)
    padded = tf.unstack(
        tf.pad(images, ((0, 0), edges, edges, (0, 0)), "REFLECT" if border == "reflect" else "CONSTANT")
    )
    crops = []
    for image, seed in zip(padded, tf.unstack(seeds), strict=True):
        corner = tf.raw_ops.StatelessRandomUniformInt(shape=(2,), seed=seed, minval=0, maxval=2 * padding + 1)
        crops.append(tf.slice(image, tf.pad(corner, ((0, 1),)), images.shape[1:]))
    return tf.stack(crops)
