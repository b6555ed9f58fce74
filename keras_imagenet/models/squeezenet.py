"""SqueezeNet 1.1 (arXiv:1602.07360; 1.1 as in the authors' repository and torchvision)."""

from __future__ import annotations

from dataclasses import dataclass

import keras
from keras import KerasTensor

from keras_imagenet.models import blocks


@dataclass(frozen=True)
class SqueezeNet:
    """stem_width: filters of the stem. stages: fire modules as (squeezed, expanded), after max pooling each stage.

    A fire module has `squeezed` 1x1 filters and then `expanded` 1x1 and as many 3x3 side by side.
    """

    stem_width: int
    stages: tuple[tuple[tuple[int, int], ...], ...]


VARIANTS = {
    "squeezenet1_1": SqueezeNet(
        64, (((16, 64), (16, 64)), ((32, 128), (32, 128)), ((48, 192), (48, 192), (64, 256), (64, 256)))
    ),
}


def features(images: KerasTensor, network: SqueezeNet) -> KerasTensor:
    """Maps of the last fire module."""
    x = keras.layers.Conv2D(network.stem_width, 3, strides=2, activation="relu", name="stem_conv")(images)
    for stage, fires in enumerate(network.stages, start=1):
        x = _pool(x, name=f"stage{stage}_pool")
        for index, (squeezed, expanded) in enumerate(fires, start=1):
            x = _fire(x, squeezed, expanded, name=f"stage{stage}_fire{index}")
    return x


def _head(x: KerasTensor, classes: int, *, dropout: float, head_bias: float) -> KerasTensor:
    """Logits, which are not negative, at each position, and then their mean; for 0 classes the mean of x."""
    if not classes:
        return blocks.classifier(x, 0)
    x = keras.layers.Dropout(dropout, name="head_dropout")(x)
    x = keras.layers.Conv2D(
        classes,
        1,
        activation="relu",
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
        bias_initializer=keras.initializers.Constant(head_bias),
        name="logits",
        dtype="float32",
    )(x)
    return keras.layers.GlobalAveragePooling2D(name="logits_mean", dtype="float32")(x)


build = blocks.builder(features, VARIANTS, head=_head, dropout=0.5, minimum=17)


def _pool(x: KerasTensor, *, name: str) -> KerasTensor:
    # An odd remainder gets a window of its own (torch's ceil_mode); zeros do not show behind a ReLU.
    x = keras.layers.ZeroPadding2D(tuple((0, 1 - size % 2) for size in x.shape[1:3]), name=f"{name}_pad")(x)
    return keras.layers.MaxPooling2D(3, strides=2, name=name)(x)


def _fire(x: KerasTensor, squeezed: int, expanded: int, *, name: str) -> KerasTensor:
    x = keras.layers.Conv2D(squeezed, 1, activation="relu", name=f"{name}_squeeze")(x)
    small = keras.layers.Conv2D(expanded, 1, activation="relu", name=f"{name}_expand1")(x)
    large = keras.layers.Conv2D(expanded, 3, padding="same", activation="relu", name=f"{name}_expand3")(x)
    return keras.layers.Concatenate(name=f"{name}_concat")([small, large])
