"""ConvNeXt (arXiv:2201.03545, section 3 and figure 4)."""

from __future__ import annotations

from dataclasses import dataclass

import keras
from keras import KerasTensor

from keras_imagenet.models import blocks
from keras_imagenet.models.parameters import layer_scale as scaled
from keras_imagenet.models.parameters import ones as ones_of


@dataclass(frozen=True)
class ConvNeXt:
    """Depth and width of each stage; drop rate of the last block."""

    depths: tuple[int, ...]
    widths: tuple[int, ...]
    stochastic_depth: float


VARIANTS = {
    "convnext_tiny": ConvNeXt((3, 3, 9, 3), (96, 192, 384, 768), 0.1),
    "convnext_small": ConvNeXt((3, 3, 27, 3), (96, 192, 384, 768), 0.4),
    "convnext_base": ConvNeXt((3, 3, 27, 3), (128, 256, 512, 1024), 0.5),
    "convnext_large": ConvNeXt((3, 3, 27, 3), (192, 384, 768, 1536), 0.5),
}

EPSILON = 1e-6
WEIGHTS = {"class_name": "TruncatedNormal", "config": {"mean": 0.0, "stddev": 0.02}}


def features(
    images: KerasTensor,
    network: ConvNeXt,
    *,
    stochastic_depth: float | None = None,
    stochastic_depth_form: blocks.DropRates = "linear",
    layer_scale: float = 1e-6,
) -> KerasTensor:
    """Normalised means of the last stage's maps [batch, width].

    layer_scale: what the factors on residual branches start at.
    """
    final = network.stochastic_depth if stochastic_depth is None else stochastic_depth
    rates = iter(blocks.drop_rates(final, sum(network.depths), stochastic_depth_form))

    ones = ones_of(images)
    x = _patches(images, network.widths[0], 4, name="stem")
    x = _norm(x, name="stem_norm")
    for stage, (depth, width) in enumerate(zip(network.depths, network.widths, strict=True), start=1):
        if stage > 1:
            x = _norm(x, name=f"stage{stage}_downsample_norm")
            x = _patches(x, width, 2, name=f"stage{stage}_downsample")
        for block in range(1, depth + 1):
            x = _block(x, ones, layer_scale, next(rates), name=f"stage{stage}_block{block}")
    x = keras.layers.GlobalAveragePooling2D(name="mean", dtype="float32")(x)
    return keras.layers.LayerNormalization(epsilon=EPSILON, name="pool", dtype="float32")(x)


build = blocks.builder(features, VARIANTS, head=blocks.logits, minimum=lambda network: 2 ** (len(network.depths) + 1))


def _block(x: KerasTensor, ones: KerasTensor, scale: float, drop_rate: float, *, name: str) -> KerasTensor:
    inputs, width = x, x.shape[-1]
    x = keras.layers.DepthwiseConv2D(7, padding="same", depthwise_initializer=WEIGHTS, name=f"{name}_depthwise")(x)
    x = _norm(x, name=f"{name}_norm")
    x = keras.layers.Dense(4 * width, kernel_initializer=WEIGHTS, name=f"{name}_expand")(x)
    x = keras.layers.Activation("gelu", name=f"{name}_act")(x)
    x = keras.layers.Dense(width, kernel_initializer=WEIGHTS, name=f"{name}_project")(x)
    x = scaled(x, ones, scale, name=f"{name}_scale")
    x = blocks.stochastic_depth(x, drop_rate, name=f"{name}_drop")
    return keras.layers.Add(name=f"{name}_add")([x, inputs])


def _patches(x: KerasTensor, filters: int, size: int, *, name: str) -> KerasTensor:
    return keras.layers.Conv2D(filters, size, strides=size, kernel_initializer=WEIGHTS, name=f"{name}_conv")(x)


def _norm(x: KerasTensor, *, name: str) -> KerasTensor:
    return keras.layers.LayerNormalization(epsilon=EPSILON, name=name)(x)
