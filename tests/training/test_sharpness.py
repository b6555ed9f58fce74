"""Sharpness-aware minimisation against its formula in NumPy, and what of a step its two passes share."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_imagenet.preset import Preset
from keras_imagenet.settings import TrainSettings
from keras_imagenet.settings.optimizer import SGDSettings
from keras_imagenet.training import clipping, norms, objectives, optimizers, sharpness, step
from keras_imagenet.training import state as states

RATE, CLASSES = 0.1, 3
PRESET = Preset(size=(2, 2), channels=1, mean=(0.5,), std=(0.25,))
BATCH = {
    "images": np.random.default_rng(0).integers(0, 256, (8, 2, 2, 1)).astype("uint8"),
    "labels": np.arange(8, dtype="int32") % CLASSES,
    "weights": np.array([1, 1, 0, 1, 1, 1, 1, 0], "float32"),
}


@pytest.fixture(autouse=True)
def in_float64():
    keras.config.set_dtype_policy("float64")
    keras.config.set_floatx("float64")
    yield
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")


def stepped(sam: float | None, *hidden: keras.layers.Layer, clip_norm: float | None = None):
    """The weights before a step of plain SGD, the state after it, and the norms that it noted."""
    keras.utils.set_random_seed(3)
    images = keras.Input((2, 2, 1))
    x = keras.layers.Flatten()(images)
    for layer in hidden:
        x = layer(x)
    network = keras.Model(images, keras.layers.Dense(CLASSES, name="logits")(x))
    before = [variable.numpy() for variable in network.trainable_variables]
    optimizer = optimizers.build(SGDSettings(momentum=0), network.trainable_variables)
    state, watched = states.start(network, optimizer, "float32"), norms.build(network)
    clip = clipping.build(TrainSettings(clip_norm=clip_norm), network.trainable_variables)
    plan = step.Plan(8, clip=clip, sam=sam)
    strategy, objective = tf.distribute.get_strategy(), objectives.Objective(PRESET, CLASSES)
    one_step = step.build(state, objective, optimizer, strategy, plan, norms=watched)
    batch = {name: tf.constant(value) for name, value in BATCH.items()}
    one_step(batch, tf.constant(RATE, tf.float64), tf.constant(0, tf.int64), asked=tf.constant(True))
    return before, state, norms.by_tag(watched.parts, watched.squares.numpy())


def gradients(kernel: np.ndarray, bias: np.ndarray) -> list[np.ndarray]:
    """Of the mean cross-entropy of a softmax regression on the rows that count."""
    rows = ((BATCH["images"].reshape(8, 4) / 255 - 0.5) / 0.25)[BATCH["weights"] > 0]
    logits = rows @ kernel + bias
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    slopes = (shares - np.eye(CLASSES)[BATCH["labels"][BATCH["weights"] > 0]]) / len(rows)
    return [rows.T @ slopes, slopes.sum(axis=0)]


def norm(tensors: list[np.ndarray]) -> float:
    return np.sqrt(sum((tensor**2).sum() for tensor in tensors))


@pytest.mark.parametrize("clip_norm", [None, 0.01])
def test_a_step_is_the_paper_s(clip_norm: float | None) -> None:
    """The gradient at w + rho g / |g| moves w, clipped; the norm that is noted is that before clipping (images in float32)."""
    rho = 0.5
    before, state, noted = stepped(rho, clip_norm=clip_norm)
    first = gradients(*before)
    second = gradients(*(w + rho * g / norm(first) for w, g in zip(before, first, strict=True)))
    scale = 1 if clip_norm is None else clip_norm / norm(second)
    for weight, old, gradient in zip(state.weights, before, second, strict=True):
        np.testing.assert_allclose(weight.numpy(), old - RATE * scale * gradient, rtol=0, atol=1e-6)
    assert noted["gradient_norm"] == noted["gradient_norm/logits"] == pytest.approx(norm(second), rel=1e-5)
    assert noted["update_norm"] == pytest.approx(RATE * scale * norm(second), rel=1e-5)
    assert abs(norm(first) - norm(second)) > 0.01


def test_statistics_move_once_and_sums_are_of_the_weights_themselves() -> None:
    """Batch norm's by the first pass, as in the authors' code; dropout's seed counts one draw."""
    hidden = lambda: (keras.layers.Dense(6), keras.layers.BatchNormalization(), keras.layers.Dropout(0.5))  # noqa: E731
    _, plain, _ = stepped(None, *hidden())
    _, climbed, _ = stepped(0.5, *hidden())
    for one, other in zip(plain.rest, climbed.rest, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())
    np.testing.assert_array_equal(plain.sums.numpy(), climbed.sums.numpy())
    assert any(np.abs(a.numpy() - b.numpy()).max() > 1e-3 for a, b in zip(plain.weights, climbed.weights, strict=True))


def test_both_passes_have_the_same_masks() -> None:
    """Then the gradient a hair's breadth away is that of the weights; other masks would give another one."""
    _, plain, _ = stepped(None, keras.layers.Dense(6), keras.layers.Dropout(0.5))
    _, climbed, _ = stepped(1e-9, keras.layers.Dense(6), keras.layers.Dropout(0.5))
    for one, other in zip(plain.weights, climbed.weights, strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=0, atol=1e-6)


def test_without_a_slope_there_is_no_climb() -> None:
    (found,) = sharpness.climbed([tf.constant([1.0, 2.0])], [tf.zeros([2])], 0.5)
    np.testing.assert_array_equal(found, [1, 2])
