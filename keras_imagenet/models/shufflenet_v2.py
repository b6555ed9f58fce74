"""ShuffleNetV2 (arXiv:1807.11164, table 5): half of the channels pass a block by, then both halves are shuffled."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import keras
from keras import KerasTensor

from keras_imagenet.models import blocks


@dataclass(frozen=True)
class ShuffleNetV2:
    """filters: of each stage, even numbers; depths of the stages; filters of the stem and of the head."""

    filters: tuple[int, ...]
    depths: tuple[int, ...] = (4, 8, 4)
    stem: int = 24
    head: int = 1024


VARIANTS = {
    "shufflenet_v2_x0_5": ShuffleNetV2((48, 96, 192)),
    "shufflenet_v2_x1_0": ShuffleNetV2((116, 232, 464)),
    "shufflenet_v2_x1_5": ShuffleNetV2((176, 352, 704)),
    "shufflenet_v2_x2_0": ShuffleNetV2((244, 488, 976), head=2048),
}


def features(
    images: KerasTensor,
    network: ShuffleNetV2,
    *,
    batch_norm: blocks.Options | None = None,
    padding: blocks.Padding = "symmetric",
) -> KerasTensor:
    """Maps of the head's convolution."""
    convolve = partial(blocks.conv_norm, norm={**blocks.TORCH_NORM, **(batch_norm or {})}, padding=padding)
    x = convolve(images, network.stem, 3, 2, relu=True, name="stem")
    x = blocks.max_pool(x, padding=padding, name="stem_pool")
    for stage, (filters, depth) in enumerate(zip(network.filters, network.depths, strict=True), start=1):
        for block in range(1, depth + 1):
            x = _block(x, filters // 2, convolve, halves=block == 1, name=f"stage{stage}_block{block}")
    return convolve(x, network.head, 1, relu=True, name="head")


build = blocks.builder(features, VARIANTS)


def _block(x: KerasTensor, half: int, convolve: blocks.Convolve, *, halves: bool, name: str) -> KerasTensor:
    """2 `half` channels. halves: height and width are halved, and both ways see all channels (figure 3, d); else c."""
    if halves:
        beside = convolve(x, None, 3, 2, name=f"{name}_shortcut_depthwise")
        beside = convolve(beside, half, 1, relu=True, name=f"{name}_shortcut")
    else:
        beside, x = keras.ops.split(x, 2, axis=-1)
    x = convolve(x, half, 1, relu=True, name=f"{name}_first")
    x = convolve(x, None, 3, 2 if halves else 1, name=f"{name}_depthwise")
    x = convolve(x, half, 1, relu=True, name=f"{name}_last")
    return _shuffled(keras.layers.Concatenate(name=f"{name}_concat")([beside, x]), name=f"{name}_shuffle")


def _shuffled(x: KerasTensor, *, name: str) -> KerasTensor:
    """Channels of both halves in turn, so that the next block's halves have some of each (section 3.2)."""
    _, height, width, channels = x.shape
    x = keras.layers.Reshape((height, width, 2, channels // 2), name=f"{name}_halves")(x)
    x = keras.layers.Permute((1, 2, 4, 3), name=f"{name}_in_turn")(x)
    return keras.layers.Reshape((height, width, channels), name=name)(x)
