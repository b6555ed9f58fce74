"""Vision transformers (arXiv:2010.11929, section 3; tiny and small: arXiv:2012.12877, table 1).

'plain' is the 'better plain ViT' (arXiv:2205.01580) of big_vision: fixed sine-cosine positions, mean over positions
instead of a class token, a hidden tanh layer before the logits.
`_distilled` has a second token with a head of its own, whose logits are averaged with the class token's, in training
too, where there is no teacher (arXiv:2012.12877, section 4).
'deit3' (arXiv:2204.07118, section 3) scales its branches, and its class token has no position.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import keras
from keras import KerasTensor

from keras_imagenet.models import blocks, parameters


@dataclass(frozen=True)
class ViT:
    """Width of a token, depth, heads, pixels a side of a patch; plain and distilled as the module says.

    layer_scale: what factors on residual branches start at; None for no factors. class_position: whether the class token
    has a position, as the patches have.
    """

    width: int
    depth: int
    heads: int
    patch_size: int = 16
    plain: bool = False
    distilled: bool = False
    layer_scale: float | None = None
    class_position: bool = True


VARIANTS = {
    "vit_tiny_patch16_224": ViT(192, 12, 3),
    "vit_small_patch16_224": ViT(384, 12, 6),
    "vit_base_patch16_224": ViT(768, 12, 12),
    "vit_b_16": ViT(768, 12, 12),
    "vit_b_32": ViT(768, 12, 12, patch_size=32),
    "vit_l_16": ViT(1024, 24, 16),
    "deit_tiny_distilled_patch16_224": ViT(192, 12, 3, distilled=True),
    "deit_small_distilled_patch16_224": ViT(384, 12, 6, distilled=True),
    "deit_base_distilled_patch16_224": ViT(768, 12, 12, distilled=True),
    "deit3_small_patch16_224": ViT(384, 12, 6, layer_scale=1e-4, class_position=False),
    "deit3_base_patch16_224": ViT(768, 12, 12, layer_scale=1e-4, class_position=False),
    "vit_tiny_patch16_plain": ViT(192, 12, 3, plain=True),
    "vit_small_patch16_plain": ViT(384, 12, 6, plain=True),
    "vit_base_patch16_plain": ViT(768, 12, 12, plain=True),
}

EPSILON = 1e-6
TEMPERATURE = 10_000.0
WEIGHTS = {"class_name": "GlorotUniform", "config": {}}
POSITIONS = {"class_name": "TruncatedNormal", "config": {"mean": 0.0, "stddev": 0.02}}


def features(
    images: KerasTensor,
    network: ViT,
    *,
    stochastic_depth: float = 0.0,
    stochastic_depth_form: blocks.DropRates = "linear",
    layer_scale: float | None = None,
) -> list[KerasTensor]:
    """A feature [batch, width] for each head: one or, distilled, two.

    layer_scale: over the network's own.
    """
    scale = network.layer_scale if layer_scale is None else layer_scale
    patch_size = network.patch_size
    ones = parameters.ones(images)
    x = keras.layers.Conv2D(
        network.width, patch_size, strides=patch_size, kernel_initializer=WEIGHTS, name="patch_embedding"
    )(images)
    tokens = ("class_token", "distillation_token") if network.distilled else ("class_token",)
    x = _with_sine_positions(x) if network.plain else _with_learned_positions(x, ones, tokens, network.class_position)
    for block, rate in enumerate(blocks.drop_rates(stochastic_depth, network.depth, stochastic_depth_form), start=1):
        x = _block(x, ones, network, scale, rate, name=f"block{block}")
    x = _norm(x, name="norm")
    if network.plain:
        x = keras.layers.GlobalAveragePooling1D(name="mean")(x)
        x = keras.layers.Dense(network.width, kernel_initializer=WEIGHTS, name="head")(x)
        return [keras.layers.Activation("tanh", name="pool", dtype="float32")(x)]
    names = ("class_feature", "distillation_feature") if network.distilled else ("pool",)
    return [
        keras.layers.Activation("linear", name=name, dtype="float32")(x[:, token]) for token, name in enumerate(names)
    ]


def _head(pooled: list[KerasTensor], classes: int, **options: float) -> KerasTensor:
    """Logits of the feature or, of two, the mean of their logits; for 0 classes the feature or their mean."""
    if len(pooled) == 1:
        return blocks.logits(pooled[0], classes, **options)
    if not classes:
        return keras.layers.Average(name="pool", dtype="float32")(pooled)
    heads = [
        blocks.logits(x, classes, suffix=suffix, **options)
        for x, suffix in zip(pooled, ("", "_distilled"), strict=True)
    ]
    return keras.layers.Average(name="mean_logits", dtype="float32")(heads)


build = blocks.builder(features, VARIANTS, head=_head, multiple=lambda network: network.patch_size)


def _block(
    x: KerasTensor, ones: KerasTensor, network: ViT, scale: float | None, drop_rate: float, *, name: str
) -> KerasTensor:
    def joined(branch: KerasTensor, inputs: KerasTensor, number: int) -> KerasTensor:
        if scale is not None:
            branch = parameters.layer_scale(branch, ones, scale, name=f"{name}_scale{number}")
        branch = blocks.stochastic_depth(branch, drop_rate, name=f"{name}_drop{number}")
        return keras.layers.Add(name=f"{name}_add{number}")([branch, inputs])

    normed = _norm(x, name=f"{name}_norm1")
    attention = keras.layers.MultiHeadAttention(
        network.heads, network.width // network.heads, kernel_initializer=WEIGHTS, name=f"{name}_attention"
    )
    x = joined(attention(normed, normed), x, 1)
    hidden = _norm(x, name=f"{name}_norm2")
    hidden = keras.layers.Dense(4 * network.width, kernel_initializer=WEIGHTS, name=f"{name}_hidden")(hidden)
    # big_vision's GELU is flax's, the tanh approximation; timm's and torchvision's is exact.
    hidden = keras.ops.gelu(hidden, approximate=network.plain)
    hidden = keras.layers.Dense(network.width, kernel_initializer=WEIGHTS, name=f"{name}_project")(hidden)
    return joined(hidden, x, 2)


def _with_learned_positions(
    x: KerasTensor, ones: KerasTensor, tokens: tuple[str, ...], class_position: bool
) -> KerasTensor:
    _, height, width, channels = x.shape
    x = keras.layers.Reshape((height * width, channels), name="tokens")(x)  # [batch, positions, channels]

    def with_tokens(x: KerasTensor) -> KerasTensor:
        learned = [parameters.parameter(ones, (1, channels), POSITIONS, name=token) for token in tokens]
        return keras.layers.Concatenate(axis=1, name="with_class_token")([*learned, x])

    def with_positions(x: KerasTensor) -> KerasTensor:
        positions = parameters.parameter(ones, tuple(x.shape[1:]), POSITIONS, name="positions")
        return keras.layers.Add(name="with_positions")([x, positions])

    return with_positions(with_tokens(x)) if class_position else with_tokens(with_positions(x))


def _with_sine_positions(x: KerasTensor) -> KerasTensor:
    """Sines and cosines of each position's column, then of its row, a quarter of the channels each.

    Wavelengths rise geometrically from 2 pi to 2 pi * TEMPERATURE, as big_vision's posemb_sincos_2d has them.
    """
    _, height, width, channels = x.shape
    quarter = channels // 4
    frequencies = keras.ops.reshape(
        [math.exp(-math.log(TEMPERATURE) * index / max(quarter - 1, 1)) for index in range(quarter)], (1, 1, 1, quarter)
    )
    each = keras.ops.ones_like(x[..., :1], dtype="float32")  # [batch, height, width, 1]
    columns = (keras.ops.cumsum(each, axis=2) - 1.0) * frequencies
    rows = (keras.ops.cumsum(each, axis=1) - 1.0) * frequencies
    waves = [keras.ops.sin(columns), keras.ops.cos(columns), keras.ops.sin(rows), keras.ops.cos(rows)]
    x = keras.layers.Add(name="with_positions")([x, keras.layers.Concatenate(axis=-1, name="positions")(waves)])
    return keras.layers.Reshape((height * width, channels), name="tokens")(x)


def _norm(x: KerasTensor, *, name: str) -> KerasTensor:
    return keras.layers.LayerNormalization(epsilon=EPSILON, name=name)(x)
