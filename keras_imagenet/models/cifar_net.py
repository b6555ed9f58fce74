"""A small network for 32x32 photographs that trains in under an hour on two CPU cores: our own, of published parts.

Strided convolutions do the downsampling, since convolutions at full resolution are what costs time on a CPU; each is
followed by one residual convolution (arXiv:1512.03385, section 3.2), all by batch normalisation and ReLU.
"""

from __future__ import annotations

from dataclasses import dataclass

import keras
from keras import KerasTensor

from keras_imagenet.models import blocks


@dataclass(frozen=True)
class CifarNet:
    """Filters of the stem, which keeps the resolution, and of the stages, which halve it."""

    stem: int
    filters: tuple[int, ...]


VARIANTS = {"cifar_net": CifarNet(24, (64, 128, 256))}


def build(
    variant: str | CifarNet,
    *,
    input_shape: tuple[int, int, int],
    classes: int,
    dropout: float = 0.0,
    batch_norm: blocks.Options | None = None,
    head_bias: float = 0.0,
) -> keras.Model:
    """Logits [batch, classes] or, for 0 classes, pooled features; images of 8 pixels a side or more."""
    name, network = blocks.chosen(variant, VARIANTS, "cifar_net")
    norm = {**blocks.TORCH_NORM, **(batch_norm or {})}
    images = blocks.image_input(input_shape, name, minimum=2 ** len(network.filters))
    x = _layer(images, network.stem, norm, name="stem")
    for stage, filters in enumerate(network.filters, start=1):
        x = _layer(x, filters, norm, name=f"stage{stage}_down", strides=2)
        residual = _layer(x, filters, norm, name=f"stage{stage}_residual")
        x = keras.layers.Add(name=f"stage{stage}_add")([x, residual])
    outputs = blocks.classifier(x, classes, dropout=dropout, head_bias=head_bias)
    return keras.Model(images, outputs, name=name)


def _layer(x: KerasTensor, filters: int, norm: blocks.Options, *, name: str, strides: int = 1) -> KerasTensor:
    """Convolution 3x3, norm, ReLU."""
    x = blocks.convolution(x, filters, 3, strides=strides, name=f"{name}_conv")
    x = blocks.batch_norm(x, norm, name=f"{name}_norm")
    return keras.layers.ReLU(name=f"{name}_relu")(x)
