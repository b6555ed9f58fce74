"""Swin transformers (arXiv:2103.14030, section 3 and figure 3): attention in windows, shifted in every second block."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import keras
from keras import KerasTensor

from keras_imagenet.models import blocks, parameters


@dataclass(frozen=True)
class Swin:
    """Width of the first stage, doubled in each; depth and heads of each; drop rate of the last block; window's side."""

    width: int
    depths: tuple[int, ...]
    heads: tuple[int, ...]
    stochastic_depth: float
    window: int = 7


VARIANTS = {
    "swin_tiny_patch4_window7_224": Swin(96, (2, 2, 6, 2), (3, 6, 12, 24), 0.2),
    "swin_t": Swin(96, (2, 2, 6, 2), (3, 6, 12, 24), 0.2),
    "swin_s": Swin(96, (2, 2, 18, 2), (3, 6, 12, 24), 0.3),
    "swin_b": Swin(128, (2, 2, 18, 2), (4, 8, 16, 32), 0.5),
}

Attend = Callable[[KerasTensor, tuple[int, int], tuple[int, int]], KerasTensor]
"""(x [batch, windows, pixels, channels], windows down and across, shifts) -> the same shape: each window by itself."""

PATCH_SIZE = 4
EPSILON = 1e-5
MASKED = -100.0
"""Added to the score of pixels that only the shift made neighbours."""
WEIGHTS = {"class_name": "TruncatedNormal", "config": {"mean": 0.0, "stddev": 0.02}}


def features(
    images: KerasTensor,
    network: Swin,
    *,
    stochastic_depth: float | None = None,
    stochastic_depth_form: blocks.DropRates = "linear",
) -> KerasTensor:
    """Maps of the last stage, after a norm.

    Where windows do not fit a map, it is filled up with zeros after the norm and then shifted, as in torchvision (timm
    shifts first; at the published sizes windows fit).
    """
    return staged(images, network, _block, _merged, stochastic_depth, stochastic_depth_form)


build = blocks.builder(features, VARIANTS, minimum=PATCH_SIZE)


def staged(
    images: KerasTensor,
    network: Swin,
    block_of: Callable[..., KerasTensor],
    merged: Callable[..., KerasTensor],
    stochastic_depth: float | None,
    stochastic_depth_form: blocks.DropRates,
) -> KerasTensor:
    """Patches, stages of blocks, and a norm at the end.

    block_of: block_of(x, one, heads, window, shift, drop rate, name=...) to x's own shape. merged: merged(x, name=...) to half
    the sides and twice the channels.
    """
    final = network.stochastic_depth if stochastic_depth is None else stochastic_depth
    rates = iter(blocks.drop_rates(final, sum(network.depths), stochastic_depth_form))

    one = keras.ops.max(parameters.ones(images), axis=0, keepdims=True)  # [1, 1]: what holds for all images
    x = keras.layers.Conv2D(
        network.width, PATCH_SIZE, strides=PATCH_SIZE, kernel_initializer=WEIGHTS, name="patch_embedding"
    )(images)
    x = norm(x, name="stem_norm")
    for stage, (depth, heads) in enumerate(zip(network.depths, network.heads, strict=True), start=1):
        if stage > 1:
            x = merged(x, name=f"stage{stage}_downsample")
        for block in range(1, depth + 1):
            shift = 0 if block % 2 else network.window // 2
            x = block_of(x, one, heads, network.window, shift, next(rates), name=f"stage{stage}_block{block}")
    return norm(x, name="norm")


def _block(
    x: KerasTensor, one: KerasTensor, heads: int, window: int, shift: int, drop_rate: float, *, name: str
) -> KerasTensor:
    width = x.shape[-1]
    attend = partial(_attention, one=one, heads=heads, window=window, name=name)
    branch = windowed(norm(x, name=f"{name}_norm1"), attend, window, shift, name=name)
    branch = blocks.stochastic_depth(branch, drop_rate, name=f"{name}_drop1")
    x = keras.layers.Add(name=f"{name}_add1")([branch, x])
    branch = norm(x, name=f"{name}_norm2")
    branch = keras.layers.Dense(4 * width, kernel_initializer=WEIGHTS, name=f"{name}_hidden")(branch)
    branch = keras.layers.Activation("gelu", name=f"{name}_act")(branch)
    branch = keras.layers.Dense(width, kernel_initializer=WEIGHTS, name=f"{name}_project")(branch)
    branch = blocks.stochastic_depth(branch, drop_rate, name=f"{name}_drop2")
    return keras.layers.Add(name=f"{name}_add2")([branch, x])


