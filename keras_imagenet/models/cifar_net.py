"""A small network for 32x32 photographs that trains in under an hour on two CPU cores: our own, of published parts.

Strided convolutions do the downsampling, since convolutions at full resolution are what costs time on a CPU; each is
followed by one residual convolution (arXiv:1512.03385, section 3.2), all by batch normalisation and ReLU.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import keras
from keras import KerasTensor

from keras_imagenet.models import blocks


@dataclass(frozen=True)
class CifarNet:
    """Filters of the stem, which keeps the resolution, and of the stages, which halve it."""

    stem: int
    filters: tuple[int, ...]


VARIANTS = {"cifar_net": CifarNet(24, (64, 128, 256))}


def features(images: KerasTensor, network: CifarNet, *, batch_norm: blocks.Options | None = None) -> KerasTensor:
    """Maps of the last stage."""
    convolve = partial(blocks.conv_norm, norm={**blocks.TORCH_NORM, **(batch_norm or {})}, relu=True)
    x = convolve(images, network.stem, 3, name="stem")
    for stage, filters in enumerate(network.filters, start=1):
        x = convolve(x, filters, 3, 2, name=f"stage{stage}_down")
        residual = convolve(x, filters, 3, name=f"stage{stage}_residual")
        x = keras.layers.Add(name=f"stage{stage}_add")([x, residual])
    return x


build = blocks.builder(features, VARIANTS, minimum=lambda network: 2 ** len(network.filters))
