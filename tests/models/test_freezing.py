"""Frozen layers stand still, batch norms with them; rates fall with the distance from the head."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from keras_imagenet.errors import SettingsError
from keras_imagenet.models import convnext, efficientnet, freezing, vit

TINY = efficientnet.EfficientNet(0.25, 1.0, 0.0, stages=((1, 3, 1, 32, 1), (2, 3, 2, 64, 2)))


@pytest.fixture
def network() -> keras.Model:
    keras.utils.set_random_seed(0)
    return efficientnet.build(TINY, input_shape=(32, 32, 3), classes=3, stochastic_depth=0.0)


def test_a_step_changes_only_what_is_not_frozen(network: keras.Model) -> None:
    """Statistics of frozen norms neither change nor are those of the batch used."""
    frozen = freezing.freeze(network, ["stem", "stage1", "stage2_block1"])
    assert "stem_norm" in frozen
    assert not any(name.startswith(("stage2_block2", "head", "logits")) for name in frozen)
    before = {weight.path: weight.numpy() for weight in network.weights}
    images = np.random.default_rng(0).normal(3, 5, (4, 32, 32, 3)).astype(np.float32)
    stem = keras.Model(network.input, network.get_layer("stem_norm").output)
    np.testing.assert_array_equal(stem(images, training=True), stem(images, training=False))
    network.compile(keras.optimizers.SGD(0.1), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    network.fit(images, np.array([0, 1, 2, 0]), verbose=0)
    changed = {
        weight.path.partition("/")[0] for weight in network.weights if (weight.numpy() != before[weight.path]).any()
    }
    assert changed.isdisjoint(frozen)
    assert {"head_norm", "logits", "stage2_block2_expand_conv"} <= changed


def test_patterns_with_wildcards(network: keras.Model) -> None:
    frozen = freezing.freeze(network, ["*_norm"])
    assert frozen == [layer.name for layer in network.layers if isinstance(layer, keras.layers.BatchNormalization)]


def test_a_pattern_that_fits_nothing_is_an_error(network: keras.Model) -> None:
    with pytest.raises(
        SettingsError, match=r"^model.freeze: 'stage3' fits no layer of efficientnet; did you mean stage\d\?$"
    ):
        freezing.freeze(network, ["stem", "stage3"])
    assert all(layer.trainable for layer in network.layers)


def test_rates_fall_by_block(network: keras.Model) -> None:
    factors = freezing.depth_factors(network, 0.5)
    assert factors.keys() == {variable.path for variable in network.trainable_variables}
    expected = {
        "stem_conv": 1 / 16,
        "stage1_block1_depthwise_conv": 1 / 8,
        "stage2_block1_project_norm": 1 / 4,
        "stage2_block2_se_reduce": 1 / 2,
        "head_conv": 1.0,
        "logits": 1.0,
    }
    assert {path.partition("/")[0]: factor for path, factor in factors.items()}.items() >= expected.items()


def test_rates_of_transformers_and_stages_with_downsampling() -> None:
    """Embeddings learn slowest; a downsampling goes with the block behind it."""
    network = vit.build(vit.ViT(8, 2, 2), input_shape=(32, 32, 3), classes=3)
    factors = freezing.depth_factors(network, 0.1)
    assert factors["positions/kernel"] == factors["class_token/kernel"] == pytest.approx(1e-3)
    assert factors["block1_attention/query/kernel"] == pytest.approx(1e-2)
    assert factors["norm/gamma"] == factors["logits/kernel"] == 1
    network = convnext.build(convnext.ConvNeXt((1, 1), (8, 8), 0.0), input_shape=(32, 32, 3), classes=3)
    factors = freezing.depth_factors(network, 0.1)
    assert factors["stage2_downsample_conv/kernel"] == factors["stage2_block1_scale/kernel"] == pytest.approx(0.1)
    assert factors["stem_norm/gamma"] == pytest.approx(1e-3)


def test_no_decay_is_the_full_rate(network: keras.Model) -> None:
    assert set(freezing.depth_factors(network, 1.0).values()) == {1.0}
