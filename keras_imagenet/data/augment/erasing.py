"""Random erasing (arXiv:1708.04896) of normalised images, on the device."""

import math
from typing import Literal

import tensorflow as tf

from keras_imagenet.data.augment.rectangles import replaced, sides
from keras_imagenet.data.seeds import fold

Mode = Literal["zero", "const", "rand", "pixel"]

_ATTEMPTS = 10


def erase(
    images: tf.Tensor,
    seeds: tf.Tensor,
    *,
    probability: float,
    mode: Mode = "pixel",
    area: tuple[float, float] = (0.02, 1 / 3),
    aspect: tuple[float, float] = (0.3, 1 / 0.3),
    count: int = 1,
) -> tf.Tensor:
    """Replace random rectangles of a batch, as timm's RandomErasing draws them.

    An image is chosen with `probability`; it loses 1 to `count` rectangles (drawn evenly), each of a share of the area
    uniform in `area` over the rectangles' number and an aspect (height / width) log-uniform in `aspect`; of ten draws the
    first that is smaller than the image counts, and if there is none nothing happens.

    Args:
        images: float [b, h, w, c], normalised.
        seeds: int32 [b, 2], each example's own.
        mode: zero and const fill with 0, the mean's colour; rand with one normal colour a rectangle; pixel with normal noise
            a value.

    Returns:
        float [b, h, w, c].
    """
    _, height, width, _ = images.shape
    draws = _draws(seeds, count)
    active = draws[:, 0, 0] < probability
    rectangles = 1 + tf.cast(draws[:, 0, 1] * count, tf.int32)
    for number in range(count):
        acts = active & (number < rectangles)
        in_rows, in_columns = _rectangles((height, width), draws[:, number + 1], area, aspect, rectangles)
        content = _content(images, acts, seeds, number, mode)
        images = replaced(images, in_rows & acts[:, tf.newaxis], in_columns, content)
    return images


def _draws(seeds: tf.Tensor, count: int) -> tf.Tensor:
    """Uniform numbers, float32 [b, 1 + count, 2 attempts + 2]: a row for the image, and one for each rectangle."""
    shape = (1 + count, 2 * _ATTEMPTS + 2)

    def of_example(seed: tf.Tensor) -> tf.Tensor:
        return tf.random.stateless_uniform(shape, fold(seed, "random_erasing"))

    return tf.map_fn(of_example, seeds, fn_output_signature=tf.TensorSpec(shape, tf.float32))


def _rectangles(
    size: tuple[int, int], draws: tf.Tensor, area: tuple[float, float], aspect: tuple[float, float], number: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Which rows and columns a rectangle of each image takes, bool [b, h] and [b, w]; none where no attempt fits.

    size: height and width. draws: float32 [b, 2 attempts + 2]. number: int32 [b], how many share the area.
    """
    whole = tf.constant(size, tf.float32)
    shares = (area[0] + (area[1] - area[0]) * draws[:, :_ATTEMPTS]) / tf.cast(number, tf.float32)[:, tf.newaxis]
    logarithms = math.log(aspect[0]), math.log(aspect[1])
    ratios = tf.exp(logarithms[0] + (logarithms[1] - logarithms[0]) * draws[:, _ATTEMPTS:-2])
    areas = shares * (size[0] * size[1])
    sizes = tf.round(tf.sqrt(tf.stack((areas * ratios, areas / ratios), axis=2)))  # [b, attempts, 2]
    fits = tf.cast(tf.reduce_all(sizes < whole, axis=2), tf.int32)
    extent = tf.gather(sizes, tf.argmax(fits, axis=1), batch_dims=1)
    extent *= tf.cast(tf.reduce_max(fits, axis=1, keepdims=True), tf.float32)
    start = tf.floor(draws[:, -2:] * (whole - extent + 1))
    return sides(start, start + extent, size)


def _content(images: tf.Tensor, acts: tf.Tensor, seeds: tf.Tensor, number: int, mode: Mode) -> tf.Tensor:
    """What stands in the rectangles: float, a scalar, or [b, h, w, c] or [b, 1, 1, c], of images that `acts` names."""
    if mode in ("zero", "const"):
        return tf.zeros((), images.dtype)
    shape = images.shape[1:] if mode == "pixel" else (1, 1, images.shape[-1])

    def of_example(example: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        seed, act = example
        own = fold(fold(seed, "random_erasing"), number + 1)
        return tf.cond(act, lambda: tf.random.stateless_normal(shape, own), lambda: tf.zeros(shape))

    noise = tf.map_fn(of_example, (seeds, acts), fn_output_signature=tf.TensorSpec(shape, tf.float32))
    return tf.cast(noise, images.dtype)
