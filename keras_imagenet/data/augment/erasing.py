"""Random erasing (arXiv:1708.04896) of normalised images: rectangles drawn on the host, erased on the device."""

import numpy as np
import tensorflow as tf

from keras_imagenet.data import order
from keras_imagenet.data.augment.noise import normal
from keras_imagenet.data.augment.rectangles import replaced
from keras_imagenet.settings.augment import RandomErasing

_ATTEMPTS = 10


def draw(settings: RandomErasing, seeds: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The rectangles that k images lose, as timm's RandomErasing draws them.

    An image is chosen with `probability`; it loses 1 to `count` rectangles (drawn evenly), each of a share of the area
    uniform in `area` over the rectangles' number and an aspect (height / width) log-uniform in `aspect`; of ten draws the
    first that is smaller than the image counts, and if there is none nothing happens.

    Args:
        settings: what is asked for.
        seeds: int32 [k, 2], each example's own.
        size: height and width.

    Returns:
        int32 [k, count, 4], top, left, bottom and right in pixels; bottom and right lie outside, and empty rectangles are none.
    """
    per_rectangle = 2 * _ATTEMPTS + 2
    draws = order.uniform(order.keys_of(seeds), "random_erasing", (1 + settings.count) * per_rectangle)
    draws = draws.reshape(-1, 1 + settings.count, per_rectangle)
    active, number = draws[:, 0, :1] < settings.probability, 1 + np.floor(draws[:, 0, 1:2] * settings.count)
    acts = active & (np.arange(settings.count) < number)  # [k, count]
    shares, ratios, places = np.split(draws[:, 1:], (_ATTEMPTS, 2 * _ATTEMPTS), axis=2)

    whole = np.asarray(size, np.float64)
    areas = _between(settings.area, shares) / number[..., None] * whole.prod()
    ratios = np.exp(_between(np.log(settings.aspect), ratios))
    extents = np.rint(np.sqrt(np.stack((areas * ratios, areas / ratios), axis=3)))  # [k, count, attempts, 2]
    fits = (extents < whole).all(axis=3)
    extent = np.take_along_axis(extents, fits.argmax(axis=2)[..., None, None], axis=2)[:, :, 0]
    extent *= (fits.any(axis=2) & acts)[..., None]
    start = np.floor(places * (whole - extent + 1))
    return np.concatenate((start, start + extent), axis=2).astype(np.int32)


def erase(images: tf.Tensor, rectangles: tf.Tensor, seeds: tf.Tensor, mode: str) -> tf.Tensor:
    """Replace the rectangles that `draw` drew.

    Args:
        images: float [b, h, w, c], normalised.
        rectangles: int32 [b, count, 4].
        seeds: int32 [b, 2], each example's own, from which its colours and noise come.
        mode: zero and const fill with 0, the mean's colour; rand with one normal colour a rectangle; pixel with normal noise
            a value.

    Returns:
        float [b, h, w, c].
    """
    if mode in ("zero", "const"):
        return replaced(images, rectangles, tf.zeros((), images.dtype))
    _, height, width, channels = images.shape
    if mode == "pixel":
        noise = tf.reshape(normal(seeds, height * width * channels), (-1, height, width, channels))
        return replaced(images, rectangles, tf.cast(noise, images.dtype))
    count = rectangles.shape[1]
    colours = tf.cast(tf.reshape(normal(seeds, count * channels), (-1, count, 1, 1, channels)), images.dtype)
    for number in range(count):
        images = replaced(images, rectangles[:, number : number + 1], colours[:, number])
    return images


def _between(ends: tuple[float, float] | np.ndarray, shares: np.ndarray) -> np.ndarray:
    return ends[0] + (ends[1] - ends[0]) * shares
