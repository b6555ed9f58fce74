"""An example of weight 0 has no part in a step: neither in its gradients, nor in what is counted."""

import keras
import numpy as np
import tensorflow as tf

from keras_imagenet.preset import Preset
from keras_imagenet.settings import SGDSettings
from keras_imagenet.training import optimizers
from keras_imagenet.training import state as states
from keras_imagenet.training import step as steps
from keras_imagenet.training.objectives import Objective


def step(
    rows: list[int], weights: list[float], accumulate: int = 1, classes: int = 3, **options
) -> tuple[np.ndarray, np.ndarray]:
    """The kernel after one step of SGD on these rows of a fixed batch, labelled with the last three classes, and the sums."""
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (4, 2, 2, 3)).astype(np.uint8)[rows]
    inputs = keras.Input((2, 2, 3))
    logits = keras.layers.Dense(classes, kernel_initializer="zeros")(keras.layers.Flatten()(inputs))
    preset = Preset(size=(2, 2), mean=(0, 0, 0), std=(1, 1, 1))
    network = keras.Model(inputs, logits)
    optimizer = optimizers.build(SGDSettings(momentum=0.0), network.trainable_variables)
    state = states.start(network, optimizer, "float32")
    objective, plan = Objective(preset, classes, **options), steps.Plan(len(rows), accumulate)
    one_step = steps.build(state, objective, optimizer, tf.distribute.get_strategy(), plan)
    labels = tf.constant(classes - 3 + np.array([0, 1, 2, 1])[rows], tf.int32)
    batch = {"images": tf.constant(images), "labels": labels, "weights": tf.constant(weights, tf.float32)}
    one_step(batch, tf.constant(1.0, tf.float64), tf.constant(0, tf.int64))
    return network.trainable_variables[0].numpy(), state.sums.numpy()


def test_the_mean_loss_is_over_the_examples_that_count() -> None:
    kernel, sums = step([0, 1, 2, 3], [1, 1, 0, 1])
    wanted_kernel, wanted_sums = step([0, 1, 3], [1, 1, 1])
    assert np.abs(wanted_kernel).max() > 0.01
    np.testing.assert_allclose(kernel, wanted_kernel, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(sums, wanted_sums, rtol=1e-6)
    assert sums[3] == 3


def test_parts_of_a_batch_make_its_step_however_unevenly_their_examples_count() -> None:
    for one, other in zip(step([0, 1, 2, 3], [1, 1, 0, 1], 4), step([0, 1, 2, 3], [1, 1, 0, 1]), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7)


def test_the_mean_loss_is_over_all_that_count_right_or_wrong() -> None:
    """Of eight equal logits the first five are the answers, and none of them is right."""
    kernel, sums = step([0, 1, 2, 3], [1, 1, 1, 1], classes=8)
    pixels = np.random.default_rng(0).integers(0, 256, (4, 12)) / 255
    gradients = 1 / 8 - np.eye(8)[[5, 6, 7, 6]]
    np.testing.assert_allclose(kernel, -pixels.T @ gradients / 4, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(sums, [4 * np.log(8), 0, 0, 4], rtol=1e-6)


def test_a_batch_of_which_nothing_counts_changes_nothing() -> None:
    kernel, sums = step([0, 1], [0, 0])
    assert not kernel.any()
    assert sums.tolist() == [0, 0, 0, 0]


def test_classes_are_weighed_and_the_mean_is_over_examples() -> None:
    """From weights 0 on, so with three equal logits: each loss is ln 3 times a factor, each gradient 1/3 less the target."""
    factors, labels = np.array([1, 5, 0.5], np.float32), np.array([0, 1, 2, 1])
    kernel, sums = step([0, 1, 2, 3], [1, 1, 1, 1], class_weights=factors)
    pixels = np.random.default_rng(0).integers(0, 256, (4, 12)) / 255
    gradients = (1 / 3 - np.eye(3)[labels]) * factors[labels, None]
    np.testing.assert_allclose(kernel, -pixels.T @ gradients / 4, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(sums[[0, 3]], [factors[labels].sum() * np.log(3), 4], rtol=1e-6)
