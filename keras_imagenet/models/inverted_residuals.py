"""Inverted residual blocks, which expand, filter each channel and project: what mobile networks are built of.

MobileNetV2 (arXiv:1801.04381, figure 4), with squeeze-excite (arXiv:1905.02244), and 'fused', where one convolution
expands and filters (arXiv:2104.00298, figure 2). x is [batch, height, width, channels].
"""

from __future__ import annotations

from dataclasses import dataclass

import keras
from keras import KerasTensor

from keras_imagenet.models import blocks


@dataclass(frozen=True)
class SqueezeExcite:
    """Channels between, and both activations, of a squeeze-excite (blocks.squeeze_excite)."""

    channels: int
    activation: str
    gate: str = "sigmoid"


def round_filters(filters: float, divisor: int = 8, least_share: float = 0.9) -> int:
    """Nearest multiple of `divisor`, one more where that would fall under `least_share` of the number."""
    rounded = max(divisor, int(filters + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < least_share * filters else rounded


def inverted_residual(
    x: KerasTensor,
    filters: int,
    convolve: blocks.Convolve,
    *,
    name: str,
    expanded: int,
    kernel_size: int,
    strides: int,
    activation: str,
    squeeze_excite: SqueezeExcite | None = None,
    drop_rate: float = 0.0,
) -> KerasTensor:
    """Expand to `expanded` channels, unless x has so many, filter each, project linearly; added to x where it fits."""
    inputs = x
    if expanded != x.shape[-1]:
        x = convolve(x, expanded, 1, activation=activation, name=f"{name}_expand")
    x = convolve(x, None, kernel_size, strides, activation=activation, name=f"{name}_depthwise")
    if squeeze_excite:
        gates = {"activation": squeeze_excite.activation, "gate": squeeze_excite.gate}
        x = blocks.squeeze_excite(x, squeeze_excite.channels, name=f"{name}_se", **gates)
    x = convolve(x, filters, 1, name=f"{name}_project")
    return residual(x, inputs, strides, drop_rate, name=name)


def fused_inverted_residual(
    x: KerasTensor,
    filters: int,
    convolve: blocks.Convolve,
    *,
    name: str,
    expanded: int,
    kernel_size: int,
    strides: int,
    activation: str,
    drop_rate: float = 0.0,
) -> KerasTensor:
    """One full convolution that expands and filters, then the projection; where nothing expands, that one alone."""
    inputs = x
    if expanded == x.shape[-1]:
        x = convolve(x, filters, kernel_size, strides, activation=activation, name=f"{name}_single")
    else:
        x = convolve(x, expanded, kernel_size, strides, activation=activation, name=f"{name}_fused")
        x = convolve(x, filters, 1, name=f"{name}_project")
    return residual(x, inputs, strides, drop_rate, name=name)


def residual(x: KerasTensor, inputs: KerasTensor, strides: int, drop_rate: float, *, name: str) -> KerasTensor:
    """x plus the block's inputs, where strides and channels let it, x dropped at `drop_rate`."""
    if strides != 1 or inputs.shape[-1] != x.shape[-1]:
        return x
    x = blocks.stochastic_depth(x, drop_rate, name=f"{name}_drop")
    return keras.layers.Add(name=f"{name}_add")([x, inputs])
