"""Which part of an image training sees, as the origins of recipes draw it, and the part about the middle.

All draw an area's share and an aspect (arXiv:1409.4842 section 6), and take the first of ten draws that lies within the image.
"""

import math
from typing import Literal

import tensorflow as tf

from keras_imagenet.data.seeds import uniform

Form = Literal["torchvision", "pycls", "tensorflow"]

_ATTEMPTS = 10


def random_boxes(
    sizes: tf.Tensor,
    seeds: tf.Tensor,
    scale: tuple[float, float],
    ratio: tuple[float, float],
    form: Form = "torchvision",
    *,
    min_object_covered: float = 0.1,
    shape: tuple[int, int] = (1, 1),
    crop_fraction: float = 0.875,
) -> tf.Tensor:
    """Random boxes in images of sizes int32 [n, 2]: int32 [n, 4], top, left, height and width.

    torchvision: area uniform, aspect (width / height) log-uniform; else the largest centre crop whose aspect is allowed.
    pycls: area uniform, aspect uniform and upside down in every second draw; else the largest centre crop of the shape.
    tensorflow: aspect uniform, height uniform among those whose area is allowed, as tf.image.sample_distorted_bounding_box
    does; else what evaluation with fit=centre would see, as the code of Google's recipes has it.

    Args:
        sizes: height and width of each image.
        seeds: int32 [n, 2].
        scale: range of the box's share of the image's area.
        ratio: range of width / height.
        form: who draws so.
        min_object_covered: tensorflow's; the least share of the area, beside scale's.
        shape: height and width that the box is resized to.
        crop_fraction: share of the short side, for tensorflow's centre crop.
    """
    wholes = tf.cast(sizes, tf.float32)
    if form == "tensorflow":
        extents, places = _tensorflow_extents(wholes, uniform(seeds, 2 * _ATTEMPTS + 2), scale, ratio)
        least = min_object_covered * tf.reduce_prod(wholes, axis=1, keepdims=True)
        fits = tf.reduce_all(extents > 0, axis=2) & (tf.reduce_prod(extents, axis=2) >= least)
        centre = tf.cast(centre_boxes(sizes, shape, crop_fraction)[:, 2:], tf.float32)
    else:
        draws = uniform(seeds, (2 if form == "torchvision" else 3) * _ATTEMPTS + 2)
        extents, places = _extents(wholes, draws, scale, ratio, form), draws[:, -2:]
        fits = tf.reduce_all((extents > 0) & (extents <= wholes[:, tf.newaxis]), axis=2)
        if form == "torchvision":
            centre = tf.clip_by_value(tf.round(wholes[:, ::-1] * [1 / ratio[0], ratio[1]]), 1.0, wholes)
        else:
            centre = tf.cast(centre_boxes(sizes, shape, 1.0)[:, 2:], tf.float32)
    found = tf.reduce_any(fits, axis=1, keepdims=True)
    first = tf.gather(extents, tf.argmax(tf.cast(fits, tf.int32), axis=1), batch_dims=1)
    chosen = tf.where(found, first, centre)
    room = wholes - chosen
    # The others leave the last place out, by numpy.random.randint's and random::SimplePhilox' way of counting.
    starts = room + 1 if form == "torchvision" else room
    corner = tf.minimum(tf.floor(tf.where(found, places * starts, room / 2)), room)
    return tf.cast(tf.concat((corner, chosen), axis=1), tf.int32)


def centre_boxes(sizes: tf.Tensor, shape: tuple[int, int], crop_fraction: float) -> tf.Tensor:
    """The largest boxes of a shape's aspect, times a fraction, in the middle: int32 [n, 4] in images of sizes int32 [n, 2].

    Sides are cut off to whole pixels, starts rounded up, as in the code of Google's recipes.
    """
    wholes = tf.cast(sizes, tf.float64)
    scale = crop_fraction * tf.reduce_min(wholes / tf.constant(shape, tf.float64), axis=1, keepdims=True)
    # A hair more, so that 0.875 of 400 is 350 in whatever order it is computed.
    extents = tf.maximum(tf.cast(tf.floor(scale * tf.constant(shape, tf.float64) + 1e-6), tf.int32), 1)
    return tf.concat(((sizes - extents + 1) // 2, extents), axis=1)


def _extents(
    wholes: tf.Tensor, draws: tf.Tensor, scale: tuple[float, float], ratio: tuple[float, float], form: Form
) -> tf.Tensor:
    """Heights and widths, float32 [n, attempts, 2], torchvision's and pycls' way."""
    shares = scale[0] + (scale[1] - scale[0]) * draws[:, :_ATTEMPTS]
    drawn = draws[:, _ATTEMPTS : 2 * _ATTEMPTS]
    if form == "torchvision":
        logarithms = math.log(ratio[0]), math.log(ratio[1])
        aspects = tf.exp(logarithms[0] + (logarithms[1] - logarithms[0]) * drawn)
    else:
        aspects = ratio[0] + (ratio[1] - ratio[0]) * drawn
        aspects = tf.where(draws[:, 2 * _ATTEMPTS : -2] < 0.5, 1 / aspects, aspects)
    areas = shares * tf.reduce_prod(wholes, axis=1, keepdims=True)
    return tf.round(tf.sqrt(tf.stack((areas / aspects, areas * aspects), axis=2)))


def _tensorflow_extents(
    wholes: tf.Tensor, draws: tf.Tensor, scale: tuple[float, float], ratio: tuple[float, float]
) -> tuple[tf.Tensor, tf.Tensor]:
    """Heights and widths, float32 [n, attempts, 2], 0 where TensorFlow's kernel gives up; and places [n, 2] in 0..1."""
    height, width = wholes[:, :1], wholes[:, 1:]
    aspects = ratio[0] + (ratio[1] - ratio[0]) * draws[:, :_ATTEMPTS]
    least, most = (share * height * width for share in scale)
    highest = tf.round(tf.sqrt(most / aspects))
    too_wide = tf.round(highest * aspects) > width
    highest = tf.where(too_wide, tf.floor((width + 0.5) / aspects), highest)
    highest = tf.minimum(highest - tf.cast(tf.round(highest * aspects) > width, tf.float32), height)
    lowest = tf.minimum(tf.round(tf.sqrt(least / aspects)), highest)
    heights = lowest + tf.floor(draws[:, _ATTEMPTS:-2] * (highest - lowest + 1))
    # What rounding made too small or too large is mended by a pixel.
    heights += tf.cast(heights * tf.round(heights * aspects) < least, tf.float32)
    heights -= tf.cast(heights * tf.round(heights * aspects) > most, tf.float32)
    extents = tf.stack((heights, tf.round(heights * aspects)), axis=2)
    areas = tf.reduce_prod(extents, axis=2)
    allowed = (areas >= least) & (areas <= most) & tf.reduce_all(extents <= wholes[:, tf.newaxis], axis=2)
    return extents * tf.cast(allowed, tf.float32)[..., tf.newaxis], draws[:, -2:]
