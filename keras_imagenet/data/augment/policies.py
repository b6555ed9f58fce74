"""RandAugment and TrivialAugment: which operations, how strong, how many.

RandAugment: arXiv:1909.13719. The parameterisations in use are named after where they are: timm's
(`rand-m9-n2-mstd0.5-inc1`: strengths drawn from a normal distribution, each operation applied with probability 1/2, what
has no pixels filled with the mean's colour), torchvision's (31 strengths, always applied, filled with black) and Google's
(google_policies.py). TrivialAugment-wide: arXiv:2103.10158.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from keras_imagenet.data.augment import operations
from keras_imagenet.data.augment.pixels import changed
from keras_imagenet.data.seeds import fold, uniform

BINS = 31
DIGITS = 4
"""Levels are float32: a number that is whole for the level meant is so for the level drawn after rounding to these digits."""


class Choice(NamedTuple):
    """An operation of a policy by name, and its argument from a level in 0..1 and a sign of +1 or -1."""

    name: str
    argument: Callable[[float, float], float]


class Draws(NamedTuple):
    """For each of n images and k steps which of a policy's choices acts, and how: tensors or arrays [n, k]."""

    index: tf.Tensor  # int32; one beyond the last choice is none
    level: tf.Tensor  # float32 in 0..1
    sign: tf.Tensor  # float32, +1 or -1
    places: tf.Tensor | None = None  # float32 [n, k, 2] in 0..1, down and across, where an operation has a place


def rand_augment_timm(
    images: tf.Tensor,
    seeds: tf.Tensor,
    fill: operations.Fill,
    sampling: operations.Sampling = "bilinear",
    *,
    increasing: bool = True,
    **strength: float,
) -> tf.Tensor:
    """timm's RandAugment on images uint8 [n, h, w, c]; seeds int32 [n, 2]; strength as timm_draws takes it."""
    choices = timm_choices(increasing, images.shape[1:3])
    return apply(images, choices, timm_draws(seeds, len(choices), **strength), fill, sampling)


def timm_draws(
    seeds: tf.Tensor,
    choices: int,
    *,
    count: int = 2,
    magnitude: float = 9.0,
    deviation: float = 0.5,
    probability: float = 0.5,
) -> Draws:
    """`count` of so many choices, with replacement, for each of seeds int32 [n, 2].

    Each acts with the given probability and a strength drawn from the normal distribution (magnitude, deviation), cut to
    0..10; a deviation of 100 or more means uniform in 0..magnitude.
    """
    draws = tf.reshape(uniform(seeds_of(seeds, range(count)), 4), (-1, count, 4))
    if deviation >= 100:
        strength = magnitude * draws[..., 3]
    else:
        rows = tf.unstack(seeds_of(seeds, range(count, 2 * count)))
        normal = [tf.raw_ops.StatelessRandomNormal(shape=(), seed=row, dtype=tf.float32) for row in rows]
        strength = magnitude + deviation * tf.reshape(tf.stack(normal), (-1, count))
    level = tf.clip_by_value(strength, 0.0, 10.0) / 10
    index = tf.where(draws[..., 0] < probability, tf.cast(draws[..., 1] * choices, tf.int32), choices)
    return Draws(index, level, signs(draws[..., 2]))


def rand_augment_torchvision(
    images: tf.Tensor,
    seeds: tf.Tensor,
    fill: operations.Fill,
    sampling: operations.Sampling = "bilinear",
    *,
    count: int = 2,
    magnitude: int = 9,
) -> tf.Tensor:
    """torchvision's RandAugment on images uint8 [n, h, w, c]: `count` operations at the given of 31 strengths."""
    choices = torchvision_choices(wide=False, size=images.shape[1:3])
    return apply(images, choices, torchvision_draws(seeds, len(choices), count, magnitude), fill, sampling)


def torchvision_draws(seeds: tf.Tensor, choices: int, count: int, magnitude: int) -> Draws:
    """`count` of so many choices, with replacement, for each of seeds int32 [n, 2]."""
    draws = tf.reshape(uniform(seeds_of(seeds, range(count)), 2), (-1, count, 2))
    level = tf.fill(tf.shape(draws)[:2], magnitude / (BINS - 1))
    return Draws(tf.cast(draws[..., 0] * choices, tf.int32), level, signs(draws[..., 1]))


def trivial_augment_wide(
    images: tf.Tensor, seeds: tf.Tensor, fill: operations.Fill, sampling: operations.Sampling = "bilinear"
) -> tf.Tensor:
    """One operation, uniform over 14, its strength uniform over 31, on images uint8 [n, h, w, c]; seeds int32 [n, 2]."""
    choices = torchvision_choices(wide=True, size=images.shape[1:3])
    return apply(images, choices, trivial_draws(seeds, len(choices)), fill, sampling)


def trivial_draws(seeds: tf.Tensor, choices: int) -> Draws:
    """One of so many choices and of 31 strengths for each of seeds int32 [n, 2]."""
    draws = uniform(seeds, 3)[:, tf.newaxis]
    level = tf.floor(draws[..., 1] * BINS) / (BINS - 1)
    return Draws(tf.cast(draws[..., 0] * choices, tf.int32), level, signs(draws[..., 2]))


