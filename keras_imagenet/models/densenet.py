"""DenseNet-BC (arXiv:1608.06993, table 1): each layer sees all earlier ones of its block."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
from keras import KerasTensor

from keras_imagenet.models import blocks


@dataclass(frozen=True)
class DenseNet:
    """depths: layers of each block; growth: filters that a layer adds; stem_width: filters of the stem."""

    depths: tuple[int, ...]
    growth: int = 32
    stem_width: int = 64


VARIANTS = {
    "densenet121": DenseNet((6, 12, 24, 16)),
    "densenet169": DenseNet((6, 12, 32, 32)),
    "densenet201": DenseNet((6, 12, 48, 32)),
}


def build(
    variant: str | DenseNet,
    *,
    input_shape: tuple[int, int, int],
    classes: int,
    dropout: float = 0.0,
    batch_norm: Mapping[str, Any] | None = None,
    padding: blocks.Padding = "symmetric",
    head_bias: float = 0.0,
) -> keras.Model:
    """Logits [batch, classes] or, for 0 classes, features; images of 29 pixels a side or more for four blocks.

    batch_norm: momentum, epsilon, synchronized.
    """
    name, network = blocks.chosen(variant, VARIANTS, "densenet")
    norm = {**blocks.TORCH_NORM, **(batch_norm or {})}
    transitions = len(network.depths) - 1

    # The stem halves twice, rounding up; each transition halves once, rounding down.
    images = blocks.image_input(input_shape, name, minimum=4 * (2**transitions - 1) + 1)
    x = blocks.convolution(images, network.stem_width, 7, strides=2, padding=padding, name="stem_conv")
    x = _norm_relu(x, norm, name="stem_norm")
    x = blocks.max_pool(x, padding=padding, name="stem_pool")
    for stage, depth in enumerate(network.depths, start=1):
        for layer in range(1, depth + 1):
            x = _layer(x, network.growth, norm, name=f"stage{stage}_layer{layer}")
        if stage <= transitions:
            x = _norm_relu(x, norm, name=f"transition{stage}_norm")
            x = blocks.convolution(x, x.shape[-1] // 2, 1, name=f"transition{stage}_conv")
            x = keras.layers.AveragePooling2D(2, name=f"transition{stage}_pool")(x)
    x = _norm_relu(x, norm, name="head_norm")
    return keras.Model(images, blocks.classifier(x, classes, dropout=dropout, head_bias=head_bias), name=name)


def _layer(x: KerasTensor, growth: int, norm: Mapping[str, Any], *, name: str) -> KerasTensor:
    new = _norm_relu(x, norm, name=f"{name}_norm1")
    new = blocks.convolution(new, 4 * growth, 1, name=f"{name}_conv1")
    new = _norm_relu(new, norm, name=f"{name}_norm2")
    new = blocks.convolution(new, growth, 3, name=f"{name}_conv2")
    return keras.layers.Concatenate(name=f"{name}_concat")([x, new])


def _norm_relu(x: KerasTensor, norm: Mapping[str, Any], *, name: str) -> KerasTensor:
    x = blocks.batch_norm(x, norm, name=name)
    return keras.layers.ReLU(name=name.replace("norm", "relu"))(x)
