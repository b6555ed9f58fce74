"""RandAugment and TrivialAugment: which operations, how strong, how many.

RandAugment: arXiv:1909.13719. Two parameterisations are in use and named after where they are: timm's
(`rand-m9-n2-mstd0.5-inc1`: strengths drawn from a normal distribution, each operation applied with probability 1/2, what
has no pixels filled with the mean's colour) and torchvision's (31 strengths, always applied, filled with black). TrivialAugment-wide:
arXiv:2103.10158.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import tensorflow as tf

from keras_imagenet.data.augment import operations
from keras_imagenet.data.augment.seeds import fold
from keras_imagenet.data.images.branches import apart

BINS = 31


class Choice(NamedTuple):
    """An operation of a policy: its function, and its argument from a level in 0..1 and a sign of +1 or -1."""

    name: str
    apply: Callable[[tf.Tensor, tf.Tensor, operations.Fill], tf.Tensor]
    argument: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


def rand_augment_timm(
    image: tf.Tensor,
    seed: tf.Tensor,
    fill: operations.Fill,
    *,
    count: int = 2,
    magnitude: float = 9.0,
    deviation: float = 0.5,
    increasing: bool = True,
    probability: float = 0.5,
) -> tf.Tensor:
    """timm's RandAugment on an image uint8 [h, w, c]; seed int32 [2].

    `count` operations are drawn with replacement; each acts with the given probability and a strength drawn from the
    normal distribution (magnitude, deviation), cut to 0..10; a deviation of 100 or more means uniform in 0..magnitude.
    """
    choices = timm_choices(increasing)
    for step in range(count):
        draws = tf.random.stateless_uniform((4,), fold(seed, step))
        if deviation >= 100:
            strength = magnitude * draws[3]
        else:
            strength = magnitude + deviation * tf.random.stateless_normal((), fold(seed, step + count))
        level = tf.clip_by_value(strength, 0.0, 10.0) / 10
        index = tf.where(draws[0] < probability, tf.cast(draws[1] * len(choices), tf.int32), len(choices))
        image = apply(image, choices, index, level, tf.where(draws[2] < 0.5, -1.0, 1.0), fill)
    return image


def rand_augment_torchvision(
    image: tf.Tensor, seed: tf.Tensor, fill: operations.Fill, *, count: int = 2, magnitude: int = 9
) -> tf.Tensor:
    """torchvision's RandAugment on an image uint8 [h, w, c]: `count` operations at the given of 31 strengths."""
    choices = torchvision_choices(wide=False, size=image.shape[:2])
    for step in range(count):
        draws = tf.random.stateless_uniform((2,), fold(seed, step))
        index = tf.cast(draws[0] * len(choices), tf.int32)
        level = tf.constant(magnitude / (BINS - 1))
        image = apply(image, choices, index, level, tf.where(draws[1] < 0.5, -1.0, 1.0), fill)
    return image


def trivial_augment_wide(image: tf.Tensor, seed: tf.Tensor, fill: operations.Fill) -> tf.Tensor:
    """One operation, uniform over 14, its strength uniform over 31, on an image uint8 [h, w, c]; seed int32 [2]."""
    choices = torchvision_choices(wide=True, size=image.shape[:2])
    draws = tf.random.stateless_uniform((3,), seed)
    index = tf.cast(draws[0] * len(choices), tf.int32)
    level = tf.floor(draws[1] * BINS) / (BINS - 1)
    return apply(image, choices, index, level, tf.where(draws[2] < 0.5, -1.0, 1.0), fill)


