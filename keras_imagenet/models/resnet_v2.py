"""ResNet v2: norm and ReLU before each convolution, so that the shortcut stays clean (arXiv:1603.05027, figure 1b).

`resnetv2_*` stride in a stage's first block, as the paper and timm do; `resnet*_v2` in its last and with biases, as
keras.applications. Wide ResNet-28-10 (arXiv:1605.07146, table 1) is one of 28 layers, ten times as wide, for images
of 32 pixels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import keras
from keras import KerasTensor

from keras_imagenet.models import blocks


@dataclass(frozen=True)
class ResNetV2:
    """depths: residual blocks of each stage; every stage but the last (`stride_last`) or the first halves the size.

    bottleneck: 1x1, 3x3, 1x1 convolutions, with four times the filters at the end, instead of 3x3, 3x3. width: filters
    of the first stage, doubled in each; stem_width: of the stem. stem: a 7x7 convolution and max pooling, the same
    with borders that count as 0 in the pooling (zeros), or one 3x3 without a stride (small). use_bias: of the
    shortcuts' and blocks' last convolutions and the stem's. norm: momentum, epsilon.
    """

    depths: tuple[int, ...]
    bottleneck: bool = True
    width: int = 64
    stem_width: int = 64
    stem: Literal["7x7", "zeros", "small"] = "7x7"
    stride_last: bool = False
    use_bias: bool = False
    norm: Mapping[str, float] = field(default_factory=lambda: blocks.TORCH_NORM)


KERAS = {"stem": "zeros", "stride_last": True, "use_bias": True, "norm": {"momentum": 0.99, "epsilon": 1.001e-5}}

VARIANTS = {
    "resnetv2_18": ResNetV2((2, 2, 2, 2), bottleneck=False),
    "resnetv2_34": ResNetV2((3, 4, 6, 3), bottleneck=False),
    "resnetv2_50": ResNetV2((3, 4, 6, 3)),
    "resnetv2_101": ResNetV2((3, 4, 23, 3)),
    "resnetv2_152": ResNetV2((3, 8, 36, 3)),
    "resnet50_v2": ResNetV2((3, 4, 6, 3), **KERAS),
    "resnet101_v2": ResNetV2((3, 4, 23, 3), **KERAS),
    "resnet152_v2": ResNetV2((3, 8, 36, 3), **KERAS),
    "wide_resnet28_10": ResNetV2((4, 4, 4), bottleneck=False, width=160, stem_width=16, stem="small"),
}


def features(
    images: KerasTensor,
    network: ResNetV2,
    *,
    stochastic_depth: float = 0.0,
    stochastic_depth_form: blocks.DropRates = "linear",
    batch_norm: blocks.Options | None = None,
    padding: blocks.Padding = "symmetric",
) -> KerasTensor:
    """Maps of the last stage, after a norm and ReLU."""
    norm = {**network.norm, **(batch_norm or {})}
    rates = iter(blocks.drop_rates(stochastic_depth, sum(network.depths), stochastic_depth_form))

    x = _stem(images, network, padding)
    for stage, depth in enumerate(network.depths, start=1):
        filters = network.width * 2 ** (stage - 1)
        for block in range(1, depth + 1):
            strided = (block == depth and stage < len(network.depths)) if network.stride_last else stage > 1 == block
            x = _block(
                x,
                filters,
                2 if strided else 1,
                network,
                norm,
                padding,
                first=block == 1,
                rate=next(rates),
                name=f"stage{stage}_block{block}",
            )
    return blocks.norm_relu(x, norm, name="head")


build = blocks.builder(features, VARIANTS)


def _stem(x: KerasTensor, network: ResNetV2, padding: blocks.Padding) -> KerasTensor:
    if network.stem == "small":
        return blocks.convolution(x, network.stem_width, 3, name="stem_conv")
    x = blocks.convolution(
        x, network.stem_width, 7, strides=2, use_bias=network.use_bias, padding=padding, name="stem_conv"
    )
    if network.stem == "zeros" or padding == "same":
        return blocks.max_pool(x, padding=padding, name="stem_pool")
    # The convolution's outputs may be negative, so zeros as borders would show in the maxima. On an odd size 'same'
    # adds a border of nothing on both sides alike; what an even one needs to become odd is cut off again.
    even = tuple((0, 1 - size % 2) for size in x.shape[1:3])
    x = keras.layers.ZeroPadding2D(even, name="stem_pool_pad")(x)
    x = keras.layers.MaxPooling2D(3, strides=2, padding="same", name="stem_pool")(x)
    return keras.layers.Cropping2D(even, name="stem_pool_crop")(x)


def _block(
    x: KerasTensor,
    filters: int,
    strides: int,
    network: ResNetV2,
    norm: blocks.Options,
    padding: blocks.Padding,
    *,
    first: bool,
    rate: float,
    name: str,
) -> KerasTensor:
    out = 4 * filters if network.bottleneck else filters
    use_bias = network.use_bias
    active = blocks.norm_relu(x, norm, name=name, number=1)
    if x.shape[-1] != out or (first and strides > 1):
        x = blocks.convolution(active, out, 1, strides=strides, use_bias=use_bias, name=f"{name}_shortcut_conv")
    elif strides > 1:
        x = keras.layers.MaxPooling2D(1, strides=strides, name=f"{name}_subsample")(x)
    if network.bottleneck:
        branch = blocks.convolution(active, filters, 1, name=f"{name}_conv1")
        branch = blocks.norm_relu(branch, norm, name=name, number=2)
        branch = blocks.convolution(branch, filters, 3, strides=strides, padding=padding, name=f"{name}_conv2")
        branch = blocks.norm_relu(branch, norm, name=name, number=3)
        branch = blocks.convolution(branch, out, 1, use_bias=use_bias, name=f"{name}_conv3")
    else:
        branch = blocks.convolution(active, filters, 3, strides=strides, padding=padding, name=f"{name}_conv1")
        branch = blocks.norm_relu(branch, norm, name=name, number=2)
        branch = blocks.convolution(branch, out, 3, use_bias=use_bias, name=f"{name}_conv2")
    branch = blocks.stochastic_depth(branch, rate, name=f"{name}_drop")
    return keras.layers.Add(name=f"{name}_add")([branch, x])
