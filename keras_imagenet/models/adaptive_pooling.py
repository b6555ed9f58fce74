"""Mean pooling to a fixed number of positions, as torch's AdaptiveAvgPool2d."""

from __future__ import annotations

import keras
from keras import KerasTensor


def adaptive_mean(x: KerasTensor, size: int, *, name: str) -> KerasTensor:
    """[batch, height, width, channels] to [batch, size, size, channels].

    Row i is the mean of rows floor(i height / size) to ceil((i + 1) height / size), columns alike: fewer rows than
    `size` are repeated, or averaged where a window covers two.
    """
    # Keras 3.15's layer cannot take a side of 1, whose row every window repeats.
    repeats = tuple(size if side == 1 else 1 for side in x.shape[1:3])
    if max(repeats) > 1:
        x = keras.layers.UpSampling2D(repeats, name=f"{name}_repeat")(x)
    if tuple(x.shape[1:3]) == (size, size):
        return x
    return keras.layers.AdaptiveAveragePooling2D(size, name=name)(x)
