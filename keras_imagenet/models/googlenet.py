"""GoogLeNet (arXiv:1409.4842, section 5 and table 1), with torchvision's batch norms.

Two things differ from the paper as they do in torchvision: a norm follows each convolution, and the '5x5' branch has a
3x3 convolution. The two auxiliary classifiers, which act in training only, are left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

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


def features(images: KerasTensor, network: GoogLeNet, *, batch_norm: blocks.Options | None = None) -> KerasTensor:
    """Maps of the last stage."""
    convolve = partial(blocks.conv_norm, norm={**NORM, **(batch_norm or {})}, relu=True)
    first, second, third = network.stem
    x = convolve(images, first, 7, 2, name="stem", number=1)
    x = _pool(x, 3, name="stem_pool")
    x = convolve(x, second, 1, name="stem", number=2)
    x = convolve(x, third, 3, name="stem", number=3)
    for stage, stage_blocks in enumerate(network.stages, start=1):
        x = _pool(x, 2 if stage == 3 else 3, name=f"stage{stage}_pool")
        for block, filters in enumerate(stage_blocks, start=1):
            x = _block(x, filters, convolve, name=f"stage{stage}_block{block}")
    return x


build = blocks.builder(features, VARIANTS, dropout=0.2, minimum=15)


def _block(x: KerasTensor, filters: Block, convolve: blocks.Convolve, *, name: str) -> KerasTensor:
    single, reduce2, filters2, reduce3, filters3, pooled = filters
    branches = [convolve(x, single, 1, name=f"{name}_branch1", number=1)]
    for branch, reduced, wide in ((2, reduce2, filters2), (3, reduce3, filters3)):
        prefix = f"{name}_branch{branch}"
        narrow = convolve(x, reduced, 1, name=prefix, number=1)
        branches.append(convolve(narrow, wide, 3, name=prefix, number=2))
    pool = keras.layers.MaxPooling2D(3, strides=1, padding="same", name=f"{name}_branch4_pool")(x)
    branches.append(convolve(pool, pooled, 1, name=f"{name}_branch4", number=1))
    return keras.layers.Concatenate(name=f"{name}_concatenate")(branches)


def _pool(x: KerasTensor, size: int, *, name: str) -> KerasTensor:
    """Max pooling with stride 2 whose last window may hang over the border, by what is missing there and no more.

    x is not negative, so zeros beyond the border are never the largest.
    """
    missing = [(size - side) % 2 if side >= size else size - side for side in x.shape[1:3]]
    if any(missing):
        x = keras.layers.ZeroPadding2D(tuple((0, count) for count in missing), name=f"{name}_pad")(x)
    return keras.layers.MaxPooling2D(size, strides=2, name=name)(x)
