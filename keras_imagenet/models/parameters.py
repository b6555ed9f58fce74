"""Learned tensors that no built-in layer holds: layer scales, class tokens, position embeddings.

A layer of our own would have to be registered before a saved network could be loaded. A linear map of the number one
is a built-in layer, and its kernel is the tensor.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import KerasTensor


def ones(images: KerasTensor) -> KerasTensor:
    """One 1 for each image: [batch, 1]."""
    return keras.ops.ones_like(images[:, 0, 0, :1])


def parameter(ones: KerasTensor, shape: tuple[int, ...], initializer: Any, *, name: str) -> KerasTensor:
    """A learned tensor, repeated for each image: [batch, *shape]; the layer's only weight is `kernel` [1, *shape]."""
    axes = "bcdefg"[: len(shape)]
    return keras.layers.EinsumDense(
        f"za,a{axes}->z{axes}", output_shape=shape, kernel_initializer=initializer, name=name
    )(ones)


def layer_scale(x: KerasTensor, ones: KerasTensor, initial: float, *, name: str) -> KerasTensor:
    """x [batch, ..., channels] times a learned factor a channel, `initial` at first (arXiv:2103.17239, section 2)."""
    channels = x.shape[-1]
    factors = parameter(ones, (channels,), keras.initializers.Constant(initial), name=name)
    factors = keras.layers.Reshape((*[1] * (len(x.shape) - 2), channels), name=f"{name}_reshape")(factors)
    return keras.layers.Multiply(name=f"{name}_multiply")([x, factors])
