"""Batch norms as part of the convolutions before them: answers, statistics and gradients of the network as it stands."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_imagenet.models import folding


@pytest.fixture
def network() -> keras.Model:
    """A convolution and its norm, a depthwise one, a grouped one with biases, one without scale, and one used twice."""
    keras.utils.set_random_seed(0)
    images = x = keras.Input((12, 12, 3))
    x = keras.layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False, name="plain")(x)
    x = keras.layers.ReLU(6.0)(keras.layers.BatchNormalization(name="plain_norm")(x))
    x = keras.layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2, use_bias=False, name="depthwise")(x)
    x = keras.layers.BatchNormalization(epsilon=0.1, name="depthwise_norm")(x)
    x = keras.layers.Conv2D(8, 3, groups=4, dilation_rate=2, padding="same", name="grouped")(x)
    x = keras.layers.BatchNormalization(scale=False, name="grouped_norm")(x)
    x = y = keras.layers.Conv2D(8, 1, name="twice")(x)
    x = keras.layers.Add()([keras.layers.BatchNormalization(center=False, name="twice_norm")(x), y])
    x = keras.layers.Conv2D(8, 1, activation="relu", name="active")(x)
    x = keras.layers.BatchNormalization(name="active_norm")(x)
    x = keras.layers.Dropout(0.5)(keras.layers.GlobalAveragePooling2D()(x))
    network = keras.Model(images, keras.layers.Dense(4, name="logits")(x))
    draws = np.random.default_rng(0)
    for variable in network.variables:
        if "norm/" in variable.path:
            variable.assign(draws.uniform(0.5, 1.5, variable.shape))
    return network


def images(count: int = 4) -> tf.Tensor:
    return tf.constant(np.random.default_rng(1).normal(size=(count, 12, 12, 3)), tf.float32)


def test_a_norm_is_folded_where_it_alone_takes_what_a_convolution_answers(network) -> None:
    found = [(maker.operation.name, node.operation.name) for maker, node in folding.pairs(network)]
    assert found == [(name, f"{name}_norm") for name in ("plain", "depthwise", "grouped")]


def test_answers_are_the_network_s(network) -> None:
    wanted = network(images(), training=False)
    found = tf.function(folding.inference(network), autograph=False)(images())
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


def test_answers_follow_the_variables(network) -> None:
    answer = tf.function(folding.inference(network), autograph=False)
    before = answer(images())
    network.get_layer("depthwise_norm").moving_mean.assign(np.full(16, 2, np.float32))
    assert np.abs(answer(images()) - before).max() > 1e-3
    np.testing.assert_allclose(answer(images()), network(images(), training=False), rtol=1e-5, atol=1e-5)


def test_what_is_served_has_weights_of_its_own(network) -> None:
    """One kernel and one bias for a convolution and its norm, not both layers' six variables."""
    wanted = network(images(), training=False)
    answer, weights = folding.baked(network)
    assert len(weights) == len(network.variables) - (1 + 4) - (1 + 4) - (2 + 3) + 3 * 2
    network.get_layer("plain").kernel.assign(np.zeros((3, 3, 3, 8), np.float32))
    np.testing.assert_allclose(answer(images()), wanted, rtol=1e-5, atol=1e-5)


def test_a_training_pass_folds_norms_that_stand_still_and_no_others(network) -> None:
    """Logits, gradients and statistics of the network's own pass; in float64 the convolution of a frozen norm learns, too."""
    network.get_layer("plain_norm").trainable = False
    for layer in network.layers:
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0
    forward = folding.training(network)
    weights = [tf.convert_to_tensor(variable.value) for variable in network.trainable_variables]
    rest = [tf.convert_to_tensor(variable.value) for variable in network.non_trainable_variables]
    results = []
    for call in (forward, lambda *given: network.stateless_call(*given, training=True)):
        with tf.GradientTape() as tape:
            tape.watch(weights)
            logits, after = call(weights, rest, images())
            loss = tf.reduce_sum(logits**2)
        results.append((logits, after, tape.gradient(loss, weights)))
    for found, wanted in zip(tf.nest.flatten(results[0]), tf.nest.flatten(results[1]), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)
    moved = [
        variable.path
        for variable, old, new in zip(network.non_trainable_variables, rest, results[0][1], strict=True)
        if new is not old
    ]
    assert not any("plain_norm" in path for path in moved)
    assert any("depthwise_norm" in path for path in moved)


class Within(keras.layers.Layer):
    """A layer of layers that says nothing of training itself."""

    def __init__(self) -> None:
        super().__init__(name="within")
        self.norm = keras.layers.BatchNormalization(name="inner_norm")

    def build(self, shape: tuple[int | None, ...]) -> None:
        self.norm.build(shape)

    def call(self, images: tf.Tensor) -> tf.Tensor:
        return self.norm(images)


def test_layers_within_a_layer_train_beside_a_norm_that_stands_still() -> None:
    """As in the network's own pass; a layer of somebody else's may take no word of training, and those within it do."""
    inputs = keras.Input((12, 12, 3))
    x = keras.layers.BatchNormalization(name="still", trainable=False)(keras.layers.Conv2D(4, 1)(inputs))
    network = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(Within()(x)))
    weights = [tf.convert_to_tensor(variable.value) for variable in network.trainable_variables]
    rest = [tf.convert_to_tensor(variable.value) for variable in network.non_trainable_variables]
    _, found = folding.training(network)(weights, rest, images())
    _, wanted = network.stateless_call(weights, rest, images(), training=True)
    for value, known, before in zip(found, wanted, rest, strict=True):
        np.testing.assert_allclose(value, known, rtol=1e-4, atol=1e-4)
        assert (value is before) == (known is before)
    assert any(value is not before for value, before in zip(found, rest, strict=True))


def test_what_a_fold_would_answer_in_another_type_stays_as_it_is() -> None:
    """A norm in float32 behind a convolution in bfloat16; and calls that name their images, as Keras allows."""
    inputs = keras.Input((12, 12, 3))
    x = keras.layers.Conv2D(4, 1, dtype="mixed_bfloat16")(inputs)
    x = keras.layers.BatchNormalization(dtype="float32")(x)
    x = keras.layers.BatchNormalization()(inputs=keras.layers.Conv2D(4, 1)(inputs=x))
    network = keras.Model(inputs, x)
    assert folding.pairs(network) == []
    assert folding.inference(network)(images()).dtype == "float32"


def test_a_network_whose_norms_all_learn_is_trained_as_it_stands(network) -> None:
    assert folding.training(network).func == network.stateless_call
