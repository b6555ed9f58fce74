"""RegNetX and RegNetY (arXiv:2003.13678, section 3 and tables 7 and 8): widths from a quantised line."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from itertools import groupby

import keras
from keras import KerasTensor

from keras_imagenet.models import blocks
from keras_imagenet.models.inverted_residuals import round_filters


@dataclass(frozen=True)
class RegNet:
    """Blocks in all, first width w0, slope wa, ratio wm of neighbouring widths, channels of a group.

    squeeze_excite: RegNetY; channels between are a quarter of the block's input. least_share: what at least is
    left of a width that is made divisible by its groups'; 0.9 in torchvision, 0 in pycls.
    """

    depth: int
    first_width: int
    slope: float
    ratio: float
    group_width: int
    squeeze_excite: bool = False
    least_share: float = 0.9
    stem: int = 32


VARIANTS = {
    "regnetx_002": RegNet(13, 24, 36.44, 2.49, 8),
    "regnet_x_400mf": RegNet(22, 24, 24.48, 2.54, 16),
    "regnet_x_800mf": RegNet(16, 56, 35.73, 2.28, 16),
    "regnet_x_1_6gf": RegNet(18, 80, 34.01, 2.25, 24),
    "regnet_x_3_2gf": RegNet(25, 88, 26.31, 2.25, 48),
    "regnetx_040": RegNet(23, 96, 38.65, 2.43, 40, least_share=0),
    "regnet_x_8gf": RegNet(23, 80, 49.56, 2.88, 120),
    "regnet_x_16gf": RegNet(22, 216, 55.59, 2.1, 128),
    "regnet_x_32gf": RegNet(23, 320, 69.86, 2.0, 168),
    "regnety_002": RegNet(13, 24, 36.44, 2.49, 8, squeeze_excite=True),
    "regnet_y_400mf": RegNet(16, 48, 27.89, 2.09, 8, squeeze_excite=True),
    "regnet_y_800mf": RegNet(14, 56, 38.84, 2.4, 16, squeeze_excite=True),
    "regnet_y_1_6gf": RegNet(27, 48, 20.71, 2.65, 24, squeeze_excite=True),
    "regnet_y_3_2gf": RegNet(21, 80, 42.63, 2.66, 24, squeeze_excite=True),
    "regnety_040": RegNet(22, 96, 31.41, 2.24, 64, squeeze_excite=True, least_share=0),
    "regnet_y_8gf": RegNet(17, 192, 76.82, 2.19, 56, squeeze_excite=True),
    "regnet_y_16gf": RegNet(18, 200, 106.23, 2.48, 112, squeeze_excite=True),
    "regnet_y_32gf": RegNet(20, 232, 115.89, 2.53, 232, squeeze_excite=True),
}


def features(
    images: KerasTensor,
    network: RegNet,
    *,
    stochastic_depth: float = 0.0,
    stochastic_depth_form: blocks.DropRates = "linear",
    zero_last_norm: bool = False,
    batch_norm: blocks.Options | None = None,
    padding: blocks.Padding = "symmetric",
) -> KerasTensor:
    """Maps of the last stage. zero_last_norm: each block starts as the identity."""
    convolve = partial(blocks.conv_norm, norm={**blocks.TORCH_NORM, **(batch_norm or {})}, padding=padding)
    rates = iter(blocks.drop_rates(stochastic_depth, network.depth, stochastic_depth_form))

    x = convolve(images, network.stem, 3, 2, activation="relu", name="stem")
    for stage, (width, group_width, depth) in enumerate(_stages(network), start=1):
        for block in range(1, depth + 1):
            strides = 2 if block == 1 else 1
            prefix = f"stage{stage}_block{block}"
            shortcut = x
            if strides > 1 or x.shape[-1] != width:
                shortcut = convolve(x, width, 1, strides, name=f"{prefix}_shortcut")
            squeezed = round(x.shape[-1] / 4) if network.squeeze_excite else 0
            x = _bottleneck(x, width, width // group_width, strides, squeezed, convolve, zero_last_norm, name=prefix)
            x = blocks.stochastic_depth(x, next(rates), name=f"{prefix}_drop")
            x = keras.layers.Add(name=f"{prefix}_add")([x, shortcut])
            x = keras.layers.ReLU(name=f"{prefix}_out")(x)
    return x


build = blocks.builder(features, VARIANTS)


def _bottleneck(
    x: KerasTensor,
    width: int,
    groups: int,
    strides: int,
    squeezed: int,
    convolve: blocks.Convolve,
    zero_last_norm: bool,
    *,
    name: str,
) -> KerasTensor:
    x = convolve(x, width, 1, activation="relu", name=f"{name}_first")
    x = convolve(x, width, 3, strides, groups=groups, activation="relu", name=f"{name}_grouped")
    if squeezed:
        x = blocks.squeeze_excite(x, squeezed, name=f"{name}_se")
    return convolve(x, width, 1, zero_scale=zero_last_norm, name=f"{name}_last")


def _stages(network: RegNet) -> list[tuple[int, int, int]]:
    """Width, group width and depth of each stage: equations 2 to 4, and widths made divisible by their groups'."""
    line = [network.first_width + network.slope * block for block in range(network.depth)]
    steps = [round(math.log(width / network.first_width) / math.log(network.ratio)) for width in line]
    widths = [round(network.first_width * network.ratio**step / 8) * 8 for step in steps]
    stages = []
    for width, blocks_of_stage in groupby(widths):
        group_width = min(network.group_width, width)
        divisible = round_filters(width, group_width, network.least_share)
        stages.append((divisible, group_width, len(list(blocks_of_stage))))
    return stages
