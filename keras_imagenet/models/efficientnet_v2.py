"""EfficientNetV2 (arXiv:2104.00298, table 4 for S; M, L and the scaled B0 to B3 as its authors published them)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Any

from keras import KerasTensor

from keras_imagenet.models import blocks
from keras_imagenet.models.inverted_residuals import (
    SqueezeExcite,
    fused_inverted_residual,
    inverted_residual,
    round_filters,
)


@dataclass(frozen=True)
class Stage:
    """Blocks of a stage, 3x3 each; fused: without a depthwise convolution and squeeze-excite."""

    fused: bool
    expansion: int
    strides: int
    filters: int
    depth: int


@dataclass(frozen=True)
class EfficientNetV2:
    """Filters of the stem, stages, factors on widths and depths; dropout before the classifier."""

    stem: int
    stages: tuple[Stage, ...]
    dropout: float = 0.2
    width: float = 1.0
    depth: float = 1.0


NORM = {"momentum": 0.99, "epsilon": 1e-3}

B0 = (
    Stage(True, 1, 1, 16, 1),
    Stage(True, 4, 2, 32, 2),
    Stage(True, 4, 2, 48, 2),
    Stage(False, 4, 2, 96, 3),
    Stage(False, 6, 1, 112, 5),
    Stage(False, 6, 2, 192, 8),
)
S = (
    Stage(True, 1, 1, 24, 2),
    Stage(True, 4, 2, 48, 4),
    Stage(True, 4, 2, 64, 4),
    Stage(False, 4, 2, 128, 6),
    Stage(False, 6, 1, 160, 9),
    Stage(False, 6, 2, 256, 15),
)
M = (
    Stage(True, 1, 1, 24, 3),
    Stage(True, 4, 2, 48, 5),
    Stage(True, 4, 2, 80, 5),
    Stage(False, 4, 2, 160, 7),
    Stage(False, 6, 1, 176, 14),
    Stage(False, 6, 2, 304, 18),
    Stage(False, 6, 1, 512, 5),
)
L = (
    Stage(True, 1, 1, 32, 4),
    Stage(True, 4, 2, 64, 7),
    Stage(True, 4, 2, 96, 7),
    Stage(False, 4, 2, 192, 10),
    Stage(False, 6, 1, 224, 19),
    Stage(False, 6, 2, 384, 25),
    Stage(False, 6, 1, 640, 7),
)

VARIANTS = {
    "tf_efficientnetv2_b0": EfficientNetV2(32, B0),
    "tf_efficientnetv2_b1": EfficientNetV2(32, B0, depth=1.1),
    "tf_efficientnetv2_b2": EfficientNetV2(32, B0, dropout=0.3, width=1.1, depth=1.2),
    "tf_efficientnetv2_b3": EfficientNetV2(32, B0, dropout=0.3, width=1.2, depth=1.4),
    "efficientnet_v2_s": EfficientNetV2(24, S),
    "efficientnet_v2_m": EfficientNetV2(24, M, dropout=0.3),
    "efficientnet_v2_l": EfficientNetV2(32, L, dropout=0.4),
}


def features(
    images: KerasTensor,
    network: EfficientNetV2,
    *,
    stochastic_depth: float = 0.2,
    stochastic_depth_form: blocks.DropRates = "linear_below",
    batch_norm: blocks.Options | None = None,
    padding: blocks.Padding = "same",
) -> KerasTensor:
    """Maps of the head's convolution. torchvision's weights want padding symmetric."""
    convolve = partial(blocks.conv_norm, norm={**NORM, **(batch_norm or {})}, padding=padding)
    depths = [math.ceil(stage.depth * network.depth) for stage in network.stages]
    rates = iter(blocks.drop_rates(stochastic_depth, sum(depths), stochastic_depth_form))

    x = convolve(images, _filters(network.stem, network), 3, 2, activation="silu", name="stem")
    for number, (stage, depth) in enumerate(zip(network.stages, depths, strict=True), start=1):
        for block in range(1, depth + 1):
            channels = x.shape[-1]
            options: dict[str, Any] = {
                "expanded": stage.expansion * channels,
                "kernel_size": 3,
                "strides": stage.strides if block == 1 else 1,
                "activation": "silu",
                "drop_rate": next(rates),
                "name": f"stage{number}_block{block}",
            }
            filters = _filters(stage.filters, network)
            if stage.fused:
                x = fused_inverted_residual(x, filters, convolve, **options)
            else:
                gates = SqueezeExcite(max(1, channels // 4), "silu")
                x = inverted_residual(x, filters, convolve, squeeze_excite=gates, **options)
    return convolve(x, _filters(1280, network), 1, activation="silu", name="head")


build = blocks.builder(features, VARIANTS, dropout=None)


def _filters(filters: int, network: EfficientNetV2) -> int:
    # Unlike EfficientNet's, these may be rounded down by more than a tenth.
    return round_filters(filters * network.width, least_share=0.0)
