"""Two convolutions and a hidden layer: for digits and first steps."""

from __future__ import annotations

from dataclasses import dataclass

import keras
from keras import KerasTensor

from keras_imagenet.models import blocks


@dataclass(frozen=True)
class SimpleCNN:
    """Filters of the 3x3 convolutions, each followed by 2x2 max pooling, and units of the hidden layer."""

    filters: tuple[int, ...]
    units: int


VARIANTS = {"simple_cnn": SimpleCNN((32, 64), 1024)}


def features(images: KerasTensor, network: SimpleCNN) -> KerasTensor:
    """The hidden layer [batch, units]."""
    x = images
    for stage, filters in enumerate(network.filters, start=1):
        x = keras.layers.Conv2D(filters, 3, padding="same", activation="relu", name=f"stage{stage}_conv")(x)
        x = keras.layers.MaxPooling2D(2, name=f"stage{stage}_pool")(x)
    x = keras.layers.Flatten(name="flatten")(x)
    x = keras.layers.Dense(network.units, activation="relu", name="hidden")(x)
    return keras.layers.Activation("linear", name="pool", dtype="float32")(x)


build = blocks.builder(features, VARIANTS, head=blocks.logits, minimum=lambda network: 2 ** len(network.filters))