def timm_choices(increasing: bool, size: Sequence[int]) -> list[Choice]:
    """timm's fifteen operations; `increasing` makes each grow stronger with its level. size: the images' height and width."""
    height, width = size
    if increasing:
        enhanced = signed(lambda level: 0.9 * level, around=1.0, least=0.1)
        bits = plain(lambda level: 4 - math.floor(4 * level))
        threshold = plain(lambda level: 256 - math.floor(256 * level))
    else:
        enhanced = plain(lambda level: 1.8 * level + 0.1)
        bits = plain(lambda level: math.floor(4 * level))
        threshold = plain(lambda level: math.floor(256 * level))
    return [
        Choice("auto_contrast", nothing),
        Choice("equalize", nothing),
        Choice("invert", nothing),
        Choice("rotate", signed(lambda level: 30 * level)),
        Choice("posterize", bits),
        Choice("solarize", threshold),
        Choice("solarize_add", plain(lambda level: math.floor(110 * level))),
        Choice("saturation", enhanced),
        Choice("contrast", enhanced),
        Choice("brightness", enhanced),
        Choice("sharpness", enhanced),
        Choice("shear_x", signed(lambda level: 0.3 * level)),
        Choice("shear_y", signed(lambda level: 0.3 * level)),
        Choice("translate_x", signed(lambda level: 0.45 * level * width)),
        Choice("translate_y", signed(lambda level: 0.45 * level * height)),
    ]


def torchvision_choices(wide: bool, size: Sequence[int]) -> list[Choice]:
    """torchvision's fourteen operations; `wide` for TrivialAugment's ranges. size: the images' height and width."""
    height, width = size
    shear, turn, enhance, bits = (0.99, 135.0, 0.99, 6) if wide else (0.3, 30.0, 0.9, 4)
    # Whole pixels, to the right and downwards: 32 of any image, or 150 of 331.
    largest_x, largest_y = (32.0, 32.0) if wide else (150 / 331 * width, 150 / 331 * height)
    enhanced = signed(lambda level: enhance * level, around=1.0)
    return [
        Choice("identity", nothing),
        Choice("shear_x", signed(lambda level: shear * level)),
        Choice("shear_y", signed(lambda level: shear * level)),
        Choice("translate_x", signed(lambda level: -math.floor(round(largest_x * level, DIGITS)))),
        Choice("translate_y", signed(lambda level: -math.floor(round(largest_y * level, DIGITS)))),
        Choice("rotate", signed(lambda level: turn * level)),
        Choice("brightness", enhanced),
        Choice("saturation", enhanced),
        Choice("contrast", enhanced),
        Choice("sharpness", enhanced),
        Choice("posterize", plain(lambda level: 8 - round(bits * level))),
        Choice("solarize", plain(lambda level: round(255 * (1 - level), DIGITS))),
        Choice("auto_contrast", nothing),
        Choice("equalize", nothing),
    ]


def apply(
    images: tf.Tensor,
    choices: list[Choice],
    draws: Draws,
    fill: operations.Fill,
    sampling: operations.Sampling = "bilinear",
) -> tf.Tensor:
    """What was drawn, step by step, of images uint8 [n, h, w, c]."""

    def act(pixels: np.ndarray, *drawn: np.ndarray) -> np.ndarray:
        own = Draws(*drawn)
        return operations.operate(pixels, *chosen(choices, own), fill, sampling, own.places)

    return changed(images, act, *(drawn for drawn in draws if drawn is not None))


def chosen(choices: list[Choice], draws: Draws) -> tuple[np.ndarray, np.ndarray]:
    """Draws' operations by number and their arguments, int64 and float64 of their shape, as operations.operate takes them."""
    steps = zip(*(drawn.ravel().tolist() for drawn in draws[:3]), strict=True)
    none = Choice("identity", nothing)
    acting = [((*choices, none)[index], level, sign) for index, level, sign in steps]
    numbers = [operations.NUMBERS[choice.name] for choice, _, _ in acting]
    arguments = [float(choice.argument(level, sign)) for choice, level, sign in acting]
    return np.reshape(numbers, draws.index.shape), np.reshape(arguments, draws.index.shape)


def signs(draws: tf.Tensor) -> tf.Tensor:
    """-1 or +1 with probability 1/2 each, from draws in 0..1."""
    return tf.where(draws < 0.5, -1.0, 1.0)


def nothing(level: float, sign: float) -> float:
    """The argument of an operation that takes none."""
    return 0.0


def seeds_of(seeds: tf.Tensor, numbers: Sequence[int]) -> tf.Tensor:
    """The seeds int32 [n, 2] of each example's draws of these numbers: int32 [n k, 2]."""
    return tf.reshape(tf.stack([fold(seeds, number) for number in numbers], axis=1), (-1, 2))


def plain(of: Callable[[float], float]) -> Callable[[float, float], float]:
    """An argument from the level alone."""
    return lambda level, sign: of(level)


def signed(
    of: Callable[[float], float], around: float = 0.0, least: float = -math.inf
) -> Callable[[float, float], float]:
    """An argument that lies on the sign's side of `around`, and no lower than `least`."""
    return lambda level, sign: max(around + sign * of(level), least)
