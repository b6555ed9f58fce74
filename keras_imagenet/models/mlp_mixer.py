"""MLP-Mixer (arXiv:2105.01601, section 2 and table 1): patches mixed along positions, then along channels, by turns."""

from __future__ import annotations

from dataclasses import dataclass

import keras
from keras import KerasTensor

from keras_imagenet.models import blocks


@dataclass(frozen=True)
class MLPMixer:
    """Width of a token, depth, pixels a side of a patch; hidden units between positions and between channels."""

    width: int
    depth: int
    patch_size: int
    positions_hidden: int
    channels_hidden: int


VARIANTS = {
    "mixer_s32_224": MLPMixer(512, 8, 32, 256, 2048),
    "mixer_s16_224": MLPMixer(512, 8, 16, 256, 2048),
    "mixer_b16_224": MLPMixer(768, 12, 16, 384, 3072),
}

EPSILON = 1e-6
WEIGHTS = {"class_name": "GlorotUniform", "config": {}}


def features(
    images: KerasTensor,
    network: MLPMixer,
    *,
    stochastic_depth: float = 0.0,
    stochastic_depth_form: blocks.DropRates = "linear",
) -> KerasTensor:
    """Means of the last block's tokens [batch, width].

    Weights belong to one number of patches: those of one input size do not fit another.
    """
    size = network.patch_size
    x = keras.layers.Conv2D(network.width, size, strides=size, kernel_initializer=WEIGHTS, name="patch_embedding")(
        images
    )
    x = keras.layers.Reshape((x.shape[1] * x.shape[2], network.width), name="tokens")(x)
    for block, rate in enumerate(blocks.drop_rates(stochastic_depth, network.depth, stochastic_depth_form), start=1):
        x = _block(x, network, rate, name=f"block{block}")
    x = _norm(x, name="norm")
    return keras.layers.GlobalAveragePooling1D(name="pool", dtype="float32")(x)


build = blocks.builder(features, VARIANTS, head=blocks.logits, multiple=lambda network: network.patch_size)


def _block(x: KerasTensor, network: MLPMixer, drop_rate: float, *, name: str) -> KerasTensor:
    branch = keras.layers.Permute((2, 1), name=f"{name}_by_channel")(_norm(x, name=f"{name}_norm1"))
    branch = _mlp(branch, network.positions_hidden, name=f"{name}_positions")
    branch = keras.layers.Permute((2, 1), name=f"{name}_by_position")(branch)
    branch = blocks.stochastic_depth(branch, drop_rate, name=f"{name}_drop1")
    x = keras.layers.Add(name=f"{name}_add1")([branch, x])
    branch = _mlp(_norm(x, name=f"{name}_norm2"), network.channels_hidden, name=f"{name}_channels")
    branch = blocks.stochastic_depth(branch, drop_rate, name=f"{name}_drop2")
    return keras.layers.Add(name=f"{name}_add2")([branch, x])


def _mlp(x: KerasTensor, hidden: int, *, name: str) -> KerasTensor:
    """Along the last axis, which keeps its length."""
    size = x.shape[-1]
    x = keras.layers.Dense(hidden, kernel_initializer=WEIGHTS, name=f"{name}_hidden")(x)
    x = keras.layers.Activation("gelu", name=f"{name}_act")(x)
    return keras.layers.Dense(size, kernel_initializer=WEIGHTS, name=f"{name}_project")(x)


def _norm(x: KerasTensor, *, name: str) -> KerasTensor:
    return keras.layers.LayerNormalization(epsilon=EPSILON, name=name)(x)