def timm_choices(increasing: bool) -> list[Choice]:
    """timm's fifteen operations; `increasing` makes each grow stronger with its level."""
    if increasing:
        enhanced = _signed(lambda level: 0.9 * level, around=1.0, least=0.1)
        bits = _plain(lambda level: 4 - tf.floor(4 * level))
        threshold = _plain(lambda level: 256 - tf.floor(256 * level))
    else:
        enhanced = _plain(lambda level: 1.8 * level + 0.1)
        bits = _plain(lambda level: tf.floor(4 * level))
        threshold = _plain(lambda level: tf.floor(256 * level))
    return [
        Choice("auto_contrast", operations.auto_contrast, nothing),
        Choice("equalize", operations.equalize, nothing),
        Choice("invert", operations.invert, nothing),
        Choice("rotate", operations.rotate, _signed(lambda level: 30 * level)),
        Choice("posterize", operations.posterize, bits),
        Choice("solarize", operations.solarize, threshold),
        Choice("solarize_add", operations.solarize_add, _plain(lambda level: tf.floor(110 * level))),
        Choice("saturation", operations.saturation, enhanced),
        Choice("contrast", operations.contrast, enhanced),
        Choice("brightness", operations.brightness, enhanced),
        Choice("sharpness", operations.sharpness, enhanced),
        Choice("shear_x", operations.shear_x, _signed(lambda level: 0.3 * level)),
        Choice("shear_y", operations.shear_y, _signed(lambda level: 0.3 * level)),
        Choice("translate_x", operations.translate_x, _signed(lambda level: 0.45 * level)),
        Choice("translate_y", operations.translate_y, _signed(lambda level: 0.45 * level)),
    ]


def torchvision_choices(wide: bool, size: Sequence[int]) -> list[Choice]:
    """torchvision's fourteen operations; `wide` for TrivialAugment's ranges. size: height and width of the images."""
    height, width = size
    shear, turn, enhance, bits = (0.99, 135.0, 0.99, 6) if wide else (0.3, 30.0, 0.9, 4)
    # Whole pixels, to the right and downwards: 32 of any image, or 150 of 331.
    largest_x, largest_y = (32.0, 32.0) if wide else (150 / 331 * width, 150 / 331 * height)
    enhanced = _signed(lambda level: enhance * level, around=1.0)
    return [
        Choice("identity", operations.identity, nothing),
        Choice("shear_x", operations.shear_x, _signed(lambda level: shear * level)),
        Choice("shear_y", operations.shear_y, _signed(lambda level: shear * level)),
        Choice("translate_x", operations.translate_x, _signed(lambda level: -tf.floor(largest_x * level) / width)),
        Choice("translate_y", operations.translate_y, _signed(lambda level: -tf.floor(largest_y * level) / height)),
        Choice("rotate", operations.rotate, _signed(lambda level: turn * level)),
        Choice("brightness", operations.brightness, enhanced),
        Choice("saturation", operations.saturation, enhanced),
        Choice("contrast", operations.contrast, enhanced),
        Choice("sharpness", operations.sharpness, enhanced),
        Choice("posterize", operations.posterize, _plain(lambda level: 8 - tf.round(bits * level))),
        Choice("solarize", operations.solarize, _plain(lambda level: 255 * (1 - level))),
        Choice("auto_contrast", operations.auto_contrast, nothing),
        Choice("equalize", operations.equalize, nothing),
    ]


def apply(
    image: tf.Tensor, choices: list[Choice], index: tf.Tensor, level: tf.Tensor, sign: tf.Tensor, fill: operations.Fill
) -> tf.Tensor:
    """The chosen operation; an index beyond the last leaves the image as it is."""

    def branch(choice: Choice) -> Callable[[], tf.Tensor]:
        return apart(lambda: tf.ensure_shape(choice.apply(image, choice.argument(level, sign), fill), image.shape))

    return tf.switch_case(index, [*map(branch, choices), lambda: tf.identity(image)])


def nothing(level: tf.Tensor, sign: tf.Tensor) -> tf.Tensor:
    """The argument of an operation that takes none."""
    return tf.zeros(())


def _plain(of: Callable[[tf.Tensor], tf.Tensor]) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    return lambda level, sign: of(level)


def _signed(
    of: Callable[[tf.Tensor], tf.Tensor], around: float = 0.0, least: float = float("-inf")
) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    return lambda level, sign: tf.maximum(around + sign * of(level), least)
