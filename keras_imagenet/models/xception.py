"""Xception (arXiv:1610.02357, figure 5): depthwise separable convolutions with residual connections."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
from keras import KerasTensor

from keras_imagenet.models import blocks


@dataclass(frozen=True)
class Xception:
    """stem: filters of two 3x3 convolutions. blocks: filters of each block's separable convolutions. head: of the last two.

    A block whose input has as many channels as its output keeps the size; another halves it.
    """

    stem: tuple[int, int]
    blocks: tuple[tuple[int, ...], ...]
    head: tuple[int, int]


VARIANTS = {
    "xception": Xception(
        (32, 64), ((128, 128), (256, 256), (728, 728), *8 * ((728, 728, 728),), (728, 1024)), (1536, 2048)
    )
}

NORM = {"momentum": 0.99, "epsilon": 1e-3}


def build(
    variant: str | Xception,
    *,
    input_shape: tuple[int, int, int],
    classes: int,
    dropout: float = 0.5,
    batch_norm: Mapping[str, Any] | None = None,
    head_bias: float = 0.0,
) -> keras.Model:
    """Logits [batch, classes] or, for 0 classes, features; images of 7 pixels a side or more.

    batch_norm: momentum, epsilon, synchronized.
    """
    name, network = blocks.chosen(variant, VARIANTS, "xception")
    norm = {**NORM, **(batch_norm or {})}
    x = images = blocks.image_input(input_shape, name, minimum=7)
    for number, filters in enumerate(network.stem, start=1):
        convolution = keras.layers.Conv2D(
            filters,
            3,
            strides=2 if number == 1 else 1,
            use_bias=False,
            kernel_initializer=blocks.fan_out(),
            name=f"stem_conv{number}",
        )
        x = blocks.batch_norm(convolution(x), norm, name=f"stem_norm{number}")
        x = keras.layers.ReLU(name=f"stem_relu{number}")(x)
    for number, widths in enumerate(network.blocks, start=1):
        x = _block(x, widths, norm, active=number == 1, name=f"block{number}")
    for number, filters in enumerate(network.head, start=1):
        x = _separable(x, filters, norm, name="head", number=number)
        x = keras.layers.ReLU(name=f"head_relu{number}")(x)
    return keras.Model(images, blocks.classifier(x, classes, dropout=dropout, head_bias=head_bias), name=name)


def _block(x: KerasTensor, widths: tuple[int, ...], norm: Mapping[str, Any], active: bool, *, name: str) -> KerasTensor:
    """A ReLU goes before each separable convolution, but for the first where x is `active`: one came before."""
    shortcut, halved = x, x.shape[-1] != widths[-1]
    if halved:
        shortcut = blocks.convolution(x, widths[-1], 1, strides=2, name=f"{name}_shortcut_conv")
        shortcut = blocks.batch_norm(shortcut, norm, name=f"{name}_shortcut_norm")
    for number, filters in enumerate(widths, start=1):
        if number > 1 or not active:
            x = keras.layers.ReLU(name=f"{name}_relu{number}")(x)
        x = _separable(x, filters, norm, name=name, number=number)
    if halved:
        x = blocks.max_pool(x, padding="same", name=f"{name}_pool")
    return keras.layers.Add(name=f"{name}_add")([x, shortcut])


def _separable(x: KerasTensor, filters: int, norm: Mapping[str, Any], *, name: str, number: int) -> KerasTensor:
    x = keras.layers.SeparableConv2D(
        filters,
        3,
        padding="same",
        use_bias=False,
        # No ReLU lies between the two kernels, so the first one keeps the variance.
        depthwise_initializer=keras.initializers.VarianceScaling(1.0, "fan_out", "untruncated_normal"),
        pointwise_initializer=blocks.fan_out(),
        name=f"{name}_separable{number}",
    )(x)
    return blocks.batch_norm(x, norm, name=f"{name}_norm{number}")
