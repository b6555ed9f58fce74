"""Shared blocks against their definitions, and what options of the ResNets change in the graph."""

from __future__ import annotations

from dataclasses import dataclass

import keras
import numpy as np
import pytest

from keras_imagenet.errors import SettingsError
from keras_imagenet.models import blocks, registry, resnet

rng = np.random.default_rng(0)


def run(x: np.ndarray, block, training: bool = False) -> np.ndarray:
    images = keras.Input(x.shape[1:])
    return np.asarray(keras.Model(images, block(images))(x, training=training))


def names(network: keras.Model, part: str) -> list[str]:
    return [layer.name for layer in network.layers if part in layer.name]


@pytest.mark.parametrize("size", [7, 8])
def test_symmetric_padding_puts_the_first_window_s_centre_on_the_first_pixel(size):
    """torch: output i is centred on pixel 2 i; TensorFlow's 'same' centres on 2 i + 1 where the size is even."""
    x = rng.normal(size=(1, size, size, 1)).astype("float32")
    images = keras.Input(x.shape[1:])
    for padding, offset in (("symmetric", 0), ("same", 1 - size % 2)):
        network = keras.Model(images, blocks.convolution(images, 1, 3, strides=2, padding=padding, name="conv"))
        network.get_layer("conv").set_weights([np.eye(9)[4].reshape(3, 3, 1, 1)])  # the window's centre
        np.testing.assert_allclose(network(x), x[:, offset::2, offset::2], atol=1e-6)


def test_max_pooling_takes_windows_around_every_second_pixel():
    x = rng.uniform(size=(1, 8, 7, 2)).astype("float32")
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    rows = [[padded[:, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3].max((1, 2)) for j in range(4)] for i in range(4)]
    np.testing.assert_array_equal(
        run(x, lambda t: blocks.max_pool(t, name="pool")), np.stack([np.stack(row, 1) for row in rows], 1)
    )


def test_blur_is_the_binomial_filter():
    x = np.zeros((1, 5, 5, 1), "float32")
    x[0, 2, 2, 0] = 16
    expected = np.zeros((5, 5))
    expected[1:4, 1:4] = np.outer([1, 2, 1], [1, 2, 1])
    np.testing.assert_allclose(run(x, lambda t: blocks.blur(t, name="blur"))[0, ..., 0], expected)


def test_stochastic_depth_drops_whole_examples_and_scales_the_kept():
    keras.utils.set_random_seed(0)
    x = np.ones((200, 2, 2, 3), "float32")
    y = run(x, lambda t: blocks.stochastic_depth(t, 0.25, name="drop"), training=True).reshape(200, -1)
    assert set(np.round(y[:, 0], 5)) == {0.0, np.float32(np.round(4 / 3, 5))}
    assert (y == y[:, :1]).all()
    assert 0.15 < (y[:, 0] == 0).mean() < 0.35
    np.testing.assert_array_equal(run(x, lambda t: blocks.stochastic_depth(t, 0.25, name="drop")), x)


def test_drop_rates_rise_to_the_last_block_or_short_of_it_or_are_the_same():
    """i / (N - 1) in ConvNeXt, Swin and DeiT; i / N in EfficientNets; DeiT-III's everywhere."""
    np.testing.assert_allclose(blocks.drop_rates(0.3, 4), [0, 0.1, 0.2, 0.3])
    np.testing.assert_allclose(blocks.drop_rates(0.4, 4, "linear_below"), [0, 0.1, 0.2, 0.3])
    assert blocks.drop_rates(0.3, 3, "uniform") == [0.3] * 3
    assert blocks.drop_rates(0.3, 1) == [0.0]


@pytest.mark.parametrize(("name", "last"), [("efficientnet_b0", 0.2 * 14 / 16), ("convnext_tiny", 0.1)])
def test_a_family_has_its_papers_drop_rates(name, last):
    """EfficientNet-B0's sixteenth block has no way around it; its fifteenth drops 14 / 16 of the full rate."""
    rates = [layer.rate for layer in registered(name).layers if layer.name.endswith("_drop")]
    assert rates[-1] == pytest.approx(last)
    same = [
        layer.rate for layer in registered(name, stochastic_depth_form="uniform").layers if layer.name.endswith("_drop")
    ]
    assert len(set(same)) == 1


def registered(name: str, **options) -> keras.Model:
    return registry.build(name, input_shape=(64, 64, 3), classes=10, **options)


def test_squeeze_excite_weighs_channels_by_a_gate_of_their_means():
    x = rng.normal(size=(2, 3, 3, 4)).astype("float32")
    images = keras.Input(x.shape[1:])
    network = keras.Model(images, blocks.squeeze_excite(images, 2, name="se"))
    w1, b1, w2, b2 = (rng.normal(size=w.shape).astype("float32") for w in network.weights)
    network.set_weights([w1, b1, w2, b2])
    hidden = np.maximum(x.mean((1, 2)) @ w1[0, 0] + b1, 0)
    gate = 1 / (1 + np.exp(-(hidden @ w2[0, 0] + b2)))
    np.testing.assert_allclose(network(x), x * gate[:, None, None], rtol=1e-5)


def tiny(**options) -> keras.Model:
    variant = resnet.ResNet((2, 2), width=8)
    return resnet.build(variant, input_shape=(32, 32, 3), classes=5, **options)


