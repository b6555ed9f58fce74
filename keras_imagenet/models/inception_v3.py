"""Inception-v3 (arXiv:1512.00567, table 1 and figures 5 to 7), without the auxiliary classifier, which acts in training.

`_keras` is keras.applications' network: no scale in its norms, and means that leave out what lies beyond the border.
The other is torchvision's, where zeros beyond the border count.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
from keras import KerasTensor

from keras_imagenet.models import blocks

Convolution = tuple[int, int, int]
"""Filters, height and width of the kernel."""


@dataclass(frozen=True)
class Block:
    """Branches side by side, each a chain of convolutions, and a pooled one; all concatenated.

    forks: of each branch, the two convolutions side by side at its end, () for none. pooled: filters of a 1x1
    convolution after a 3x3 mean; 0 for max pooling and a last convolution with stride 2 in each branch.
    """

    branches: tuple[tuple[Convolution, ...], ...]
    pooled: int
    forks: Mapping[int, tuple[Convolution, Convolution]] | None = None


@dataclass(frozen=True)
class InceptionV3:
    """stem: filters of five convolutions. stages: blocks of each. scale: norms have a factor. padded_mean: see above."""

    stem: tuple[int, int, int, int, int]
    stages: tuple[tuple[Block, ...], ...]
    scale: bool = True
    padded_mean: bool = True


def _a(pooled: int) -> Block:
    return Block((((64, 1, 1),), ((48, 1, 1), (64, 5, 5)), ((64, 1, 1), (96, 3, 3), (96, 3, 3))), pooled)


def _c(width: int) -> Block:
    return Block(
        (
            ((192, 1, 1),),
            ((width, 1, 1), (width, 1, 7), (192, 7, 1)),
            ((width, 1, 1), (width, 7, 1), (width, 1, 7), (width, 7, 1), (192, 1, 7)),
        ),
        192,
    )


_B = Block((((384, 3, 3),), ((64, 1, 1), (96, 3, 3), (96, 3, 3))), 0)
_D = Block((((192, 1, 1), (320, 3, 3)), ((192, 1, 1), (192, 1, 7), (192, 7, 1), (192, 3, 3))), 0)
_FORK = ((384, 1, 3), (384, 3, 1))
_E = Block((((320, 1, 1),), ((384, 1, 1),), ((448, 1, 1), (384, 3, 3))), 192, {2: _FORK, 3: _FORK})
STEM = (32, 32, 64, 80, 192)
STAGES = ((_a(32), _a(64), _a(64)), (_B, _c(128), _c(160), _c(160), _c(192)), (_D, _E, _E))

VARIANTS = {
    "inception_v3": InceptionV3(STEM, STAGES),
    "inception_v3_keras": InceptionV3(STEM, STAGES, scale=False, padded_mean=False),
}

NORM = {"momentum": 0.9, "epsilon": 1e-3}


def build(
    variant: str | InceptionV3,
    *,
    input_shape: tuple[int, int, int],
    classes: int,
    dropout: float = 0.5,
    batch_norm: Mapping[str, Any] | None = None,
    head_bias: float = 0.0,
) -> keras.Model:
    """Logits [batch, classes] or, for 0 classes, features; images of 75 pixels a side or more.

    batch_norm: momentum, epsilon, synchronized.
    """
    name, network = blocks.chosen(variant, VARIANTS, "inception_v3")
    norm = {**NORM, "scale": network.scale, **(batch_norm or {})}
    images = blocks.image_input(input_shape, name, minimum=75)
    filters = network.stem
    x = _convolution(images, (filters[0], 3, 3), norm, strides=2, padding="valid", name="stem", number=1)
    x = _convolution(x, (filters[1], 3, 3), norm, padding="valid", name="stem", number=2)
    x = _convolution(x, (filters[2], 3, 3), norm, name="stem", number=3)
    x = keras.layers.MaxPooling2D(3, strides=2, name="stem_pool1")(x)
    x = _convolution(x, (filters[3], 1, 1), norm, name="stem", number=4)
    x = _convolution(x, (filters[4], 3, 3), norm, padding="valid", name="stem", number=5)
    x = keras.layers.MaxPooling2D(3, strides=2, name="stem_pool2")(x)
    for stage, stage_blocks in enumerate(network.stages, start=1):
        for number, block in enumerate(stage_blocks, start=1):
            x = _block(x, block, norm, network.padded_mean, name=f"stage{stage}_block{number}")
    return keras.Model(images, blocks.classifier(x, classes, dropout=dropout, head_bias=head_bias), name=name)


def _block(x: KerasTensor, block: Block, norm: Mapping[str, Any], padded_mean: bool, *, name: str) -> KerasTensor:
    outputs = []
    for number, convolutions in enumerate(block.branches, start=1):
        prefix = f"{name}_branch{number}"
        branch = x
        for position, convolution in enumerate(convolutions, start=1):
            strided = not block.pooled and position == len(convolutions)
            options = {"strides": 2, "padding": "valid"} if strided else {}
            branch = _convolution(branch, convolution, norm, name=prefix, number=position, **options)
        fork = (block.forks or {}).get(number, ())
        first = len(convolutions) + 1
        ends = [_convolution(branch, end, norm, name=prefix, number=first + i) for i, end in enumerate(fork)]
        outputs += ends or [branch]
    if block.pooled:
        pooled = _mean(x, padded_mean, name=f"{name}_pool_mean")
        outputs.append(_convolution(pooled, (block.pooled, 1, 1), norm, name=f"{name}_pool", number=1))
    else:
        outputs.append(keras.layers.MaxPooling2D(3, strides=2, name=f"{name}_pool_max")(x))
    return keras.layers.Concatenate(name=f"{name}_concatenate")(outputs)


def _convolution(
    x: KerasTensor,
    convolution: Convolution,
    norm: Mapping[str, Any],
    *,
    name: str,
    number: int,
    strides: int = 1,
    padding: str = "same",
) -> KerasTensor:
    filters, *kernel_size = convolution
    x = keras.layers.Conv2D(
        filters,
        kernel_size,
        strides=strides,
        padding=padding,
        use_bias=False,
        kernel_initializer=blocks.fan_out(),
        name=f"{name}_conv{number}",
    )(x)
    x = blocks.batch_norm(x, norm, name=f"{name}_norm{number}")
    return keras.layers.ReLU(name=f"{name}_relu{number}")(x)


def _mean(x: KerasTensor, padded: bool, *, name: str) -> KerasTensor:
    """The mean of 3 x 3 pixels around each."""
    if padded:
        x = keras.layers.ZeroPadding2D(1, name=f"{name}_pad")(x)
    return keras.layers.AveragePooling2D(3, strides=1, padding="valid" if padded else "same", name=name)(x)
