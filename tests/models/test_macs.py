"""Multiply-accumulates against counts by hand."""

from __future__ import annotations

import keras
import pytest

from keras_imagenet.errors import KerasImagenetError
from keras_imagenet.models import macs


def count(input_shape, layer) -> int:
    images = keras.Input(input_shape)
    return macs.count(keras.Model(images, layer(images)))


@pytest.mark.parametrize(
    ("shape", "layer", "expected"),
    [
        ((8, 8, 4), lambda: keras.layers.Conv2D(6, 3, padding="same"), 8 * 8 * 6 * 9 * 4),
        ((8, 8, 4), lambda: keras.layers.Conv2D(6, 3), 6 * 6 * 6 * 9 * 4),
        ((9, 9, 4), lambda: keras.layers.Conv2D(6, (3, 1), strides=2), 4 * 5 * 6 * 3 * 4),
        ((8, 8, 4), lambda: keras.layers.Conv2D(6, 3, padding="same", groups=2), 8 * 8 * 6 * 9 * 2),
        ((8, 8, 4), lambda: keras.layers.DepthwiseConv2D(3, padding="same"), 8 * 8 * 4 * 9),
        ((9, 9, 4), lambda: keras.layers.SeparableConv2D(6, 3, strides=2), 4 * 4 * (4 * 9 + 4 * 6)),
        ((7,), lambda: keras.layers.Dense(5), 35),
        ((11, 7), lambda: keras.layers.Dense(5), 11 * 35),
        ((11, 7), lambda: keras.layers.EinsumDense("btc,cd->btd", (None, 5)), 11 * 35),
        ((8, 8, 4), lambda: keras.layers.BatchNormalization(), 0),
        ((8, 8, 4), lambda: keras.layers.MaxPooling2D(2), 0),
        ((7,), lambda: keras.layers.Embedding(10, 3), 0),
        ((11, 7), lambda: lambda x: keras.ops.matmul(x, keras.ops.transpose(x, (0, 2, 1))), 11 * 11 * 7),
        ((11, 7), lambda: lambda x: keras.ops.einsum("bic,bjc->bij", x, x), 11 * 11 * 7),
        # Four projections of 11 tokens (7 to 3 heads x 2, and back), and two products of 11 x 11 for each head.
        (
            (11, 7),
            lambda: lambda x: keras.layers.MultiHeadAttention(3, 2)(x, x),
            4 * 11 * 7 * 6 + 2 * 11 * 11 * 3 * 2,
        ),
        (
            (11, 3, 2),
            lambda: lambda x: keras.ops.nn.dot_product_attention(x, x, x),
            2 * 11 * 11 * 3 * 2,
        ),
    ],
)
def test_one_layer(shape, layer, expected):
    assert count(shape, layer()) == expected


def test_a_layer_called_twice_counts_twice():
    layer = keras.layers.Conv2D(4, 1)
    assert count((8, 8, 4), lambda x: layer(layer(x))) == 2 * 8 * 8 * 4 * 4


def test_a_network_inside_counts_whole():
    inner = keras.Sequential([keras.Input((7,)), keras.layers.Dense(5)])
    assert count((7,), inner) == 35


def test_a_layer_with_a_matrix_that_is_not_known_is_an_error():
    with pytest.raises(KerasImagenetError, match="multiply-accumulates of a Conv1DTranspose are not known"):
        count((8, 4), keras.layers.Conv1DTranspose(2, 3))