def windowed(x: KerasTensor, attend: Attend, window: int, shift: int, *, name: str) -> KerasTensor:
    """Attention in windows of `window` pixels a side, all moved by `shift` pixels; x [batch, height, width, channels]."""
    _, height, width, channels = x.shape
    below, beside = -height % window, -width % window
    if below or beside:
        x = keras.layers.ZeroPadding2D(((0, below), (0, beside)), name=f"{name}_pad")(x)
    grid = ((height + below) // window, (width + beside) // window)
    # An axis that one window covers is not shifted.
    shifts = tuple(shift if count > 1 else 0 for count in grid)
    if any(shifts):
        x = keras.ops.roll(x, tuple(-each for each in shifts), axis=(1, 2))
    x = keras.layers.Reshape((grid[0], window, grid[1], window, channels), name=f"{name}_rows")(x)
    x = keras.layers.Permute((1, 3, 2, 4, 5), name=f"{name}_by_window")(x)
    x = keras.layers.Reshape((grid[0] * grid[1], window**2, channels), name=f"{name}_windows")(x)
    x = attend(x, grid, shifts)
    x = keras.layers.Reshape((*grid, window, window, channels), name=f"{name}_grid")(x)
    x = keras.layers.Permute((1, 3, 2, 4, 5), name=f"{name}_by_row")(x)
    x = keras.layers.Reshape((grid[0] * window, grid[1] * window, channels), name=f"{name}_map")(x)
    if any(shifts):
        x = keras.ops.roll(x, shifts, axis=(1, 2))
    if below or beside:
        x = keras.layers.Cropping2D(((0, below), (0, beside)), name=f"{name}_crop")(x)
    return x


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
    _, windows, pixels, channels = x.shape
    x = keras.layers.Dense(3 * channels, kernel_initializer=WEIGHTS, name=f"{name}_qkv")(x)
    x = keras.layers.Reshape((windows, pixels, 3, heads, channels // heads), name=f"{name}_heads")(x)
    x = keras.layers.Permute((3, 1, 4, 2, 5), name=f"{name}_by_head")(x)  # [batch, 3, windows, heads, pixels, size]
    query, key, value = x[:, 0] * (channels // heads) ** -0.5, x[:, 1], x[:, 2]
    scores = keras.ops.matmul(query, keras.ops.swapaxes(key, -2, -1)) + _biases(one, heads, window, name=name)
    if any(shifts):
        scores = scores + mask(one, grid, window, shifts)
    return attended(scores, value, name=name)


def attended(scores: KerasTensor, value: KerasTensor, *, name: str) -> KerasTensor:
    """Values [batch, windows, heads, pixels, size] weighed by scores [batch, windows, heads, pixels, pixels]; heads joined."""
    x = keras.ops.matmul(keras.layers.Softmax(name=f"{name}_softmax")(scores), value)
    x = keras.layers.Permute((1, 3, 2, 4), name=f"{name}_by_pixel")(x)
    _, windows, pixels, heads, size = x.shape
    x = keras.layers.Reshape((windows, pixels, heads * size), name=f"{name}_joined")(x)
    return keras.layers.Dense(heads * size, kernel_initializer=WEIGHTS, name=f"{name}_attention_output")(x)


def _biases(one: KerasTensor, heads: int, window: int, *, name: str) -> KerasTensor:
    """Learned scores [1, 1, heads, pixels, pixels] by the distance of two pixels along each axis."""
    span = 2 * window - 1
    table = parameters.parameter(one, (span**2, heads), WEIGHTS, name=f"{name}_positions")
    return by_distance(keras.ops.reshape(table, (1, span, span, heads)), window)


def by_distance(table: KerasTensor, window: int) -> KerasTensor:
    """Scores [1, 1, heads, pixels, pixels] of two pixels of a window, from those by distance [1, span, span, heads].

    span is 2 window - 1: distances run from 1 - window to window - 1 along each axis.
    """
    heads = table.shape[-1]
    distances = [[row - other + window - 1 for other in range(window)] for row in range(window)]
    x = keras.ops.take(table, distances, axis=1)  # [1, row, other row, span, heads]
    x = keras.ops.take(x, distances, axis=3)  # [1, row, other row, column, other column, heads]
    x = keras.ops.transpose(x, (0, 5, 1, 3, 2, 4))
    return keras.ops.reshape(x, (1, 1, heads, window**2, window**2))


def mask(one: KerasTensor, grid: tuple[int, int], window: int, shifts: tuple[int, int]) -> KerasTensor:
    """[1, windows, 1, pixels, pixels]: 0 for pixels of one region before the shift, MASKED for others."""
    rows, columns = (_regions(count, window, shift) for count, shift in zip(grid, shifts, strict=True))
    # Made from `one`, so that the graph holds what makes the mask and not the mask.
    rows = keras.ops.reshape(keras.ops.expand_dims(rows, 0) * one, (1, grid[0], 1, window, 1))
    columns = keras.ops.reshape(keras.ops.expand_dims(columns, 0) * one, (1, 1, grid[1], 1, window))
    regions = keras.ops.reshape(3 * rows + columns, (1, grid[0] * grid[1], 1, window**2))
    apart = keras.ops.not_equal(keras.ops.expand_dims(regions, 3), keras.ops.expand_dims(regions, 4))
    return MASKED * keras.ops.cast(apart, one.dtype)


def _regions(count: int, window: int, shift: int) -> list[float]:
    """Number of each row's region: before the last window, in it, and what the shift brought there from the start."""
    side = count * window
    return [float((row >= side - window) + (row >= side - shift)) for row in range(side)]


def _merged(x: KerasTensor, *, name: str) -> KerasTensor:
    """2 x 2 pixels joined, half as many channels then."""
    x = norm(squares(x, name=name), name=f"{name}_norm")
    channels = x.shape[-1] // 2
    return keras.layers.Dense(channels, use_bias=False, kernel_initializer=WEIGHTS, name=f"{name}_linear")(x)


def squares(x: KerasTensor, *, name: str) -> KerasTensor:
    """2 x 2 pixels joined, [batch, height / 2, width / 2, 4 channels]; an odd side is filled up with zeros."""
    _, height, width, channels = x.shape
    if height % 2 or width % 2:
        x = keras.layers.ZeroPadding2D(((0, height % 2), (0, width % 2)), name=f"{name}_pad")(x)
        _, height, width, _ = x.shape
    x = keras.layers.Reshape((height // 2, 2, width // 2, 2, channels), name=f"{name}_pairs")(x)
    x = keras.layers.Permute((1, 3, 4, 2, 5), name=f"{name}_by_square")(x)
    return keras.layers.Reshape((height // 2, width // 2, 4 * channels), name=f"{name}_squares")(x)


def norm(x: KerasTensor, *, name: str) -> KerasTensor:
    return keras.layers.LayerNormalization(epsilon=EPSILON, name=name)(x)
