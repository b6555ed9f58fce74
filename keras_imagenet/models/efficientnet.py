"""EfficientNet (arXiv:1905.11946, table 1, scaled by equation 3) and EfficientNet-Lite.

Lite, for devices without fast gates (tensorflow/tpu, models/official/efficientnet/lite), has no squeeze-excite, ReLU6
for swish, and leaves the stem, the head and the depths of the first and last stage unscaled.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras

from keras_imagenet.models import blocks
from keras_imagenet.models.inverted_residuals import ConvNorm, SqueezeExcite, inverted_residual, round_filters


@dataclass(frozen=True)
class EfficientNet:
    """Factors on widths and depths of B0; dropout before the classifier; lite: as the module says.

    stages: expansion, kernel size, strides, filters and depth of each, as in B0.
    """

    width: float
    depth: float
    dropout: float
    lite: bool = False
    stages: tuple[tuple[int, int, int, int, int], ...] = (
        (1, 3, 1, 16, 1),
        (6, 3, 2, 24, 2),
        (6, 5, 2, 40, 2),
        (6, 3, 2, 80, 3),
        (6, 5, 1, 112, 3),
        (6, 5, 2, 192, 4),
        (6, 3, 1, 320, 1),
    )


NORM = {"momentum": 0.99, "epsilon": 1e-3}

VARIANTS = {
    "efficientnet_b0": EfficientNet(1.0, 1.0, 0.2),
    "efficientnet_b1": EfficientNet(1.0, 1.1, 0.2),
    "efficientnet_b2": EfficientNet(1.1, 1.2, 0.3),
    "efficientnet_b3": EfficientNet(1.2, 1.4, 0.3),
    "efficientnet_b4": EfficientNet(1.4, 1.8, 0.4),
    "efficientnet_b5": EfficientNet(1.6, 2.2, 0.4),
    "efficientnet_b6": EfficientNet(1.8, 2.6, 0.5),
    "efficientnet_b7": EfficientNet(2.0, 3.1, 0.5),
    "efficientnet_lite0": EfficientNet(1.0, 1.0, 0.2, lite=True),
    "efficientnet_lite1": EfficientNet(1.0, 1.1, 0.2, lite=True),
    "efficientnet_lite2": EfficientNet(1.1, 1.2, 0.3, lite=True),
}


def build(
    variant: str | EfficientNet,
    *,
    input_shape: tuple[int, int, int],
    classes: int,
    dropout: float | None = None,
    stochastic_depth: float = 0.2,
    batch_norm: Mapping[str, Any] | None = None,
    padding: blocks.Padding = "same",
    head_bias: float = 0.0,
) -> keras.Model:
    """Logits [batch, classes] or, for 0 classes, features; images of any size.

    dropout: the variant's own if None. stochastic_depth: drop rate of the last block, rising linearly from 0.
    batch_norm: momentum, epsilon, synchronized. torchvision's weights want padding symmetric and epsilon 1e-5 (1e-3
    from B5 on).
    """
    name, network = blocks.chosen(variant, VARIANTS, "efficientnet")
    activation = "relu6" if network.lite else "silu"
    convolve = ConvNorm({**NORM, **(batch_norm or {})}, padding)
    depths = _depths(network)
    rates = iter(blocks.linear_rates(stochastic_depth, sum(depths)))
    ends_width = 1.0 if network.lite else network.width

    images = blocks.image_input(input_shape, name)
    x = convolve(images, round_filters(32 * ends_width), 3, 2, activation=activation, name="stem")
    for stage, (expansion, kernel_size, strides, filters, _) in enumerate(network.stages, start=1):
        for block in range(1, depths[stage - 1] + 1):
            channels = x.shape[-1]
            x = inverted_residual(
                x,
                round_filters(filters * network.width),
                convolve,
                expanded=expansion * channels,
                kernel_size=kernel_size,
                strides=strides if block == 1 else 1,
                activation=activation,
                squeeze_excite=None if network.lite else SqueezeExcite(max(1, channels // 4), "silu"),
                drop_rate=next(rates),
                name=f"stage{stage}_block{block}",
            )
    x = convolve(x, round_filters(1280 * ends_width), 1, activation=activation, name="head")
    dropout = network.dropout if dropout is None else dropout
    return keras.Model(images, blocks.classifier(x, classes, dropout=dropout, head_bias=head_bias), name=name)


def _depths(network: EfficientNet) -> list[int]:
    last = len(network.stages) - 1
    fixed = {0, last} if network.lite else set()
    return [
        depth if stage in fixed else math.ceil(depth * network.depth)
        for stage, (*_, depth) in enumerate(network.stages)
    ]
