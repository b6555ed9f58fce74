"""The fused batch norm against Keras' own layer: outputs, gradients, moving statistics, and what is saved."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_imagenet.training import fused_norm


def network(precision: str = "float32", shape: tuple[int, ...] = (5, 7, 3), **options) -> keras.Model:
    images = keras.Input(shape)
    policy = keras.DTypePolicy(precision)
    norm = keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name="norm", dtype=policy, **options)
    model = keras.Model(images, norm(images))
    random = np.random.default_rng(1)
    for variable in model.trainable_variables:
        variable.assign(random.normal(size=variable.shape))
    return model


def learn(model: keras.Model, batch: int = 4) -> list[np.ndarray]:
    """Output, gradients by input, scale and offset, and the moving statistics, after one call in training."""
    random = np.random.default_rng(0)
    images = tf.constant(random.normal(2.0, 3.0, size=(batch, *model.input_shape[1:])), tf.float32)
    wanted = tf.constant(random.normal(size=images.shape), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(images)
        answers = model(images, training=True)
        loss = tf.reduce_sum(tf.cast(answers, tf.float32) * wanted)
    assert answers.dtype == model.get_layer("norm").compute_dtype
    gradients = tape.gradient(loss, [images, *(v.value for v in model.trainable_variables)])
    return [tf.cast(x, tf.float32).numpy() for x in (answers, *gradients, *model.non_trainable_variables)]


@pytest.mark.parametrize("without", [{"scale": False}, {"center": False}, {"scale": False, "center": False}], ids=str)
@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_without_scale_or_offset_it_computes_what_keras_does(precision: str, without: dict) -> None:
    fused, plain = (network(precision, **without) for _ in range(2))
    assert fused_norm.fuse(fused) == ["norm"]
    assert len(fused.trainable_variables) == 2 - len(without)
    tolerance = 1e-5 if precision == "float32" else 1e-2
    for ours, keras_own in zip(learn(fused), learn(plain), strict=True):
        np.testing.assert_allclose(ours, keras_own, rtol=tolerance, atol=tolerance * np.abs(keras_own).max())


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("channels", [3, 16])
@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_it_computes_what_keras_does(precision: str, channels: int, batch: int) -> None:
    """Within rounding, the moving variance without Bessel's correction included; and the same at inference. Kernels for
    bfloat16 go by blocks of 16 channels."""
    fused, plain = (network(precision, (5, 7, channels)) for _ in range(2))
    assert fused_norm.fuse(fused) == ["norm"]
    tolerance = 1e-5 if precision == "float32" else 1e-2
    for ours, keras_own in zip(learn(fused, batch), learn(plain, batch), strict=True):
        np.testing.assert_allclose(ours, keras_own, rtol=tolerance, atol=tolerance * np.abs(keras_own).max())
    images = np.ones((2, 5, 7, channels), np.float32)
    np.testing.assert_allclose(fused(images, training=False), plain(images, training=False), rtol=1e-5, atol=1e-5)


def test_a_frozen_norm_keeps_its_statistics() -> None:
    model = network()
    fused_norm.fuse(model)
    model.get_layer("norm").trainable = False
    images = np.full((2, 5, 7, 3), 9.0, np.float32)
    np.testing.assert_array_equal(model(images, training=True), model(images, training=False))
    np.testing.assert_array_equal(model.get_layer("norm").moving_mean, [0, 0, 0])


@pytest.mark.parametrize("options", [{"synchronized": True}, {"axis": 1}, {"shape": (7, 3)}], ids=str)
def test_other_norms_are_left_alone(options: dict) -> None:
    assert fused_norm.fuse(network(**options)) == []


def test_what_is_saved_is_keras_alone(tmp_path) -> None:
    """And trained further it goes on from the same statistics."""
    model = network()
    fused_norm.fuse(model)
    learn(model)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    assert type(again.get_layer("norm")).__module__.startswith("keras.")
    for ours, keras_own in zip(learn(model), learn(again), strict=True):
        np.testing.assert_allclose(ours, keras_own, rtol=1e-5, atol=1e-5)
