"""Counting: ties, padding and batch sizes."""

import keras
import numpy as np
import tensorflow as tf

from keras_imagenet.evaluation import Metrics, any_correct, correct, count_correct, evaluator
from keras_imagenet.preset import Preset


def test_of_equal_logits_the_lower_index_comes_first() -> None:
    """A network that answers the same for every class has top-1 1 / classes, not 1."""
    labels = tf.range(6)
    assert correct(labels, tf.zeros([6, 6]), 1).numpy().tolist() == [1, 0, 0, 0, 0, 0]
    assert correct(labels, tf.zeros([6, 6]), 5).numpy().tolist() == [1, 1, 1, 1, 1, 0]


def test_logits_that_are_not_finite_are_wrong() -> None:
    assert correct(tf.constant([0]), tf.constant([[float("nan"), 0.0]]), 5).numpy().tolist() == [0]


def test_top_k_agrees_with_a_sort() -> None:
    random = np.random.default_rng(0)
    logits, labels = random.normal(size=(200, 10)).astype(np.float32), random.integers(0, 10, 200)
    ranked = np.argsort(-logits, axis=1)
    for k in (1, 5):
        wanted = [label in row[:k] for label, row in zip(labels, ranked, strict=True)]
        assert correct(tf.constant(labels, tf.int32), tf.constant(logits), k).numpy().tolist() == wanted


def test_rows_of_weight_0_count_for_nothing_even_where_they_are_not_finite() -> None:
    labels, weights = tf.constant([1, 0, 1]), tf.constant([1.0, 1.0, 0.0])
    logits = tf.constant([[0.0, 2.0], [0.0, 1.0], [float("nan"), 0.0]])
    metrics = Metrics.from_sums(count_correct(labels, logits, weights).numpy())
    assert (metrics.top1, metrics.top5, metrics.examples) == (0.5, 1.0, 2)
    assert abs(metrics.loss - (np.log1p(np.exp(-2)) + np.log1p(np.exp(1))) / 2) < 1e-6


def test_batches_are_added_up_without_their_padding() -> None:
    """The same examples in one batch and in padded ones; the network answers with its three pixels. Measured twice."""
    images = keras.Input((1, 3, 1))
    network = keras.Model(images, keras.layers.Flatten()(images))
    preset = Preset(size=(1, 3), channels=1, mean=(0.0,), std=(1 / 255,))
    measure = evaluator(network, preset, tf.distribute.get_strategy(), present=np.array([True, True, False]))
    random = np.random.default_rng(0)
    pixels, labels = random.integers(0, 9, (10, 1, 3, 1)).astype(np.uint8), random.integers(0, 2, 10).astype(np.int32)

    def batches(size: int):
        for first in range(0, 10, size):
            rows = np.arange(first, first + size)
            weights = (rows < 10).astype(np.float32)
            yield {"images": pixels[rows % 10], "labels": labels[rows % 10], "weights": weights}

    whole, confusion = measure(batches(10))
    assert whole.examples == confusion.sum() == 10
    assert whole.top1 == np.trace(confusion) / 10
    assert whole.among_present.top1 == np.mean(pixels[:, 0, :2, 0].argmax(axis=1) == labels)
    for size in (4, 7):
        metrics, counted = measure(batches(size))
        assert np.array_equal(counted, confusion)
        assert (metrics.top1, metrics.top5, metrics.examples) == (whole.top1, whole.top5, whole.examples)
        np.testing.assert_allclose(metrics.loss, whole.loss, rtol=1e-6)


def test_any_of_several_labels_is_right() -> None:
    """As the best of correct over the labels, ties, missing labels and networks of fewer than 5 classes included."""
    random = np.random.default_rng(0)
    for classes in (3, 10):
        logits = tf.constant(random.integers(0, 4, (300, classes)), tf.float32)
        answers = random.integers(-1, classes, (300, 3)).astype(np.int32)
        for k in (1, 5):
            each = [correct(tf.maximum(column, 0), logits, k).numpy() * (column >= 0) for column in answers.T]
            assert np.array_equal(any_correct(tf.constant(answers), logits, k), np.max(each, axis=0))
    assert any_correct(tf.constant([[0, 1]]), tf.fill([1, 3], float("nan")), 5).numpy().tolist() == [0]
