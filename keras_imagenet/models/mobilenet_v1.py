"""MobileNet v1 (arXiv:1704.04861, table 1): a depthwise 3x3 and a pointwise 1x1 convolution instead of one 3x3."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
from keras import KerasTensor

from keras_imagenet.models import blocks


@dataclass(frozen=True)
class MobileNetV1:
    """stem_width: filters of the stem. stages: (filters, blocks) of each; every stage but the first halves the size."""

    stem_width: int
    stages: tuple[tuple[int, int], ...]


VARIANTS = {"mobilenetv1_100": MobileNetV1(32, ((64, 1), (128, 2), (256, 2), (512, 6), (1024, 2)))}


def build(
    variant: str | MobileNetV1,
    *,
    input_shape: tuple[int, int, int],
    classes: int,
    dropout: float = 0.0,
    batch_norm: Mapping[str, Any] | None = None,
    padding: blocks.Padding = "symmetric",
    head_bias: float = 0.0,
) -> keras.Model:
    """Logits [batch, classes] or, for 0 classes, features; images of any size.

    batch_norm: momentum, epsilon, synchronized. The paper's own (TensorFlow) networks have padding same, epsilon 1e-3.
    """
    name, network = blocks.chosen(variant, VARIANTS, "mobilenet_v1")
    norm = {**blocks.TORCH_NORM, **(batch_norm or {})}
    images = blocks.image_input(input_shape, name)
    x = blocks.convolution(images, network.stem_width, 3, strides=2, padding=padding, name="stem_conv")
    x = _norm_relu6(x, norm, name="stem_norm")
    for stage, (filters, depth) in enumerate(network.stages, start=1):
        for block in range(1, depth + 1):
            prefix = f"stage{stage}_block{block}"
            strides = 2 if stage > 1 and block == 1 else 1
            x = blocks.depthwise_convolution(x, 3, strides=strides, padding=padding, name=f"{prefix}_depthwise")
            x = _norm_relu6(x, norm, name=f"{prefix}_norm1")
            x = blocks.convolution(x, filters, 1, name=f"{prefix}_pointwise")
            x = _norm_relu6(x, norm, name=f"{prefix}_norm2")
    return keras.Model(images, blocks.classifier(x, classes, dropout=dropout, head_bias=head_bias), name=name)


def _norm_relu6(x: KerasTensor, norm: Mapping[str, Any], *, name: str) -> KerasTensor:
    x = blocks.batch_norm(x, norm, name=name)
    return keras.layers.ReLU(6.0, name=name.replace("norm", "relu"))(x)
