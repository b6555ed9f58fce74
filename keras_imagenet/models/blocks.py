"""What three families or more share, as functions from tensor to tensor; x is [batch, height, width, channels]."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeVar

import keras
from keras import KerasTensor

from keras_imagenet.errors import SettingsError

V = TypeVar("V")
Padding = Literal["symmetric", "same"]
Options = Mapping[str, Any]

TORCH_NORM = {"momentum": 0.9, "epsilon": 1e-5}
"""torch's BatchNorm2d: its momentum 0.1 is Keras' 0.9."""


def chosen(variant: str | V, variants: Mapping[str, V], family: str) -> tuple[str, V]:
    """A network's name and what it is made of, from its name or, for one that has none, from what it is made of."""
    return (variant, variants[variant]) if isinstance(variant, str) else (family, variant)


def image_input(input_shape: tuple[int, int, int], name: str, minimum: int = 1) -> KerasTensor:
    """The network's input; SettingsError if a side is shorter than `minimum` pixels."""
    if min(input_shape[:2]) < minimum:
        height, width = input_shape[:2]
        raise SettingsError(
            f"data.size: {name} needs images of at least {minimum} pixels a side, got {height} x {width}"
        )
    return keras.Input(input_shape, name="images")


def convolution(
    x: KerasTensor,
    filters: int,
    kernel_size: int,
    *,
    name: str,
    strides: int = 1,
    groups: int = 1,
    use_bias: bool = False,
    padding: Padding = "symmetric",
) -> KerasTensor:
    """A convolution that keeps, or divides by its stride, height and width; kernel_size is odd.

    symmetric pads both sides alike, as torch's padding=(k-1)/2; same is TensorFlow's, which with a stride and an even
    input pads more at the bottom and right.
    """
    padded = padding == "symmetric" and strides > 1 and kernel_size > 1
    if padded:
        x = keras.layers.ZeroPadding2D(kernel_size // 2, name=f"{name}_pad")(x)
    return keras.layers.Conv2D(
        filters,
        kernel_size,
        strides=strides,
        padding="valid" if padded or kernel_size == 1 else "same",
        groups=groups,
        use_bias=use_bias,
        kernel_initializer=fan_out(),
        name=name,
    )(x)


def depthwise_convolution(
    x: KerasTensor,
    kernel_size: int,
    *,
    name: str,
    strides: int = 1,
    use_bias: bool = False,
    padding: Padding = "symmetric",
) -> KerasTensor:
    """A convolution of each channel by itself, else as `convolution`."""
    if padding == "symmetric" and strides > 1:
        x = keras.layers.ZeroPadding2D(kernel_size // 2, name=f"{name}_pad")(x)
    return keras.layers.DepthwiseConv2D(
        kernel_size,
        strides=strides,
        padding="valid" if padding == "symmetric" and strides > 1 else "same",
        use_bias=use_bias,
        depthwise_initializer=fan_out(),
        name=name,
    )(x)


def batch_norm(x: KerasTensor, options: Options, *, name: str, zero_scale: bool = False) -> KerasTensor:
    """Batch normalisation; options: momentum, epsilon, synchronized. zero_scale: gamma starts at 0, not 1."""
    gamma = "zeros" if zero_scale else "ones"
    return keras.layers.BatchNormalization(gamma_initializer=gamma, name=name, **options)(x)


def max_pool(x: KerasTensor, *, name: str, padding: Padding = "symmetric") -> KerasTensor:
    """3x3 max pooling with stride 2 that halves height and width, rounding up; symmetric borders count as 0."""
    if padding == "symmetric":
        x = keras.layers.ZeroPadding2D(1, name=f"{name}_pad")(x)
    return keras.layers.MaxPooling2D(3, strides=2, padding="valid" if padding == "symmetric" else "same", name=name)(x)


def blur(x: KerasTensor, *, name: str) -> KerasTensor:
    """The binomial filter [1, 2, 1] x [1, 2, 1] / 16 with zeros beyond the border (arXiv:1904.11486, section 3.2).

    Two means of 2 x 2 pixels are that filter, so it needs no weights.
    """
    x = keras.layers.ZeroPadding2D(1, name=f"{name}_pad")(x)
    x = keras.layers.AveragePooling2D(2, strides=1, name=f"{name}_mean1")(x)
    return keras.layers.AveragePooling2D(2, strides=1, name=f"{name}_mean2")(x)


def squeeze_excite(
    x: KerasTensor, squeezed: int, *, name: str, activation: str = "relu", gate: str = "sigmoid"
) -> KerasTensor:
    """Channels weighed by a gate from their means, with `squeezed` channels between (arXiv:1709.01507, section 3)."""
    channels = x.shape[-1]
    weights = keras.layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_mean")(x)  # [batch, 1, 1, channels]
    weights = keras.layers.Conv2D(squeezed, 1, activation=activation, name=f"{name}_reduce")(weights)
    weights = keras.layers.Conv2D(channels, 1, activation=gate, name=f"{name}_expand")(weights)
    return keras.layers.Multiply(name=f"{name}_scale")([x, weights])


def stochastic_depth(x: KerasTensor, rate: float, *, name: str) -> KerasTensor:
    """A residual branch dropped whole, per example, with probability `rate`, and divided by 1 - rate where kept.

    arXiv:1603.09382, with the division that makes inference the identity.
    """
    if not rate:
        return x
    return keras.layers.Dropout(rate, noise_shape=(None, *[1] * (len(x.shape) - 1)), name=name)(x)


def linear_rates(final: float, count: int) -> list[float]:
    """Drop rates of `count` blocks, rising linearly from 0 for the first to `final` for the last."""
    return [final * index / max(count - 1, 1) for index in range(count)]


def classifier(x: KerasTensor, classes: int, *, dropout: float = 0.0, head_bias: float = 0.0) -> KerasTensor:
    """Mean over positions, dropout, linear layer, in float32: logits [batch, classes]; for 0 classes only the mean."""
    x = keras.layers.GlobalAveragePooling2D(name="pool", dtype="float32")(x)
    return logits(x, classes, dropout=dropout, head_bias=head_bias)


def logits(
    x: KerasTensor, classes: int, *, dropout: float = 0.0, head_bias: float = 0.0, suffix: str = ""
) -> KerasTensor:
    """Dropout and the last linear layer in float32, from features [batch, features]; for 0 classes the features.

    head_bias: what biases start at; about -log(classes) with a sigmoid loss makes every class rare at first
    (arXiv:2006.07159, section 3). Weights are drawn from U(-1, 1) / sqrt(features). suffix: of a second head's layers.
    """
    if not classes:
        return x
    if dropout:
        x = keras.layers.Dropout(dropout, name=f"head_dropout{suffix}", dtype="float32")(x)
    return keras.layers.Dense(
        classes,
        kernel_initializer=keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform"),
        bias_initializer=keras.initializers.Constant(head_bias),
        name=f"logits{suffix}",
        dtype="float32",
    )(x)


def fan_out() -> keras.initializers.Initializer:
    """What a convolution's weights are drawn from: N(0, 2 / outputs fed by an input), arXiv:1502.01852, section 2.2."""
    return keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal")
