"""DenseNet-BC (arXiv:1608.06993, table 1): each layer sees all earlier ones of its block."""

from __future__ import annotations

from dataclasses import dataclass

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


def features(
    images: KerasTensor,
    network: DenseNet,
    *,
    batch_norm: blocks.Options | None = None,
    padding: blocks.Padding = "symmetric",
) -> KerasTensor:
    """Maps of the last block, after a norm and ReLU."""
    norm = {**blocks.TORCH_NORM, **(batch_norm or {})}
    x = blocks.conv_norm(images, network.stem_width, 7, 2, norm=norm, padding=padding, relu=True, name="stem")
    x = blocks.max_pool(x, padding=padding, name="stem_pool")
    for stage, depth in enumerate(network.depths, start=1):
        for layer in range(1, depth + 1):
            x = _layer(x, network.growth, norm, name=f"stage{stage}_layer{layer}")
        if stage < len(network.depths):
            x = blocks.norm_relu(x, norm, name=f"transition{stage}")
            x = blocks.convolution(x, x.shape[-1] // 2, 1, name=f"transition{stage}_conv")
            x = keras.layers.AveragePooling2D(2, name=f"transition{stage}_pool")(x)
    return blocks.norm_relu(x, norm, name="head")


# The stem halves twice, rounding up; each of the transitions halves once, rounding down.
build = blocks.builder(features, VARIANTS, minimum=lambda network: 4 * (2 ** (len(network.depths) - 1) - 1) + 1)


def _layer(x: KerasTensor, growth: int, norm: blocks.Options, *, name: str) -> KerasTensor:
    new = blocks.norm_relu(x, norm, name=name, number=1)
    new = blocks.convolution(new, 4 * growth, 1, name=f"{name}_conv1")
    new = blocks.norm_relu(new, norm, name=name, number=2)
    new = blocks.convolution(new, growth, 3, name=f"{name}_conv2")
    return keras.layers.Concatenate(name=f"{name}_concat")([x, new])
