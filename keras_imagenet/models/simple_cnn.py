"""Two convolutions and a hidden layer: for digits and first steps."""

from __future__ import annotations

from dataclasses import dataclass

import keras

from keras_imagenet.models import blocks


@dataclass(frozen=True)
class SimpleCNN:
    """Filters of the 3x3 convolutions, each followed by 2x2 max pooling, and units of the hidden layer."""

    filters: tuple[int, ...]
    units: int


VARIANTS = {"simple_cnn": SimpleCNN((32, 64), 1024)}


def build(
    variant: str | SimpleCNN,
    *,
    input_shape: tuple[int, int, int],
    classes: int,
    dropout: float = 0.0,
    head_bias: float = 0.0,
) -> keras.Model:
    """Logits [batch, classes] or, for 0 classes, the hidden layer; images of 4 pixels a side or more."""
    name, network = blocks.chosen(variant, VARIANTS, "simple_cnn")
    images = x = blocks.image_input(input_shape, name, minimum=2 ** len(network.filters))
    for stage, filters in enumerate(network.filters, start=1):
        x = keras.layers.Conv2D(filters, 3, padding="same", activation="relu", name=f"stage{stage}_conv")(x)
        x = keras.layers.MaxPooling2D(2, name=f"stage{stage}_pool")(x)
    x = keras.layers.Flatten(name="flatten")(x)
    x = keras.layers.Dense(network.units, activation="relu", name="hidden")(x)
    x = keras.layers.Activation("linear", name="pool", dtype="float32")(x)
    outputs = blocks.logits(x, classes, dropout=dropout, head_bias=head_bias)
    return keras.Model(images, outputs, name=name)
