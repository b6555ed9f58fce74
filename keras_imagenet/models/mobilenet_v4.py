"""MobileNetV4 (arXiv:2404.10518, tables 10 and 11): the convolutional networks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import keras
from keras import KerasTensor

from keras_imagenet.models import blocks
from keras_imagenet.models.inverted_residuals import fused_inverted_residual, residual, round_filters


@dataclass(frozen=True)
class Conv:
    """A convolution with norm and activation."""

    kernel_size: int
    filters: int
    strides: int = 1


@dataclass(frozen=True)
class Fused:
    """A fused inverted residual."""

    kernel_size: int
    filters: int
    expansion: int
    strides: int = 1


@dataclass(frozen=True)
class Universal:
    """Universal inverted bottleneck (figure 4): a depthwise convolution before expanding and one after, 0 for none.

    With both it is the paper's ExtraDW, with the second an inverted bottleneck, with the first a ConvNeXt-like block,
    with neither a feed-forward network. Strides are the second's, if there, else the first's.
    """

    start: int
    middle: int
    filters: int
    expansion: int
    strides: int = 1


Block = Conv | Fused | Universal


@dataclass(frozen=True)
class MobileNetV4:
    """Filters of the stem, blocks by stage, units of the layer after pooling."""

    stem: int
    stages: tuple[tuple[Block, ...], ...]
    head: int = 1280


SMALL = (
    (Conv(3, 32, 2), Conv(1, 32)),
    (Conv(3, 96, 2), Conv(1, 64)),
    (Universal(5, 5, 96, 3, 2), *[Universal(0, 3, 96, 2)] * 4, Universal(3, 0, 96, 4)),
    (
        Universal(3, 3, 128, 6, 2),
        Universal(5, 5, 128, 4),
        Universal(0, 5, 128, 4),
        Universal(0, 5, 128, 3),
        *[Universal(0, 3, 128, 4)] * 2,
    ),
    (Conv(1, 960),),
)
MEDIUM = (
    (Fused(3, 48, 4, 2),),
    (Universal(3, 5, 80, 4, 2), Universal(3, 3, 80, 2)),
    (
        Universal(3, 5, 160, 6, 2),
        *[Universal(3, 3, 160, 4)] * 2,
        Universal(3, 5, 160, 4),
        Universal(3, 3, 160, 4),
        Universal(3, 0, 160, 4),
        Universal(0, 0, 160, 2),
        Universal(3, 0, 160, 4),
    ),
    (
        Universal(5, 5, 256, 6, 2),
        Universal(5, 5, 256, 4),
        *[Universal(3, 5, 256, 4)] * 2,
        Universal(0, 0, 256, 4),
        Universal(3, 0, 256, 4),
        Universal(3, 5, 256, 2),
        Universal(5, 5, 256, 4),
        *[Universal(0, 0, 256, 4)] * 2,
        Universal(5, 0, 256, 2),
    ),
    (Conv(1, 960),),
)

VARIANTS = {
    "mobilenetv4_conv_small": MobileNetV4(32, SMALL),
    "mobilenetv4_conv_medium": MobileNetV4(32, MEDIUM),
}


def features(
    images: KerasTensor,
    network: MobileNetV4,
    *,
    stochastic_depth: float = 0.0,
    stochastic_depth_form: blocks.DropRates = "linear_below",
    batch_norm: blocks.Options | None = None,
    padding: blocks.Padding = "symmetric",
) -> KerasTensor:
    """The layer after pooling [batch, head]."""
    convolve = partial(blocks.conv_norm, norm={**blocks.TORCH_NORM, **(batch_norm or {})}, padding=padding)
    rates = iter(blocks.drop_rates(stochastic_depth, sum(map(len, network.stages)), stochastic_depth_form))

    x = convolve(images, network.stem, 3, 2, activation="relu", name="stem")
    for stage, rows in enumerate(network.stages, start=1):
        for number, block in enumerate(rows, start=1):
            x = _block(x, block, convolve, next(rates), name=f"stage{stage}_block{number}")
    x = keras.layers.GlobalAveragePooling2D(keepdims=True, name="mean")(x)
    x = convolve(x, network.head, 1, activation="relu", name="head")
    return keras.layers.Flatten(name="pool", dtype="float32")(x)


build = blocks.builder(features, VARIANTS, head=blocks.logits, dropout=0.2)


def _block(x: KerasTensor, block: Block, convolve: blocks.Convolve, drop_rate: float, *, name: str) -> KerasTensor:
    if isinstance(block, Conv):
        return convolve(x, block.filters, block.kernel_size, block.strides, activation="relu", name=name)
    if isinstance(block, Fused):
        return fused_inverted_residual(
            x,
            block.filters,
            convolve,
            expanded=block.expansion * x.shape[-1],
            kernel_size=block.kernel_size,
            strides=block.strides,
            activation="relu",
            drop_rate=drop_rate,
            name=name,
        )
    return _universal(x, block, convolve, drop_rate, name=name)


def _universal(
    x: KerasTensor, block: Universal, convolve: blocks.Convolve, drop_rate: float, *, name: str
) -> KerasTensor:
    inputs = x
    if block.start:
        x = convolve(x, None, block.start, 1 if block.middle else block.strides, name=f"{name}_start")
    x = convolve(x, round_filters(block.expansion * inputs.shape[-1]), 1, activation="relu", name=f"{name}_expand")
    if block.middle:
        x = convolve(x, None, block.middle, block.strides, activation="relu", name=f"{name}_middle")
    x = convolve(x, block.filters, 1, name=f"{name}_project")
    return residual(x, inputs, block.strides, drop_rate, name=name)
