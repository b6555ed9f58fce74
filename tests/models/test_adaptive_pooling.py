"""Adaptive pooling against its definition, in the graph of a network."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_imagenet.models.adaptive_pooling import adaptive_mean


def by_definition(x: np.ndarray, size: int) -> np.ndarray:
    """torch's windows: from floor(i n / size) to ceil((i + 1) n / size)."""
    height, width = x.shape[1:3]
    rows = [slice(i * height // size, -(-(i + 1) * height // size)) for i in range(size)]
    columns = [slice(j * width // size, -(-(j + 1) * width // size)) for j in range(size)]
    return np.stack([np.stack([x[:, row, column].mean((1, 2)) for column in columns], 1) for row in rows], 1)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 5), (2, 3), (7, 7), (8, 13), (14, 14)])
def test_every_window_is_the_mean_of_its_definition(height, width):
    x = np.random.default_rng(0).normal(size=(2, height, width, 3)).astype("float32")
    images = keras.Input((height, width, 3))
    network = keras.Model(images, adaptive_mean(images, 7, name="pool"))
    np.testing.assert_allclose(tf.function(network)(x), by_definition(x, 7), atol=1e-6)