def test_zero_last_norm_zeroes_the_last_gamma_of_each_block_only():
    gammas = {
        layer.name: float(np.max(layer.gamma))
        for layer in tiny(zero_last_norm=True).layers
        if isinstance(layer, keras.layers.BatchNormalization)
    }
    assert {name for name, gamma in gammas.items() if gamma == 0} == {
        f"stage{stage}_block{block}_norm3" for stage in (1, 2) for block in (1, 2)
    }
    assert all(np.max(layer.gamma) == 1 for layer in tiny().layers if "norm3" in layer.name)


def test_blur_pool_goes_before_every_strided_convolution_but_the_first():
    network = tiny(blur_pool=True)
    expected = {"stage2_block1_conv2_blur_pad", "stage2_block1_shortcut_conv_blur_pad"}
    assert set(names(network, "blur_pad")) == expected
    assert names(tiny(), "blur") == []


def test_same_padding_needs_no_padding_layers():
    assert names(tiny(padding="same"), "_pad") == []
    assert "stem_conv_pad" in names(tiny(), "_pad")


def test_squeeze_excite_can_be_added_and_taken_away():
    assert len(names(tiny(squeeze_excite=4), "_se_scale")) == 4
    network = registry.build("seresnet50", input_shape=(32, 32, 3), classes=5, squeeze_excite=0)
    assert names(network, "_se_") == []


def test_stochastic_depth_of_a_resnet_rises_to_the_last_block():
    rates = {layer.name: layer.rate for layer in tiny(stochastic_depth=0.3).layers if "_drop" in layer.name}
    assert rates == pytest.approx({"stage1_block2_drop": 0.1, "stage2_block1_drop": 0.2, "stage2_block2_drop": 0.3})


def layers(block) -> list[tuple[str, str]]:
    """Name and class of each layer of a block, on images of 8 pixels."""
    images = keras.Input((8, 8, 4))
    return [(layer.name, type(layer).__name__) for layer in keras.Model(images, block(images)).layers[1:]]


def test_a_convolution_its_norm_and_its_activation_are_layers_with_the_block_s_name_and_number():
    """Checkpoints and weight converters hold on to these names."""
    options = {"norm": blocks.TORCH_NORM, "name": "stage1"}
    assert layers(lambda x: blocks.conv_norm(x, 8, 3, relu=True, number=2, **options)) == [
        ("stage1_conv2", "Conv2D"),
        ("stage1_norm2", "BatchNormalization"),
        ("stage1_relu2", "ReLU"),
    ]
    assert layers(lambda x: blocks.conv_norm(x, None, 3, 2, activation="silu", **options)) == [
        ("stage1_conv_pad", "ZeroPadding2D"),
        ("stage1_conv", "DepthwiseConv2D"),
        ("stage1_norm", "BatchNormalization"),
        ("stage1_act", "Activation"),
    ]
    assert layers(lambda x: blocks.conv_norm(x, 8, 1, **options))[-1] == ("stage1_norm", "BatchNormalization")


@pytest.mark.parametrize(
    ("kernel_size", "padding", "size"), [(3, "same", 8), (3, "valid", 6), ((1, 3), "same", 8), (1, "same", 8)]
)
def test_only_valid_padding_without_a_stride_makes_maps_smaller(kernel_size, padding, size):
    x = blocks.convolution(keras.Input((8, 8, 4)), 2, kernel_size, padding=padding, name="conv")
    assert x.shape == (None, size, size, 2)


@dataclass(frozen=True)
class Mean:
    """Features are the mean of a convolution's maps."""

    filters: int
    patch_size: int = 4
    dropout: float = 0.25


def features(images: keras.KerasTensor, network: Mean, *, use_bias: bool = False) -> keras.KerasTensor:
    return blocks.convolution(images, network.filters, 3, use_bias=use_bias, name="conv")


def built(variant: str | Mean = "mean8", *, size: int = 8, classes: int = 3, limits=None, **options) -> keras.Model:
    build = blocks.builder(features, {"mean8": Mean(8)}, dropout=None, **(limits or {}))
    return build(variant, input_shape=(size, 8, 3), classes=classes, **options)


def test_a_builder_s_options_are_the_family_s_and_the_head_s():
    build = blocks.builder(features, {})
    assert registry.options_of(build) == {"use_bias", "dropout", "head_bias"}
    assert built(use_bias=True).get_layer("conv").use_bias
    with pytest.raises(TypeError, match="blur_pool"):
        built(blur_pool=True)


def test_a_network_without_a_name_is_called_as_its_family():
    assert built().name == "mean8"
    assert built(Mean(4)).name == "test_blocks"
    assert built(Mean(4), classes=0).output_shape == (None, 4)


def test_dropout_is_the_variant_s_own_unless_another_is_asked_for():
    assert built().get_layer("head_dropout").rate == 0.25
    assert built(dropout=0.5).get_layer("head_dropout").rate == 0.5
    assert names(built(dropout=0.0), "dropout") == []


@pytest.mark.parametrize(
    ("limits", "size", "message"),
    [
        ({"minimum": 9}, 8, "mean8 needs images of at least 9 pixels a side, got 8 x 8"),
        ({"minimum": lambda network: network.filters + 1}, 8, "at least 9 pixels a side"),
        ({"multiple": lambda network: network.patch_size}, 2, "at least 4 pixels a side, got 2 x 8"),
        ({"multiple": lambda network: network.patch_size}, 10, "mean8 needs sides divisible by 4, got 10 x 8"),
    ],
)
def test_an_image_of_a_size_that_does_not_fit_is_told_what_would(limits, size, message):
    with pytest.raises(SettingsError, match=f"data.size: .*{message}"):
        built(size=size, limits=limits)
