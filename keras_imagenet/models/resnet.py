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
from typing import Any, Literal

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


def build(
    variant: str | ResNet,
    *,
    input_shape: tuple[int, int, int],
    classes: int,
    dropout: float = 0.0,
    stochastic_depth: float = 0.0,
    squeeze_excite: int | None = None,
    zero_last_norm: bool = False,
    batch_norm: Mapping[str, Any] | None = None,
    padding: blocks.Padding = "symmetric",
    blur_pool: bool = False,
    head_bias: float = 0.0,
) -> keras.Model:
    """Logits [batch, classes] or, for 0 classes, features; images of any size.

    stochastic_depth: drop rate of the last block, rising linearly from 0. squeeze_excite: as in the variant, 0 for
    none. zero_last_norm: each block starts as the identity (arXiv:1706.02677, section 5.1). batch_norm: momentum,
    epsilon, synchronized. blur_pool: a binomial filter before every strided convolution but the stem's first, as in
    FFCV's recipes.
    """
    name, network = blocks.chosen(variant, VARIANTS, "resnet")
    reduction = network.squeeze_excite if squeeze_excite is None else squeeze_excite
    convolve = _Convolve(network.use_bias, {**network.norm, **(batch_norm or {})}, padding, blur_pool)
    rates = iter(blocks.linear_rates(stochastic_depth, sum(network.depths)))

    images = blocks.image_input(input_shape, name)
    x = _stem(images, network, convolve)
    for stage, depth in enumerate(network.depths, start=1):
        filters = network.width * 2 ** (stage - 1)
        for block in range(1, depth + 1):
            strides = 2 if stage > 1 and block == 1 else 1
            prefix = f"stage{stage}_block{block}"
            shortcut = _shortcut(x, filters, strides, network, convolve, name=f"{prefix}_shortcut")
            branch = _bottleneck if network.bottleneck else _basic
            x = branch(x, filters, strides, network, convolve, zero_last_norm, name=prefix)
            if reduction:
                x = blocks.squeeze_excite(x, x.shape[-1] // reduction, name=f"{prefix}_se")
            x = blocks.stochastic_depth(x, next(rates), name=f"{prefix}_drop")
            x = keras.layers.Add(name=f"{prefix}_add")([x, shortcut])
            x = keras.layers.ReLU(name=f"{prefix}_out")(x)
    return keras.Model(images, blocks.classifier(x, classes, dropout=dropout, head_bias=head_bias), name=name)


@dataclass(frozen=True)
class _Convolve:
    """A convolution and its norm: `prefix_convN`, `prefix_normN`."""

    use_bias: bool
    norm: Mapping[str, Any]
    padding: blocks.Padding
    blur_pool: bool

    def __call__(
        self,
        x: KerasTensor,
        filters: int,
        kernel_size: int,
        strides: int = 1,
        groups: int = 1,
        *,
        prefix: str,
        number: int | str = "",
        zero_scale: bool = False,
        blurred: bool = True,
    ) -> KerasTensor:
        conv = f"{prefix}_conv{number}"
        if strides > 1 and self.blur_pool and blurred:
            x = blocks.blur(x, name=f"{conv}_blur")
        x = blocks.convolution(
            x,
            filters,
            kernel_size,
            strides=strides,
            groups=groups,
            use_bias=self.use_bias,
            padding=self.padding,
            name=conv,
        )
        return blocks.batch_norm(x, self.norm, zero_scale=zero_scale, name=f"{prefix}_norm{number}")


def _stem(x: KerasTensor, network: ResNet, convolve: _Convolve) -> KerasTensor:
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
        x = convolve(x, filters, kernel_size, strides, prefix="stem", number=suffix, blurred=number > 1)
        x = keras.layers.ReLU(name=f"stem_relu{suffix}")(x)
    return blocks.max_pool(x, padding=convolve.padding, name="stem_pool") if network.stem in ("7x7", "deep") else x


def _shortcut(
    x: KerasTensor, filters: int, strides: int, network: ResNet, convolve: _Convolve, *, name: str
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
    return convolve(x, filters, 1, strides, prefix=name)


def _basic(
    x: KerasTensor, filters: int, strides: int, network: ResNet, convolve: _Convolve, zero_last_norm: bool, *, name: str
) -> KerasTensor:
    x = convolve(x, filters, 3, strides, prefix=name, number=1)
    x = keras.layers.ReLU(name=f"{name}_relu1")(x)
    return convolve(x, filters, 3, prefix=name, number=2, zero_scale=zero_last_norm)


def _bottleneck(
    x: KerasTensor, filters: int, strides: int, network: ResNet, convolve: _Convolve, zero_last_norm: bool, *, name: str
) -> KerasTensor:
    width = filters * network.width_per_group // 64 * network.groups
    first, second = (strides, 1) if network.stride_first else (1, strides)
    x = convolve(x, width, 1, first, prefix=name, number=1)
    x = keras.layers.ReLU(name=f"{name}_relu1")(x)
    x = convolve(x, width, 3, second, network.groups, prefix=name, number=2)
    x = keras.layers.ReLU(name=f"{name}_relu2")(x)
    return convolve(x, 4 * filters, 1, prefix=name, number=3, zero_scale=zero_last_norm)
