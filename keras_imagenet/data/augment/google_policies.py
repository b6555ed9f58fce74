"""Google's RandAugment (arXiv:1909.13719) and AutoAugment (arXiv:1805.09501), as tensorflow/tpu wrote them and others copied them.

Their own arithmetic: maps take the nearest pixel and fill with grey, contrast blends with a grey of pixels / 256, strengths go
beyond 10. Two copies differ: big_vision's and automl's choose among the operations, Model Garden's among them and doing
nothing. Each draws a probability for every operation too, and never uses it. Where TensorFlow's own conversions to grey
and to 8 bits round otherwise than Pillow, saturation and sharpness are Pillow's, a level or two off.
"""

import math
from collections.abc import Sequence

import tensorflow as tf

from keras_imagenet.data.augment import auto_augment, policies
from keras_imagenet.data.augment.policies import Choice, Draws, nothing, plain, signed
from keras_imagenet.data.seeds import uniform

GREY = 128
STRENGTHS = 10
CUTOUT, TRANSLATE = 40, 100
"""Pixels at strength 10 in RandAugment: half a square's side, and a shift."""
V0_CUTOUT, V0_TRANSLATE = 100, 250

# Two operations a line, each with its probability and its strength of 10.
V0 = (
    ("equalize 0.8 1", "shear_y 0.8 4"),
    ("saturation 0.4 9", "equalize 0.6 3"),
    ("saturation 0.4 1", "rotate 0.6 8"),
    ("solarize 0.8 3", "equalize 0.4 7"),
    ("solarize 0.4 2", "solarize 0.6 2"),
    ("saturation 0.2 0", "equalize 0.8 8"),
    ("equalize 0.4 8", "solarize_add 0.8 3"),
    ("shear_x 0.2 9", "rotate 0.6 8"),
    ("saturation 0.6 1", "equalize 1.0 2"),
    ("invert 0.4 9", "rotate 0.6 0"),
    ("equalize 1.0 9", "shear_y 0.6 3"),
    ("saturation 0.4 7", "equalize 0.6 0"),
    ("posterize 0.4 6", "auto_contrast 0.4 7"),
    ("solarize 0.6 8", "saturation 0.6 9"),
    ("solarize 0.2 4", "rotate 0.8 9"),
    ("rotate 1.0 7", "translate_y 0.8 9"),
    ("shear_x 0.0 0", "solarize 0.8 4"),
    ("shear_y 0.8 0", "saturation 0.6 4"),
    ("saturation 1.0 0", "rotate 0.6 2"),
    ("equalize 0.8 4", "equalize 0.0 8"),
    ("equalize 1.0 4", "auto_contrast 0.6 2"),
    ("shear_y 0.4 7", "solarize_add 0.6 7"),
    ("posterize 0.8 2", "solarize 0.6 10"),
    ("solarize 0.6 8", "equalize 0.6 1"),
    ("saturation 0.8 6", "rotate 0.4 5"),
)


def rand_augment_google(
    images: tf.Tensor,
    seeds: tf.Tensor,
    *,
    count: int = 2,
    magnitude: float = 10.0,
    probability: float = 1.0,
    exclude: Sequence[str] = (),
    translate: float = TRANSLATE,
    cutout: float = CUTOUT,
    or_nothing: bool = False,
) -> tf.Tensor:
    """`count` of sixteen operations on images uint8 [n, h, w, c]; seeds int32 [n, 2].

    magnitude: 10 is an operation's full strength. probability: how often each acts. exclude: names that are not chosen.
    translate, cutout: pixels at magnitude 10. or_nothing: whether doing nothing is one more choice.
    """
    choices = [
        choice for choice in google_choices(translate, cutout) if choice.name.removesuffix("_with_count") not in exclude
    ]
    draws = google_draws(seeds, len(choices), count, magnitude, probability, or_nothing)
    return policies.apply(images, choices, draws, (GREY,) * images.shape[-1], "nearest")


def google_draws(
    seeds: tf.Tensor, choices: int, count: int, magnitude: float, probability: float, or_nothing: bool
) -> Draws:
    """`count` of so many choices, with replacement, for each of seeds int32 [n, 2]."""
    draws = tf.reshape(uniform(policies.seeds_of(seeds, range(count)), 5), (-1, count, 5))
    index = tf.cast(draws[..., 0] * (choices + or_nothing), tf.int32)
    acting = tf.where(draws[..., 1] < probability, index, choices)
    level = tf.fill(tf.shape(acting), magnitude / STRENGTHS)
    return Draws(acting, level, policies.signs(draws[..., 2]), draws[..., 3:])


def auto_augment_v0(images: tf.Tensor, seeds: tf.Tensor) -> tf.Tensor:
    """One of v0's 25 pairs of operations, drawn evenly, on images uint8 [n, h, w, c]; seeds int32 [n, 2]."""
    choices = google_choices(V0_TRANSLATE, V0_CUTOUT)
    draws = auto_augment.pair_draws(seeds, choices, V0, STRENGTHS)
    return policies.apply(images, choices, draws, (GREY,) * images.shape[-1], "nearest")


def google_choices(translate: float, cutout: float) -> list[Choice]:
    """The sixteen operations; their arguments from a level of strength / 10. translate, cutout: pixels at level 1."""
    enhanced = plain(lambda level: 1.8 * level + 0.1)
    shear, shift = signed(lambda level: 0.3 * level), signed(lambda level: translate * level)
    return [
        Choice("auto_contrast", nothing),
        Choice("equalize", nothing),
        Choice("invert", nothing),
        Choice("rotate", signed(lambda level: 30 * level)),
        # TensorFlow shifts an 8-bit number by 7 where it is told 8: no bits are one bit.
        Choice("posterize", plain(lambda level: min(max(_whole(4 * level), 1), 8))),
        Choice("solarize", plain(lambda level: _whole(256 * level))),
        Choice("saturation", enhanced),
        Choice("contrast_with_count", enhanced),
        Choice("brightness", enhanced),
        Choice("sharpness", enhanced),
        Choice("shear_x", shear),
        Choice("shear_y", shear),
        Choice("translate_x", shift),
        Choice("translate_y", shift),
        Choice("cutout", plain(lambda level: _whole(cutout * level))),
        Choice("solarize_add", plain(lambda level: _whole(110 * level))),
    ]


def _whole(value: float) -> int:
    return math.floor(round(value, policies.DIGITS))
