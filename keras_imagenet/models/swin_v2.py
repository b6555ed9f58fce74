"""Swin transformers V2 (arXiv:2111.09883, section 3): norms after the branches, scores by cosine, biases from a small network."""

from __future__ import annotations

import math
from functools import partial

import keras
from keras import KerasTensor

from keras_imagenet.models import blocks, parameters, swin

VARIANTS = {
    "swin_v2_t": swin.Swin(96, (2, 2, 6, 2), (3, 6, 12, 24), 0.2, window=8),
    "swin_v2_s": swin.Swin(96, (2, 2, 18, 2), (3, 6, 12, 24), 0.3, window=8),
    "swin_v2_b": swin.Swin(128, (2, 2, 18, 2), (4, 8, 16, 32), 0.5, window=8),
}

FIRST_SCALE, LARGEST_SCALE = 10.0, 100.0
"""What a cosine is multiplied by: at first, and at most."""
HIDDEN = 512
"""Units of the network from distances to biases."""
FARTHEST = 8.0
"""What the largest distance in a window counts as, before the logarithm."""
LARGEST_BIAS = 16.0


def features(
    images: KerasTensor,
    network: swin.Swin,
    *,
    stochastic_depth: float | None = None,
    stochastic_depth_form: blocks.DropRates = "linear",
) -> KerasTensor:
    """Maps of the last stage, after a norm. Where windows do not fit a map, it is filled up with zeros and then shifted."""
    return swin.staged(images, network, _block, _merged, stochastic_depth, stochastic_depth_form)


build = blocks.builder(features, VARIANTS, minimum=swin.PATCH_SIZE)


def _block(
    x: KerasTensor, one: KerasTensor, heads: int, window: int, shift: int, drop_rate: float, *, name: str
) -> KerasTensor:
    def joined(branch: KerasTensor, inputs: KerasTensor, number: int) -> KerasTensor:
        branch = swin.norm(branch, name=f"{name}_norm{number}")
        branch = blocks.stochastic_depth(branch, drop_rate, name=f"{name}_drop{number}")
        return keras.layers.Add(name=f"{name}_add{number}")([branch, inputs])

    attend = partial(_attention, one=one, heads=heads, window=window, name=name)
    width = x.shape[-1]
    x = joined(swin.windowed(x, attend, window, shift, name=name), x, 1)
    branch = _dense(x, 4 * width, name=f"{name}_hidden")
    branch = keras.layers.Activation("gelu", name=f"{name}_act")(branch)
    return joined(_dense(branch, width, name=f"{name}_project"), x, 2)


def _attention(
    x: KerasTensor,
    grid: tuple[int, int],
    shifts: tuple[int, int],
    *,
    one: KerasTensor,
    heads: int,
    window: int,
    name: str,
) -> KerasTensor:
    """Scores are cosines of queries and keys, times a learned factor; keys have no bias (section 3.2)."""
    _, windows, pixels, channels = x.shape

    def by_head(part: str, use_bias: bool = True) -> KerasTensor:
        values = _dense(x, channels, use_bias=use_bias, name=f"{name}_{part}")
        shape = (windows, pixels, heads, channels // heads)
        values = keras.layers.Reshape(shape, name=f"{name}_{part}_heads")(values)
        return keras.layers.Permute((1, 3, 2, 4), name=f"{name}_{part}_by_head")(values)

    def direction(part: str, use_bias: bool = True) -> KerasTensor:
        # In float32, since float16 has no number as small as what a length of zero is replaced by.
        unit = keras.layers.UnitNormalization(name=f"{name}_{part}_unit", dtype="float32")
        values = by_head(part, use_bias)
        return keras.ops.cast(unit(values), values.dtype)

    query, key, value = direction("query"), direction("key", use_bias=False), by_head("value")
    first = keras.initializers.Constant(math.log(FIRST_SCALE))
    scale = parameters.parameter(one, (heads, 1, 1), first, name=f"{name}_scale")
    scale = keras.ops.expand_dims(keras.ops.exp(keras.ops.minimum(scale, math.log(LARGEST_SCALE))), 1)
    scores = keras.ops.matmul(query, keras.ops.swapaxes(key, -2, -1)) * scale + _biases(one, heads, window, name=name)
    if any(shifts):
        scores = scores + swin.mask(one, grid, window, shifts)
    return swin.attended(scores, value, name=name)


def _biases(one: KerasTensor, heads: int, window: int, *, name: str) -> KerasTensor:
    """Scores [1, 1, heads, pixels, pixels] that a small network makes of the logarithms of distances (section 3.3)."""
    span = 2 * window - 1
    logarithms = [_logarithm(distance / (window - 1)) for distance in range(1 - window, window)]
    x = [[(row, column) for column in logarithms] for row in logarithms]
    x = keras.ops.reshape(one, (1, 1, 1, 1)) * keras.ops.convert_to_tensor([x], "float32")  # [1, span, span, 2]
    x = keras.layers.Dense(HIDDEN, "relu", kernel_initializer=swin.WEIGHTS, name=f"{name}_distance_hidden")(x)
    x = _dense(x, heads, use_bias=False, name=f"{name}_distance_scores")
    return LARGEST_BIAS * keras.ops.sigmoid(swin.by_distance(keras.ops.reshape(x, (1, span, span, heads)), window))


def _logarithm(share: float) -> float:
    """log2(1 + 8 |share|) / 3 with the share's sign; a share of the largest distance in a window."""
    return math.copysign(math.log2(abs(share) * FARTHEST + 1), share) / math.log2(FARTHEST)


def _merged(x: KerasTensor, *, name: str) -> KerasTensor:
    """2 x 2 pixels joined, half as many channels then."""
    x = swin.squares(x, name=name)
    return swin.norm(_dense(x, x.shape[-1] // 2, use_bias=False, name=f"{name}_linear"), name=f"{name}_norm")


def _dense(x: KerasTensor, units: int, *, name: str, use_bias: bool = True) -> KerasTensor:
    return keras.layers.Dense(units, use_bias=use_bias, kernel_initializer=swin.WEIGHTS, name=name)(x)
