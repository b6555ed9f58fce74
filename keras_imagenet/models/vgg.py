"""VGG (arXiv:1409.1556, table 1: columns A, B, D, E), with and without batch normalisation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras

from keras_imagenet.models import blocks
from keras_imagenet.models.adaptive_pooling import adaptive_mean


@dataclass(frozen=True)
class VGG:
    """depths: 3x3 convolutions of each stage, ended by 2x2 max pooling; filters of each; units of hidden layers."""

    depths: tuple[int, ...]
    batch_norm: bool = False
    filters: tuple[int, ...] = (64, 128, 256, 512, 512)
    units: int = 4096


VARIANTS = {
    "vgg11": VGG((1, 1, 2, 2, 2)),
    "vgg13": VGG((2, 2, 2, 2, 2)),
    "vgg16": VGG((2, 2, 3, 3, 3)),
    "vgg19": VGG((2, 2, 4, 4, 4)),
    "vgg11_bn": VGG((1, 1, 2, 2, 2), batch_norm=True),
    "vgg13_bn": VGG((2, 2, 2, 2, 2), batch_norm=True),
    "vgg16_bn": VGG((2, 2, 3, 3, 3), batch_norm=True),
    "vgg19_bn": VGG((2, 2, 4, 4, 4), batch_norm=True),
}


def build(
    variant: str | VGG,
    *,
    input_shape: tuple[int, int, int],
    classes: int,
    dropout: float = 0.5,
    batch_norm: Mapping[str, Any] | None = None,
    head_bias: float = 0.0,
) -> keras.Model:
    """Logits [batch, classes] or, for 0 classes, the last hidden layer; images of 32 pixels a side or more.

    Features are averaged to 7 x 7 positions, so that any size fits the hidden layers. batch_norm: momentum, epsilon,
    synchronized, for the networks that have it.
    """
    name, network = blocks.chosen(variant, VARIANTS, "vgg")
    norm = {**blocks.TORCH_NORM, **(batch_norm or {})}
    images = x = blocks.image_input(input_shape, name, minimum=2 ** len(network.depths))
    for stage, (depth, filters) in enumerate(zip(network.depths, network.filters, strict=True), start=1):
        for index in range(1, depth + 1):
            x = blocks.convolution(x, filters, 3, use_bias=True, name=f"stage{stage}_conv{index}")
            if network.batch_norm:
                x = blocks.batch_norm(x, norm, name=f"stage{stage}_norm{index}")
            x = keras.layers.ReLU(name=f"stage{stage}_relu{index}")(x)
        x = keras.layers.MaxPooling2D(2, name=f"stage{stage}_pool")(x)
    x = adaptive_mean(x, 7, name="adaptive_pool")
    x = keras.layers.Flatten(name="flatten")(x)
    x = keras.layers.Dense(network.units, activation="relu", name="hidden1")(x)
    x = keras.layers.Dropout(dropout, name="hidden1_dropout")(x)
    x = keras.layers.Dense(network.units, activation="relu", name="hidden2")(x)
    x = keras.layers.Activation("linear", name="pool", dtype="float32")(x)
    outputs = blocks.logits(x, classes, dropout=dropout, head_bias=head_bias)
    return keras.Model(images, outputs, name=name)
