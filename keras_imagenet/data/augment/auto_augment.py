"""AutoAugment's policy for ImageNet (arXiv:1805.09501, table 9), with the strengths that torchvision gives its operations."""

import tensorflow as tf

from keras_imagenet.data.augment import operations, policies

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


def auto_augment(image: tf.Tensor, seed: tf.Tensor, fill: operations.Fill) -> tf.Tensor:
    """One of 25 pairs of operations, drawn evenly, on an image uint8 [h, w, c]; seed int32 [2].

    Each of the pair acts with its own probability and the pair's strength; signed operations go either way with
    probability 1/2. What has no pixels takes the fill's colour; sampling is bilinear.
    """
    choices = auto_augment_choices(image)
    names = [choice.name for choice in choices]
    steps = [[word.split() for word in pair] for pair in SUB_POLICIES]
    index = tf.constant([[names.index(name) for name, _, _ in pair] for pair in steps])
    chance = tf.constant([[float(number) for _, number, _ in pair] for pair in steps])
    level = tf.constant([[int(number) / (STRENGTHS - 1) for _, _, number in pair] for pair in steps], tf.float32)
    draws = tf.random.stateless_uniform((5,), seed)
    pair = tf.cast(draws[0] * len(SUB_POLICIES), tf.int32)
    for step in range(2):
        chosen = tf.where(draws[1 + step] < chance[pair, step], index[pair, step], len(choices))
        sign = tf.where(draws[3 + step] < 0.5, -1.0, 1.0)
        image = policies.apply(image, choices, chosen, level[pair, step], sign, fill)
    return image


def auto_augment_choices(image: tf.Tensor) -> list[policies.Choice]:
    """The operations that the policy names, of torchvision's strengths."""
    named = {word.split()[0] for pair in SUB_POLICIES for word in pair}
    invert = policies.Choice("invert", operations.invert, policies.nothing)
    known = [*policies.torchvision_choices(wide=False, size=image.shape[:2]), invert]
    return [choice for choice in known if choice.name in named]
