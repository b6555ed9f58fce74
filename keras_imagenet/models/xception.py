"""Xception (arXiv:1610.02357, figure 5): depthwise separable convolutions with residual connections."""

from __future__ import annotations

from dataclasses import dataclass

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


def features(images: KerasTensor, network: Xception, *, batch_norm: blocks.Options | None = None) -> KerasTensor:
    """Maps of the last separable convolution."""
    norm = {**NORM, **(batch_norm or {})}
    x = images
    for number, filters in enumerate(network.stem, start=1):
        strides = 2 if number == 1 else 1
        x = blocks.conv_norm(x, filters, 3, strides, norm=norm, padding="valid", relu=True, name="stem", number=number)
    for number, widths in enumerate(network.blocks, start=1):
        x = _block(x, widths, norm, active=number == 1, name=f"block{number}")
    for number, filters in enumerate(network.head, start=1):
        x = _separable(x, filters, norm, name="head", number=number)
        x = keras.layers.ReLU(name=f"head_relu{number}")(x)
    return x


build = blocks.builder(features, VARIANTS, dropout=0.5, minimum=7)


def _block(x: KerasTensor, widths: tuple[int, ...], norm: blocks.Options, active: bool, *, name: str) -> KerasTensor:
    """A ReLU goes before each separable convolution, but for the first where x is `active`: one came before."""
    shortcut, halved = x, x.shape[-1] != widths[-1]
    if halved:
        shortcut = blocks.conv_norm(x, widths[-1], 1, 2, norm=norm, name=f"{name}_shortcut")
    for number, filters in enumerate(widths, start=1):
        if number > 1 or not active:
            x = keras.layers.ReLU(name=f"{name}_relu{number}")(x)
        x = _separable(x, filters, norm, name=name, number=number)
    if halved:
        x = blocks.max_pool(x, padding="same", name=f"{name}_pool")
    return keras.layers.Add(name=f"{name}_add")([x, shortcut])


def _separable(x: KerasTensor, filters: int, norm: blocks.Options, *, name: str, number: int) -> KerasTensor:
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
