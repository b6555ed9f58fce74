"""MobileNetV3 (arXiv:1905.02244, tables 1 and 2)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import keras
from keras import KerasTensor

from keras_imagenet.models import blocks
from keras_imagenet.models.inverted_residuals import SqueezeExcite, inverted_residual, round_filters


@dataclass(frozen=True)
class Block:
    """A row of the table: expanded channels, filters; squeeze_excite with a quarter of the channels between."""

    kernel_size: int
    expanded: int
    filters: int
    squeeze_excite: bool
    activation: str
    strides: int


@dataclass(frozen=True)
class MobileNetV3:
    """Blocks by stage, filters of the last convolution, units of the layer after pooling."""

    stages: tuple[tuple[Block, ...], ...]
    last: int
    head: int
    stem: int = 16


RELU, SWISH = "relu", "hard_silu"

LARGE = (
    (Block(3, 16, 16, False, RELU, 1),),
    (Block(3, 64, 24, False, RELU, 2), Block(3, 72, 24, False, RELU, 1)),
    (Block(5, 72, 40, True, RELU, 2), Block(5, 120, 40, True, RELU, 1), Block(5, 120, 40, True, RELU, 1)),
    (
        Block(3, 240, 80, False, SWISH, 2),
        Block(3, 200, 80, False, SWISH, 1),
        Block(3, 184, 80, False, SWISH, 1),
        Block(3, 184, 80, False, SWISH, 1),
    ),
    (Block(3, 480, 112, True, SWISH, 1), Block(3, 672, 112, True, SWISH, 1)),
    (Block(5, 672, 160, True, SWISH, 2), Block(5, 960, 160, True, SWISH, 1), Block(5, 960, 160, True, SWISH, 1)),
)
SMALL = (
    (Block(3, 16, 16, True, RELU, 2),),
    (Block(3, 72, 24, False, RELU, 2), Block(3, 88, 24, False, RELU, 1)),
    (Block(5, 96, 40, True, SWISH, 2), Block(5, 240, 40, True, SWISH, 1), Block(5, 240, 40, True, SWISH, 1)),
    (Block(5, 120, 48, True, SWISH, 1), Block(5, 144, 48, True, SWISH, 1)),
    (Block(5, 288, 96, True, SWISH, 2), Block(5, 576, 96, True, SWISH, 1), Block(5, 576, 96, True, SWISH, 1)),
)

NORM = {"momentum": 0.99, "epsilon": 1e-3}

VARIANTS = {
    "mobilenet_v3_large": MobileNetV3(LARGE, last=960, head=1280),
    "mobilenet_v3_small": MobileNetV3(SMALL, last=576, head=1024),
}


def features(
    images: KerasTensor,
    network: MobileNetV3,
    *,
    stochastic_depth: float = 0.0,
    stochastic_depth_form: blocks.DropRates = "linear_below",
    batch_norm: blocks.Options | None = None,
    padding: blocks.Padding = "symmetric",
) -> KerasTensor:
    """The layer after pooling [batch, head]. keras.applications' weights want padding same."""
    convolve = partial(blocks.conv_norm, norm={**NORM, **(batch_norm or {})}, padding=padding)
    rates = iter(blocks.drop_rates(stochastic_depth, sum(map(len, network.stages)), stochastic_depth_form))

    x = convolve(images, network.stem, 3, 2, activation=SWISH, name="stem")
    for stage, rows in enumerate(network.stages, start=1):
        for number, block in enumerate(rows, start=1):
            gates = SqueezeExcite(round_filters(block.expanded / 4), "relu", "hard_sigmoid")
            x = inverted_residual(
                x,
                block.filters,
                convolve,
                expanded=block.expanded,
                kernel_size=block.kernel_size,
                strides=block.strides,
                activation=block.activation,
                squeeze_excite=gates if block.squeeze_excite else None,
                drop_rate=next(rates),
                name=f"stage{stage}_block{number}",
            )
    x = convolve(x, network.last, 1, activation=SWISH, name="last")
    x = keras.layers.GlobalAveragePooling2D(name="mean")(x)
    x = keras.layers.Dense(network.head, name="head")(x)
    return keras.layers.Activation(SWISH, name="pool", dtype="float32")(x)


build = blocks.builder(features, VARIANTS, head=blocks.logits, dropout=0.2)
