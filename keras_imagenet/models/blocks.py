"""What three families or more share, as functions from tensor to tensor; x is [batch, height, width, channels].

`builder` makes a family's `build` of the function from images to features that the family is.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeVar

import keras
from keras import KerasTensor

from keras_imagenet.errors import SettingsError

V = TypeVar("V")
Padding = Literal["symmetric", "same"]
DropRates = Literal["linear", "linear_below", "uniform"]
Options = Mapping[str, Any]
Pixels = int | Callable[[Any], int]
"""A number of pixels, or a function from the variant to it."""
Convolve = Callable[..., KerasTensor]
"""`conv_norm` with what all convolutions of a network have in common: functools.partial(conv_norm, norm=..., ...)."""

TORCH_NORM = {"momentum": 0.9, "epsilon": 1e-5}
"""torch's BatchNorm2d: its momentum 0.1 is Keras' 0.9."""


def chosen(variant: str | V, variants: Mapping[str, V], family: str) -> tuple[str, V]:
    """A network's name and what it is made of, from its name or, for one that has none, from what it is made of."""
    return (variant, variants[variant]) if isinstance(variant, str) else (family, variant)


def image_input(input_shape: tuple[int, int, int], name: str, minimum: int = 1, multiple: int = 1) -> KerasTensor:
    """The network's input; SettingsError if a side is under `minimum` pixels, or not divisible by `multiple`."""
    height, width = input_shape[:2]
    least = max(minimum, multiple)
    if min(height, width) < least:
        raise SettingsError(f"data.size: {name} needs images of at least {least} pixels a side, got {height} x {width}")
    if height % multiple or width % multiple:
        raise SettingsError(f"data.size: {name} needs sides divisible by {multiple}, got {height} x {width}")
    return keras.Input(input_shape, name="images")


def convolution(
    x: KerasTensor,
    filters: int,
    kernel_size: int | tuple[int, int],
    *,
    name: str,
    strides: int = 1,
    groups: int = 1,
    use_bias: bool = False,
    padding: Padding | Literal["valid"] = "symmetric",
    blurred: bool = False,
) -> KerasTensor:
    """A convolution that keeps, or divides by its stride, height and width; kernel_size is odd.

    symmetric pads both sides alike, as torch's padding=(k-1)/2; same is TensorFlow's, which with a stride and an even
    input pads more at the bottom and right; valid pads nothing, so less is left. A kernel (height, width) with a
    stride cannot be padded symmetrically. blurred: a binomial filter goes before a stride.
    """
    if blurred and strides > 1:
        x = blur(x, name=f"{name}_blur")
    padded = padding == "symmetric" and strides > 1 and kernel_size != 1
    if padded:
        x = keras.layers.ZeroPadding2D(kernel_size // 2, name=f"{name}_pad")(x)
    return keras.layers.Conv2D(
        filters,
        kernel_size,
        strides=strides,
        padding="valid" if padded or padding == "valid" or kernel_size == 1 else "same",
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


def norm_relu(
    x: KerasTensor, norm: Options, *, name: str, number: int | str = "", max_value: float | None = None
) -> KerasTensor:
    """Batch normalisation and ReLU, cut off at `max_value`; layers NAME_norm and NAME_relu, followed by `number`."""
    x = batch_norm(x, norm, name=f"{name}_norm{number}")
    return keras.layers.ReLU(max_value, name=f"{name}_relu{number}")(x)


def conv_norm(
    x: KerasTensor,
    filters: int | None,
    kernel_size: int | tuple[int, int],
    strides: int = 1,
    *,
    norm: Options,
    name: str,
    number: int | str = "",
    relu: bool = False,
    activation: str | None = None,
    zero_scale: bool = False,
    **options: Any,
) -> KerasTensor:
    """A convolution, its norm and its activation.

    Layers are NAME_conv, NAME_norm, and NAME_relu or NAME_act, each followed by `number` where a block has several.

    Args:
        filters: None for a depthwise convolution.
        norm: options of `batch_norm`.
        relu: a ReLU layer follows.
        activation: or an Activation layer by that name of Keras; saved networks hold both kinds.
        zero_scale: as in `batch_norm`.
        options: what else `convolution` or `depthwise_convolution` takes: groups, use_bias, padding, blurred.
    """
    options |= {"kernel_size": kernel_size, "strides": strides, "name": f"{name}_conv{number}"}
    x = depthwise_convolution(x, **options) if filters is None else convolution(x, filters, **options)
    x = batch_norm(x, norm, zero_scale=zero_scale, name=f"{name}_norm{number}")
    if relu:
        return keras.layers.ReLU(name=f"{name}_relu{number}")(x)
    return keras.layers.Activation(activation, name=f"{name}_act{number}")(x) if activation else x


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


def drop_rates(final: float, count: int, form: DropRates = "linear") -> list[float]:
    """Drop rates of `count` blocks.

    linear: rising from 0 for the first to `final` for the last, as in ConvNeXt, Swin and DeiT. linear_below: in the same steps as
    if one more block had `final`, as in Google's and timm's EfficientNets. uniform: `final` for every block, as in DeiT-III.
    """
    if form == "uniform":
        return [final] * count
    steps = count if form == "linear_below" else max(count - 1, 1)
    return [final * index / steps for index in range(count)]


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


def builder(
    features: Callable[..., Any],
    variants: Mapping[str, Any],
    *,
    head: Callable[..., KerasTensor] = classifier,
    dropout: float | None = 0.0,
    minimum: Pixels = 1,
    multiple: Pixels = 1,
) -> Callable[..., keras.Model]:
    """A family's `build`, as models/registry.py says: an input, `features`, a head.

    Args:
        features: features(images, network, **options): from images [batch, height, width, channels] and one of
            `variants` to what `head` takes. Its keyword arguments are options of the family.
        variants: the family's VARIANTS.
        head: head(x, classes, dropout=..., head_bias=...): logits or, for 0 classes, pooled features.
        dropout: the family's default for the head's rate; None for the variant's own, its field `dropout`.
        minimum: fewest pixels of a side.
        multiple: pixels that a side must be a multiple of.
    """
    family = features.__module__.rpartition(".")[2]

    def build(
        variant: Any,
        *,
        input_shape: tuple[int, int, int],
        classes: int,
        dropout: float | None = dropout,
        head_bias: float = 0.0,
        **options: Any,
    ) -> keras.Model:
        """Logits [batch, classes] or, for 0 classes, features [batch, features]."""
        name, network = chosen(variant, variants, family)
        limits = [pixels(network) if callable(pixels) else pixels for pixels in (minimum, multiple)]
        images = image_input(input_shape, name, *limits)
        rate = network.dropout if dropout is None else dropout
        outputs = head(features(images, network, **options), classes, dropout=rate, head_bias=head_bias)
        return keras.Model(images, outputs, name=name)

    parameters = [*inspect.signature(build).parameters.values(), *inspect.signature(features).parameters.values()]
    named = [parameter for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY]
    build.__signature__ = inspect.Signature([parameters[0], *named])
    return build


def fan_out() -> keras.initializers.Initializer:
    """What a convolution's weights are drawn from: N(0, 2 / outputs fed by an input), arXiv:1502.01852, section 2.2."""
    return keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal")
