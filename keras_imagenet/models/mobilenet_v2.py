"""MobileNetV2 (arXiv:1801.04381, table 2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras

from keras_imagenet.models import blocks
from keras_imagenet.models.inverted_residuals import ConvNorm, inverted_residual


@dataclass(frozen=True)
class MobileNetV2:
    """stages: expansion, filters, depth and strides of each; filters of the stem and of the head."""

    stages: tuple[tuple[int, int, int, int], ...]
    stem: int = 32
    head: int = 1280


VARIANTS = {
    "mobilenet_v2": MobileNetV2(
        (
            (1, 16, 1, 1),
            (6, 24, 2, 2),
            (6, 32, 3, 2),
            (6, 64, 4, 2),
            (6, 96, 3, 1),
            (6, 160, 3, 2),
            (6, 320, 1, 1),
        )
    )
}


def build(
    variant: str | MobileNetV2,
    *,
    input_shape: tuple[int, int, int],
    classes: int,
    dropout: float = 0.2,
    stochastic_depth: float = 0.0,
    batch_norm: Mapping[str, Any] | None = None,
    padding: blocks.Padding = "symmetric",
    head_bias: float = 0.0,
) -> keras.Model:
    """Logits [batch, classes] or, for 0 classes, features; images of any size.

    stochastic_depth: drop rate of the last block, rising linearly from 0. batch_norm: momentum, epsilon, synchronized.
    keras.applications' weights want padding same and epsilon 1e-3.
    """
    name, network = blocks.chosen(variant, VARIANTS, "mobilenet_v2")
    convolve = ConvNorm({**blocks.TORCH_NORM, **(batch_norm or {})}, padding)
    rates = iter(blocks.linear_rates(stochastic_depth, sum(depth for *_, depth, _ in network.stages)))

    images = blocks.image_input(input_shape, name)
    x = convolve(images, network.stem, 3, 2, activation="relu6", name="stem")
    for stage, (expansion, filters, depth, strides) in enumerate(network.stages, start=1):
        for block in range(1, depth + 1):
            x = inverted_residual(
                x,
                filters,
                convolve,
                expanded=expansion * x.shape[-1],
                kernel_size=3,
                strides=strides if block == 1 else 1,
                activation="relu6",
                drop_rate=next(rates),
                name=f"stage{stage}_block{block}",
            )
    x = convolve(x, network.head, 1, activation="relu6", name="head")
    return keras.Model(images, blocks.classifier(x, classes, dropout=dropout, head_bias=head_bias), name=name)
