"""MobileNet v1 (arXiv:1704.04861, table 1): a depthwise 3x3 and a pointwise 1x1 convolution instead of one 3x3."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from keras import KerasTensor

from keras_imagenet.models import blocks


@dataclass(frozen=True)
class MobileNetV1:
    """stem_width: filters of the stem. stages: (filters, blocks) of each; every stage but the first halves the size."""

    stem_width: int
    stages: tuple[tuple[int, int], ...]


VARIANTS = {"mobilenetv1_100": MobileNetV1(32, ((64, 1), (128, 2), (256, 2), (512, 6), (1024, 2)))}


def features(
    images: KerasTensor,
    network: MobileNetV1,
    *,
    batch_norm: blocks.Options | None = None,
    padding: blocks.Padding = "symmetric",
) -> KerasTensor:
    """Maps of the last stage. The paper's own (TensorFlow) networks have padding same, epsilon 1e-3."""
    norm_relu6 = partial(blocks.norm_relu, norm={**blocks.TORCH_NORM, **(batch_norm or {})}, max_value=6.0)
    x = blocks.convolution(images, network.stem_width, 3, strides=2, padding=padding, name="stem_conv")
    x = norm_relu6(x, name="stem")
    for stage, (filters, depth) in enumerate(network.stages, start=1):
        for block in range(1, depth + 1):
            prefix = f"stage{stage}_block{block}"
            strides = 2 if stage > 1 and block == 1 else 1
            x = blocks.depthwise_convolution(x, 3, strides=strides, padding=padding, name=f"{prefix}_depthwise")
            x = norm_relu6(x, name=prefix, number=1)
            x = blocks.convolution(x, filters, 1, name=f"{prefix}_pointwise")
            x = norm_relu6(x, name=prefix, number=2)
    return x


build = blocks.builder(features, VARIANTS)
