"""GoogLeNet (arXiv:1409.4842, section 5 and table 1), with torchvision's batch norms.

Two things differ from the paper as they do in torchvision: a norm follows each convolution, and the '5x5' branch has a
3x3 convolution. The two auxiliary classifiers, which act in training only, are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
from keras import KerasTensor

from keras_imagenet.models import blocks

Block = tuple[int, int, int, int, int, int]
"""Filters: 1x1; 1x1 and 3x3; 1x1 and second 3x3; 1x1 after pooling."""


@dataclass(frozen=True)
class GoogLeNet:
    """stem: filters of a 7x7, a 1x1 and a 3x3 convolution. stages: blocks of each; pooling halves the size before it."""

    stem: tuple[int, int, int]
    stages: tuple[tuple[Block, ...], ...]


VARIANTS = {
    "googlenet": GoogLeNet(
        (64, 64, 192),
        (
            ((64, 96, 128, 16, 32, 32), (128, 128, 192, 32, 96, 64)),
            (
                (192, 96, 208, 16, 48, 64),
                (160, 112, 224, 24, 64, 64),
                (128, 128, 256, 24, 64, 64),
                (112, 144, 288, 32, 64, 64),
                (256, 160, 320, 32, 128, 128),
            ),
            ((256, 160, 320, 32, 128, 128), (384, 192, 384, 48, 128, 128)),
        ),
    )
}

NORM = {"momentum": 0.9, "epsilon": 1e-3}


def build(
    variant: str | GoogLeNet,
    *,
    input_shape: tuple[int, int, int],
    classes: int,
    dropout: float = 0.2,
    batch_norm: Mapping[str, Any] | None = None,
    head_bias: float = 0.0,
) -> keras.Model:
    """Logits [batch, classes] or, for 0 classes, features; images of 15 pixels a side or more.

    batch_norm: momentum, epsilon, synchronized.
    """
    name, network = blocks.chosen(variant, VARIANTS, "googlenet")
    norm = {**NORM, **(batch_norm or {})}
    images = blocks.image_input(input_shape, name, minimum=15)
    first, second, third = network.stem
    x = _convolution(images, first, 7, norm, strides=2, name="stem", number=1)
    x = _pool(x, 3, name="stem_pool")
    x = _convolution(x, second, 1, norm, name="stem", number=2)
    x = _convolution(x, third, 3, norm, name="stem", number=3)
    for stage, stage_blocks in enumerate(network.stages, start=1):
        x = _pool(x, 2 if stage == 3 else 3, name=f"stage{stage}_pool")
        for block, filters in enumerate(stage_blocks, start=1):
            x = _block(x, filters, norm, name=f"stage{stage}_block{block}")
    return keras.Model(images, blocks.classifier(x, classes, dropout=dropout, head_bias=head_bias), name=name)


def _block(x: KerasTensor, filters: Block, norm: Mapping[str, Any], *, name: str) -> KerasTensor:
    single, reduce2, filters2, reduce3, filters3, pooled = filters
    branches = [_convolution(x, single, 1, norm, name=f"{name}_branch1", number=1)]
    for branch, reduced, wide in ((2, reduce2, filters2), (3, reduce3, filters3)):
        prefix = f"{name}_branch{branch}"
        narrow = _convolution(x, reduced, 1, norm, name=prefix, number=1)
        branches.append(_convolution(narrow, wide, 3, norm, name=prefix, number=2))
    pool = keras.layers.MaxPooling2D(3, strides=1, padding="same", name=f"{name}_branch4_pool")(x)
    branches.append(_convolution(pool, pooled, 1, norm, name=f"{name}_branch4", number=1))
    return keras.layers.Concatenate(name=f"{name}_concatenate")(branches)


def _convolution(
    x: KerasTensor, filters: int, size: int, norm: Mapping[str, Any], *, name: str, number: int, strides: int = 1
) -> KerasTensor:
    x = blocks.convolution(x, filters, size, strides=strides, name=f"{name}_conv{number}")
    x = blocks.batch_norm(x, norm, name=f"{name}_norm{number}")
    return keras.layers.ReLU(name=f"{name}_relu{number}")(x)


def _pool(x: KerasTensor, size: int, *, name: str) -> KerasTensor:
    """Max pooling with stride 2 whose last window may hang over the border, by what is missing there and no more.

    x is not negative, so zeros beyond the border are never the largest.
    """
    missing = [(size - side) % 2 if side >= size else size - side for side in x.shape[1:3]]
    if any(missing):
        x = keras.layers.ZeroPadding2D(tuple((0, count) for count in missing), name=f"{name}_pad")(x)
    return keras.layers.MaxPooling2D(size, strides=2, name=name)(x)
