"""Random erasing (arXiv:1708.04896) of normalised images, on the device."""

import math
from typing import Literal

import tensorflow as tf

from keras_imagenet.data.augment.seeds import fold

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

    def one(example: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        image, seed = example
        seed = fold(seed, "random_erasing")
        draws = tf.random.stateless_uniform((2,), seed)
        return tf.cond(draws[0] < probability, lambda: _erase(image, seed, draws[1]), lambda: image)

    def _erase(image: tf.Tensor, seed: tf.Tensor, draw: tf.Tensor) -> tf.Tensor:
        rectangles = 1 + tf.cast(draw * count, tf.int32)
        for number in range(count):
            own = fold(seed, number + 1)
            mask, found = _rectangle(tf.shape(image), own, area, aspect, rectangles)
            mask = mask & found & (number < rectangles)
            image = tf.where(mask[..., tf.newaxis], _content(image, own, mode), image)
        return image

    return tf.map_fn(one, (images, seeds), fn_output_signature=tf.TensorSpec(images.shape[1:], images.dtype))


def _rectangle(
    shape: tf.Tensor, seed: tf.Tensor, area: tuple[float, float], aspect: tuple[float, float], rectangles: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Where the rectangle is, bool [h, w], and whether one was found."""
    whole = tf.cast(shape[:2], tf.float32)
    draws = tf.random.stateless_uniform((2, _ATTEMPTS), seed)
    shares = (area[0] + (area[1] - area[0]) * draws[0]) / tf.cast(rectangles, tf.float32)
    logarithms = math.log(aspect[0]), math.log(aspect[1])
    ratios = tf.exp(logarithms[0] + (logarithms[1] - logarithms[0]) * draws[1])
    areas = shares * whole[0] * whole[1]
    sizes = tf.round(tf.sqrt(tf.stack((areas * ratios, areas / ratios), axis=1)))  # [attempts, 2]
    fits = tf.reduce_all(sizes < whole, axis=1)
    size = sizes[tf.argmax(tf.cast(fits, tf.int32))]
    corner = tf.floor(tf.random.stateless_uniform((2,), fold(seed, 0)) * (whole - size + 1))
    rows, columns = tf.range(whole[0]), tf.range(whole[1])
    in_rows = (rows >= corner[0]) & (rows < corner[0] + size[0])
    in_columns = (columns >= corner[1]) & (columns < corner[1] + size[1])
    return in_rows[:, tf.newaxis] & in_columns, tf.reduce_any(fits)


def _content(image: tf.Tensor, seed: tf.Tensor, mode: Mode) -> tf.Tensor:
    """What stands in the rectangle: float, of the image's shape or [channels]."""
    if mode in ("zero", "const"):
        return tf.zeros(image.shape[-1], image.dtype)
    shape = tf.shape(image) if mode == "pixel" else tf.shape(image)[-1:]
    return tf.cast(tf.random.stateless_normal(shape, fold(seed, 1)), image.dtype)
