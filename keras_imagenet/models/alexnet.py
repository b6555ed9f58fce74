"""AlexNet in its one-tower form, 'One weird trick' (arXiv:1404.5997), as torchvision has it."""

from __future__ import annotations

from dataclasses import dataclass

import keras

from keras_imagenet.models import blocks
from keras_imagenet.models.adaptive_pooling import adaptive_mean


@dataclass(frozen=True)
class AlexNet:
    """filters of the five convolutions; units of the two hidden layers."""

    filters: tuple[int, int, int, int, int]
    units: int


VARIANTS = {"alexnet": AlexNet((64, 192, 384, 256, 256), 4096)}


def build(
    variant: str | AlexNet,
    *,
    input_shape: tuple[int, int, int],
    classes: int,
    dropout: float = 0.5,
    head_bias: float = 0.0,
) -> keras.Model:
    """Logits [batch, classes] or, for 0 classes, the last hidden layer; images of 63 pixels a side or more.

    Features are averaged to 6 x 6 positions, so that any size fits the hidden layers.
    """
    name, network = blocks.chosen(variant, VARIANTS, "alexnet")
    f1, f2, f3, f4, f5 = network.filters
    images = blocks.image_input(input_shape, name, minimum=63)
    x = keras.layers.ZeroPadding2D(2, name="conv1_pad")(images)
    x = keras.layers.Conv2D(f1, 11, strides=4, activation="relu", name="conv1")(x)
    x = keras.layers.MaxPooling2D(3, strides=2, name="pool1")(x)
    x = keras.layers.Conv2D(f2, 5, padding="same", activation="relu", name="conv2")(x)
    x = keras.layers.MaxPooling2D(3, strides=2, name="pool2")(x)
    x = keras.layers.Conv2D(f3, 3, padding="same", activation="relu", name="conv3")(x)
    x = keras.layers.Conv2D(f4, 3, padding="same", activation="relu", name="conv4")(x)
    x = keras.layers.Conv2D(f5, 3, padding="same", activation="relu", name="conv5")(x)
    x = keras.layers.MaxPooling2D(3, strides=2, name="pool5")(x)
    x = adaptive_mean(x, 6, name="adaptive_pool")
    x = keras.layers.Flatten(name="flatten")(x)
    x = keras.layers.Dropout(dropout, name="hidden1_dropout")(x)
    x = keras.layers.Dense(network.units, activation="relu", name="hidden1")(x)
    x = keras.layers.Dropout(dropout, name="hidden2_dropout")(x)
    x = keras.layers.Dense(network.units, activation="relu", name="hidden2")(x)
    x = keras.layers.Activation("linear", name="pool", dtype="float32")(x)
    outputs = blocks.logits(x, classes, head_bias=head_bias)
    return keras.Model(images, outputs, name=name)
