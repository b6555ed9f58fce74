"""EfficientNet (arXiv:1905.11946, table 1, scaled by equation 3) and EfficientNet-Lite.

Lite, for devices without fast gates (tensorflow/tpu, models/official/efficientnet/lite), has no squeeze-excite, ReLU6
for swish, and leaves the stem, the head and the depths of the first and last stage unscaled.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

from keras import KerasTensor

from keras_imagenet.models import blocks
from keras_imagenet.models.inverted_residuals import SqueezeExcite, inverted_residual, round_filters


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


def features(
    images: KerasTensor,
    network: EfficientNet,
    *,
    stochastic_depth: float = 0.2,
    stochastic_depth_form: blocks.DropRates = "linear_below",
    batch_norm: blocks.Options | None = None,
    padding: blocks.Padding = "same",
) -> KerasTensor:
    """Maps of the head's convolution.

    torchvision's weights want padding symmetric and epsilon 1e-5 (1e-3 from B5 on).
    """
    activation = "relu6" if network.lite else "silu"
    convolve = partial(blocks.conv_norm, norm={**NORM, **(batch_norm or {})}, padding=padding)
    depths = _depths(network)
    rates = iter(blocks.drop_rates(stochastic_depth, sum(depths), stochastic_depth_form))
    ends_width = 1.0 if network.lite else network.width

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
    return convolve(x, round_filters(1280 * ends_width), 1, activation=activation, name="head")


build = blocks.builder(features, VARIANTS, dropout=None)


def _depths(network: EfficientNet) -> list[int]:
    last = len(network.stages) - 1
    fixed = {0, last} if network.lite else set()
    return [
        depth if stage in fixed else math.ceil(depth * network.depth)
        for stage, (*_, depth) in enumerate(network.stages)
    ]
