"""AutoAugment's policy for ImageNet (arXiv:1805.09501, table 9), with the strengths that torchvision gives its operations."""

from collections.abc import Sequence

import tensorflow as tf

from keras_imagenet.data.augment import operations, policies
from keras_imagenet.data.seeds import uniform

# Two operations a line, each with its probability and its strength, 0 to 9. The table's duplicates weigh double.
SUB_POLICIES = (
    ("posterize 0.4 8", "rotate 0.6 9"),
    ("solarize 0.6 5", "auto_contrast 0.6 0"),
    ("equalize 0.8 0", "equalize 0.6 0"),
    ("posterize 0.6 7", "posterize 0.6 6"),
    ("equalize 0.4 0", "solarize 0.2 4"),
    ("equalize 0.4 0", "rotate 0.8 8"),
    ("solarize 0.6 3", "equalize 0.6 0"),
    ("posterize 0.8 5", "equalize 1.0 0"),
    ("rotate 0.2 3", "solarize 0.6 8"),
    ("equalize 0.6 0", "posterize 0.4 6"),
    ("rotate 0.8 8", "saturation 0.4 0"),
    ("rotate 0.4 9", "equalize 0.6 0"),
    ("equalize 0.0 0", "equalize 0.8 0"),
    ("invert 0.6 0", "equalize 1.0 0"),
    ("saturation 0.6 4", "contrast 1.0 8"),
    ("rotate 0.8 8", "saturation 1.0 2"),
    ("saturation 0.8 8", "solarize 0.8 7"),
    ("sharpness 0.4 7", "invert 0.6 0"),
    ("shear_x 0.6 5", "equalize 1.0 0"),
    ("saturation 0.4 0", "equalize 0.6 0"),
    ("equalize 0.4 0", "solarize 0.2 4"),
    ("solarize 0.6 5", "auto_contrast 0.6 0"),
    ("invert 0.6 0", "equalize 1.0 0"),
    ("saturation 0.6 4", "contrast 1.0 8"),
    ("equalize 0.8 0", "equalize 0.6 0"),
)
STRENGTHS = 10


def auto_augment(
    images: tf.Tensor, seeds: tf.Tensor, fill: operations.Fill, sampling: operations.Sampling = "bilinear"
) -> tf.Tensor:
    """One of 25 pairs of operations, drawn evenly, on images uint8 [n, h, w, c]; seeds int32 [n, 2].

    Each of the pair acts with its own probability and the pair's strength; signed operations go either way with
    probability 1/2. What has no pixels takes the fill's colour.
    """
    choices = auto_augment_choices(images.shape[1:3])
    return policies.apply(images, choices, pair_draws(seeds, choices, SUB_POLICIES, STRENGTHS - 1), fill, sampling)


def pair_draws(
    seeds: tf.Tensor, choices: list[policies.Choice], pairs: Sequence[tuple[str, str]], strongest: int
) -> policies.Draws:
    """A pair of the choices for each of seeds int32 [n, 2]; strongest: the strength whose level is 1."""
    names = [choice.name for choice in choices]
    steps = [[word.split() for word in pair] for pair in pairs]
    index = tf.constant([[names.index(name) for name, _, _ in pair] for pair in steps])
    chance = tf.constant([[float(number) for _, number, _ in pair] for pair in steps])
    level = tf.constant([[int(number) / strongest for _, _, number in pair] for pair in steps], tf.float32)
    draws = uniform(seeds, 5)
    pair = tf.cast(draws[:, 0] * len(pairs), tf.int32)
    acting = tf.where(draws[:, 1:3] < tf.gather(chance, pair), tf.gather(index, pair), len(choices))
    return policies.Draws(acting, tf.gather(level, pair), policies.signs(draws[:, 3:]))


def auto_augment_choices(size: Sequence[int]) -> list[policies.Choice]:
    """The operations that the policy names, of torchvision's strengths; size: the images' height and width."""
    named = {word.split()[0] for pair in SUB_POLICIES for word in pair}
    known = [*policies.torchvision_choices(wide=False, size=size), policies.Choice("invert", policies.nothing)]
    return [choice for choice in known if choice.name in named]
