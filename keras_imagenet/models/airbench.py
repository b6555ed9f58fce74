"""airbench94 (arXiv:2404.00498), the network that learns CIFAR-10 in the fewest multiply-accumulates known.

A convolution of 2 x 2 pixels whose filters whiten the training images (`model.whiten`), then three stages of two
convolutions, the first of which is followed by max pooling; all by batch normalisation without scale, and GELU.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import KerasTensor

from keras_imagenet.models import blocks


@dataclass(frozen=True)
class Airbench:
    """Filters of the stages."""

    filters: tuple[int, ...]


VARIANTS = {"airbench94": Airbench((64, 256, 256))}
NORM = {"momentum": 0.6, "epsilon": 1e-12, "scale": False}
"""legacy/airbench94.py, `hyp` and `BatchNorm`."""
LOGITS_SCALE = 1 / 9


def build(
    variant: str | Airbench,
    *,
    input_shape: tuple[int, int, int],
    classes: int,
    batch_norm: blocks.Options | None = None,
) -> keras.Model:
    """Logits [batch, classes] or, for 0 classes, features [batch, features]; images of 25 pixels a side or more.

    Convolutions begin as torch's do, but for their first filters, which pass their input on (arXiv:2404.00498, section 3.2).
    """
    name, network = blocks.chosen(variant, VARIANTS, "airbench")
    norm = {**NORM, **(batch_norm or {})}
    images = blocks.image_input(input_shape, name, minimum=25)
    # As many filters as a patch has numbers, for its principal components, and their negatives.
    x = keras.layers.Conv2D(2 * 4 * input_shape[-1], 2, kernel_initializer=_torch(), name="stem_conv")(images)
    x = keras.layers.Activation("gelu", name="stem_act")(x)
    for stage, filters in enumerate(network.filters, start=1):
        x = _convolution(x, filters, name=f"stage{stage}_conv1")
        x = keras.layers.MaxPooling2D(2, name=f"stage{stage}_pool")(x)
        x = _norm_act(x, norm, stage, 1)
        x = _convolution(x, filters, name=f"stage{stage}_conv2")
        x = _norm_act(x, norm, stage, 2)
    x = keras.layers.GlobalMaxPooling2D(name="head_max", dtype="float32")(x)
    x = keras.layers.Rescaling(LOGITS_SCALE, name="pool", dtype="float32")(x)
    if classes:
        x = keras.layers.Dense(classes, use_bias=False, kernel_initializer=_torch(), name="logits", dtype="float32")(x)
    model = keras.Model(images, x, name=name)
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D) and layer.name != "stem_conv":
            layer.kernel.assign(_passing_on(keras.ops.convert_to_numpy(layer.kernel)))
    return model


def _convolution(x: KerasTensor, filters: int, *, name: str) -> KerasTensor:
    return keras.layers.Conv2D(filters, 3, padding="same", use_bias=False, kernel_initializer=_torch(), name=name)(x)


def _norm_act(x: KerasTensor, norm: dict[str, Any], stage: int, number: int) -> KerasTensor:
    x = blocks.batch_norm(x, norm, name=f"stage{stage}_norm{number}")
    return keras.layers.Activation("gelu", name=f"stage{stage}_act{number}")(x)


def _torch() -> keras.initializers.Initializer:
    """What torch.nn.Conv2d and torch.nn.Linear draw weights from: U(-1, 1) / sqrt(fan in)."""
    return keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform")


def _passing_on(kernel: np.ndarray) -> np.ndarray:
    """A kernel [3, 3, inputs, filters] whose first filters are the identity, as far as there are inputs and filters."""
    kernel = kernel.copy()
    count = min(kernel.shape[2:])
    kernel[..., :count] = 0
    kernel[1, 1, np.arange(count), np.arange(count)] = 1
    return kernel
