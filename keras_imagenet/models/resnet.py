"""ResNet with the norm after each convolution, and its relatives, which differ in stem, width, groups and shortcut.

- ResNet (arXiv:1512.03385, table 1): `_v1` strides in a bottleneck's first 1x1 convolution, as the paper and
  keras.applications do (whose convolutions carry biases); the others ('v1.5') in the 3x3, as torchvision does.
  `_cifar`: section 4.2, for images of 32 pixels.
- ResNet-D (arXiv:1812.01187, section 4): a stem of three 3x3 convolutions, a mean before the shortcut's convolution.
- ResNeXt (arXiv:1611.05431), Wide ResNet-50-2 (arXiv:1605.07146), SE-ResNet (arXiv:1709.01507).
- ResNet-RS (arXiv:2103.07579): ResNet-D with squeeze-excite and a strided convolution for the stem's pooling.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

import keras
from keras import KerasTensor

from keras_imagenet.models import blocks


@dataclass(frozen=True)
class ResNet:
    """depths: residual blocks of each stage, which halves height and width but for the first.

    bottleneck: 1x1, 3x3, 1x1 convolutions, with four times the filters at the end, instead of 3x3, 3x3. width: filters
    of the first stage, doubled in each; the 3x3 of a bottleneck has groups * width_per_group / 64 times as many.
    stride_first: a bottleneck strides in its first 1x1. stem: a 7x7 convolution and max pooling, three 3x3 (deep) and
    max pooling, four 3x3 (deep_strided), or one 3x3 without a stride (small). shortcut, where the shape changes: a 1x1
    convolution, one after a 2x2 mean, or every second pixel with channels of zeros appended (option A of the paper).
    squeeze_excite: channels are divided by this between. use_bias: of convolutions. norm: momentum, epsilon.
    """

    depths: tuple[int, ...]
    bottleneck: bool = True
    width: int = 64
    groups: int = 1
    width_per_group: int = 64
    stride_first: bool = False
    stem: Literal["7x7", "deep", "deep_strided", "small"] = "7x7"
    shortcut: Literal["convolution", "mean", "zeros"] = "convolution"
    squeeze_excite: int = 0
    use_bias: bool = False
    norm: Mapping[str, float] = field(default_factory=lambda: blocks.TORCH_NORM)


V1 = {"stride_first": True, "use_bias": True, "norm": {"momentum": 0.99, "epsilon": 1.001e-5}}
D = {"stem": "deep", "shortcut": "mean"}
RS = {"stem": "deep_strided", "shortcut": "mean", "squeeze_excite": 4}
CIFAR = {"bottleneck": False, "width": 16, "stem": "small", "shortcut": "zeros"}

VARIANTS = {
    "resnet18": ResNet((2, 2, 2, 2), bottleneck=False),
    "resnet34": ResNet((3, 4, 6, 3), bottleneck=False),
    "resnet50": ResNet((3, 4, 6, 3)),
    "resnet101": ResNet((3, 4, 23, 3)),
    "resnet152": ResNet((3, 8, 36, 3)),
    "resnet50_v1": ResNet((3, 4, 6, 3), **V1),
    "resnet101_v1": ResNet((3, 4, 23, 3), **V1),
    "resnet152_v1": ResNet((3, 8, 36, 3), **V1),
    "resnet18d": ResNet((2, 2, 2, 2), bottleneck=False, **D),
    "resnet34d": ResNet((3, 4, 6, 3), bottleneck=False, **D),
    "resnet50d": ResNet((3, 4, 6, 3), **D),
    "resnet101d": ResNet((3, 4, 23, 3), **D),
    "resnet152d": ResNet((3, 8, 36, 3), **D),
    "resnext50_32x4d": ResNet((3, 4, 6, 3), groups=32, width_per_group=4),
    "resnext101_32x8d": ResNet((3, 4, 23, 3), groups=32, width_per_group=8),
    "wide_resnet50_2": ResNet((3, 4, 6, 3), width_per_group=128),
    "wide_resnet101_2": ResNet((3, 4, 23, 3), width_per_group=128),
    "seresnet50": ResNet((3, 4, 6, 3), squeeze_excite=16),
    "resnetrs50": ResNet((3, 4, 6, 3), **RS),
    "resnetrs101": ResNet((3, 4, 23, 3), **RS),
    "resnetrs152": ResNet((3, 8, 36, 3), **RS),
    "resnet20_cifar": ResNet((3, 3, 3), **CIFAR),
    "resnet56_cifar": ResNet((9, 9, 9), **CIFAR),
}


def features(
    images: KerasTensor,
    network: ResNet,
    *,
    stochastic_depth: float = 0.0,
    stochastic_depth_form: blocks.DropRates = "linear",
    squeeze_excite: int | None = None,
    zero_last_norm: bool = False,
    batch_norm: blocks.Options | None = None,
    padding: blocks.Padding = "symmetric",
    blur_pool: bool = False,
) -> KerasTensor:
    """Maps of the last stage.

    squeeze_excite: as in the variant, 0 for none. zero_last_norm: each block starts as the identity
    (arXiv:1706.02677, section 5.1). blur_pool: a binomial filter before every strided convolution but the stem's
    first, as in FFCV's recipes.
    """
    reduction = network.squeeze_excite if squeeze_excite is None else squeeze_excite
    norm = {**network.norm, **(batch_norm or {})}
    convolve = partial(blocks.conv_norm, norm=norm, use_bias=network.use_bias, padding=padding, blurred=blur_pool)
    rates = iter(blocks.drop_rates(stochastic_depth, sum(network.depths), stochastic_depth_form))

    x = _stem(images, network, convolve, padding, blur_pool)
    for stage, depth in enumerate(network.depths, start=1):
        filters = network.width * 2 ** (stage - 1)
        for block in range(1, depth + 1):
            strides = 2 if stage > 1 and block == 1 else 1
            prefix = f"stage{stage}_block{block}"
            shortcut = _shortcut(x, filters, strides, network, convolve, name=f"{prefix}_shortcut")
            x = _branch(x, filters, strides, network, convolve, zero_last_norm, name=prefix)
            if reduction:
                x = blocks.squeeze_excite(x, x.shape[-1] // reduction, name=f"{prefix}_se")
            x = blocks.stochastic_depth(x, next(rates), name=f"{prefix}_drop")
            x = keras.layers.Add(name=f"{prefix}_add")([x, shortcut])
            x = keras.layers.ReLU(name=f"{prefix}_out")(x)
    return x


build = blocks.builder(features, VARIANTS)


def _stem(
    x: KerasTensor, network: ResNet, convolve: blocks.Convolve, padding: blocks.Padding, blur_pool: bool
) -> KerasTensor:
    width = network.width
    # Kernel size, filters and stride of each convolution.
    convolutions = {
        "7x7": ((7, width, 2),),
        "small": ((3, width, 1),),
        "deep": ((3, width // 2, 2), (3, width // 2, 1), (3, width, 1)),
        "deep_strided": ((3, width // 2, 2), (3, width // 2, 1), (3, width, 1), (3, width, 2)),
    }[network.stem]
    for number, (kernel_size, filters, strides) in enumerate(convolutions, start=1):
        suffix = number if len(convolutions) > 1 else ""
        blurred = blur_pool and number > 1
        x = convolve(x, filters, kernel_size, strides, blurred=blurred, relu=True, name="stem", number=suffix)
    return blocks.max_pool(x, padding=padding, name="stem_pool") if network.stem in ("7x7", "deep") else x


def _shortcut(
    x: KerasTensor, filters: int, strides: int, network: ResNet, convolve: blocks.Convolve, *, name: str
) -> KerasTensor:
    filters = 4 * filters if network.bottleneck else filters
    if strides == 1 and x.shape[-1] == filters:
        return x
    if network.shortcut == "zeros":
        x = keras.layers.MaxPooling2D(1, strides=strides, name=f"{name}_subsample")(x)
        # 'channels_first' makes the last axis one that is padded.
        added = ((0, 0), (0, filters - x.shape[-1]))
        return keras.layers.ZeroPadding2D(added, data_format="channels_first", name=f"{name}_zeros")(x)
    if network.shortcut == "mean" and strides > 1:
        # 'same' leaves padding out of the mean, so an odd last row keeps its own.
        x = keras.layers.AveragePooling2D(2, padding="same", name=f"{name}_mean")(x)
        strides = 1
    return convolve(x, filters, 1, strides, name=name)


def _branch(
    x: KerasTensor,
    filters: int,
    strides: int,
    network: ResNet,
    convolve: blocks.Convolve,
    zero_last_norm: bool,
    *,
    name: str,
) -> KerasTensor:
    if not network.bottleneck:
        x = convolve(x, filters, 3, strides, relu=True, name=name, number=1)
        return convolve(x, filters, 3, zero_scale=zero_last_norm, name=name, number=2)
    width = filters * network.width_per_group // 64 * network.groups
    first, second = (strides, 1) if network.stride_first else (1, strides)
    x = convolve(x, width, 1, first, relu=True, name=name, number=1)
    x = convolve(x, width, 3, second, groups=network.groups, relu=True, name=name, number=2)
    return convolve(x, 4 * filters, 1, zero_scale=zero_last_norm, name=name, number=3)
