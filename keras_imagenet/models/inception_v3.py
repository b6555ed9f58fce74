"""Inception-v3 (arXiv:1512.00567, table 1 and figures 5 to 7), without the auxiliary classifier, which acts in training.

`_keras` is keras.applications' network: no scale in its norms, and means that leave out what lies beyond the border.
The other is torchvision's, where zeros beyond the border count.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

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


def features(images: KerasTensor, network: InceptionV3, *, batch_norm: blocks.Options | None = None) -> KerasTensor:
    """Maps of the last stage."""
    norm = {**NORM, "scale": network.scale, **(batch_norm or {})}
    convolve = partial(blocks.conv_norm, norm=norm, padding="same", relu=True)
    filters = network.stem
    x = convolve(images, filters[0], 3, 2, padding="valid", name="stem", number=1)
    x = convolve(x, filters[1], 3, padding="valid", name="stem", number=2)
    x = convolve(x, filters[2], 3, name="stem", number=3)
    x = keras.layers.MaxPooling2D(3, strides=2, name="stem_pool1")(x)
    # Not 1, which blocks.convolution pads by 'valid': a saved network says 'same'.
    x = convolve(x, filters[3], (1, 1), name="stem", number=4)
    x = convolve(x, filters[4], 3, padding="valid", name="stem", number=5)
    x = keras.layers.MaxPooling2D(3, strides=2, name="stem_pool2")(x)
    for stage, stage_blocks in enumerate(network.stages, start=1):
        for number, block in enumerate(stage_blocks, start=1):
            x = _block(x, block, convolve, network.padded_mean, name=f"stage{stage}_block{number}")
    return x


build = blocks.builder(features, VARIANTS, dropout=0.5, minimum=75)


def _block(x: KerasTensor, block: Block, convolve: blocks.Convolve, padded_mean: bool, *, name: str) -> KerasTensor:
    outputs = []
    for number, convolutions in enumerate(block.branches, start=1):
        prefix = f"{name}_branch{number}"
        branch = x
        for position, (filters, *kernel_size) in enumerate(convolutions, start=1):
            strided = not block.pooled and position == len(convolutions)
            options = {"strides": 2, "padding": "valid"} if strided else {}
            branch = convolve(branch, filters, kernel_size, name=prefix, number=position, **options)
        fork = enumerate((block.forks or {}).get(number, ()), start=len(convolutions) + 1)
        ends = [convolve(branch, filters, sides, name=prefix, number=position) for position, (filters, *sides) in fork]
        outputs += ends or [branch]
    if block.pooled:
        pooled = _mean(x, padded_mean, name=f"{name}_pool_mean")
        outputs.append(convolve(pooled, block.pooled, (1, 1), name=f"{name}_pool", number=1))
    else:
        outputs.append(keras.layers.MaxPooling2D(3, strides=2, name=f"{name}_pool_max")(x))
    return keras.layers.Concatenate(name=f"{name}_concatenate")(outputs)


def _mean(x: KerasTensor, padded: bool, *, name: str) -> KerasTensor:
    """The mean of 3 x 3 pixels around each."""
    if padded:
        x = keras.layers.ZeroPadding2D(1, name=f"{name}_pad")(x)
    return keras.layers.AveragePooling2D(3, strides=1, padding="valid" if padded else "same", name=name)(x)
