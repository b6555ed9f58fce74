"""Counting: ties, padding and batch sizes; and evaluation at another size than training's."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_imagenet.cli import main
from keras_imagenet.data.sources import Source
from keras_imagenet.evaluation import (
    Answers,
    Metrics,
    any_correct,
    correct,
    count_correct,
    evaluator,
    measure_source,
    present_classes,
)
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


def test_answers_are_the_same_by_any_batches_on_any_replicas(python, tmp_path: Path) -> None:
    """A row an example in the data's order, without the padding of the last batch."""
    program = """
import sys
import numpy as np
from keras_imagenet import recipes, runtime
from keras_imagenet.data import sources
settings = recipes.load(None, [("runtime.logical_cpus", "3")])
strategy = runtime.start(settings.runtime, None)
import keras, tensorflow as tf
from keras_imagenet.evaluation import measure_source
from keras_imagenet.preset import Preset

source = sources.open_source(settings.data.source).validation
found = []
for where, batch_size in ((tf.distribute.OneDeviceStrategy("CPU:0"), 362), (strategy, 48)):
    keras.utils.set_random_seed(0)
    with where.scope():
        images = keras.Input((8, 8, 1))
        network = keras.Model(images, keras.layers.Dense(10)(keras.layers.Flatten()(images)))
    preset = Preset(size=(8, 8), channels=1, mean=(0.5,), std=(0.5,))
    metrics, answers, _ = measure_source(
        network, preset, source, where, batch_size=batch_size, threads=2, report=print
    )
    assert np.isclose(answers.right.mean(), metrics.top1), metrics
    assert np.isclose(-np.log(answers.label_probabilities).mean(), metrics.loss, 1e-5)
    assert np.array_equal(answers.right, answers.answers == source.labels)
    found.append(answers)
one, three = found
assert len(one.answers) == 362 and np.array_equal(one.answers, three.answers)
np.testing.assert_allclose(one.probabilities, three.probabilities, 1e-5)
"""
    done = python(program, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


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


@pytest.fixture(scope="module")
def larger(tmp_path_factory) -> Path:
    """A run trained at 16 pixels and measured at 24, of a network whose weights fit any size."""
    run = tmp_path_factory.mktemp("larger") / "run"
    words = ["--model.name", "cifar_net", "--model.dropout", "0", "--data.size", "16", "--data.evaluation_size", "24"]
    words += ["--train.steps", "4", "--data.source.validation_fraction", "0.1", "--runtime.run_folder", str(run)]
    assert main(["fit", *words]) == 0
    return run


def test_a_run_is_measured_and_served_at_evaluation_s_size(larger: Path, tmp_path: Path, capsys) -> None:
    network = keras.saving.load_model(larger / "model.keras", compile=False, safe_mode=True)
    assert network.input_shape == (None, 24, 24, 1)
    metrics = json.loads((larger / "metrics.json").read_text())
    assert main(["evaluate", str(larger), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found == {name: metrics[name] for name in found}
    assert main(["predict", str(larger), str(larger / "example.png"), "--json"]) == 0
    (answer,) = json.loads(capsys.readouterr().out)["images"]
    assert len(answer["predictions"]) == 5
    assert main(["export", str(larger), "--output", str(tmp_path / "served"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["largest_difference"] < 1e-6


def test_weights_that_depend_on_the_size_are_refused(tmp_path: Path, capsys) -> None:
    flags = ["--data.size", "8", "--data.evaluation_size", "12", "--runtime.run_folder", str(tmp_path / "run")]
    assert main(["fit", *flags]) == 2
    complaint = capsys.readouterr().err
    assert "data.evaluation_size: simple_cnn's weights depend on the size of its images" in complaint
    assert complaint.count("\n") == 1
    assert not (tmp_path / "run").exists()


def answers_of_label(classes: int) -> keras.Model:
    """A network on single pixels: it answers black with class 0, white with class 1."""
    images = keras.Input((1, 1, 1))
    kernel = np.zeros((1, classes), np.float32)
    kernel[0, :2] = -1, 1
    logits = keras.layers.Dense(classes, use_bias=False)
    network = keras.Model(images, logits(keras.layers.Flatten()(images)))
    logits.kernel.assign(kernel)
    return network


def batches_of(labels: list[int], pixels: list[int], rows: int) -> list[dict[str, tf.Tensor]]:
    """Batches of so many rows, the last padded with rows of weight 0."""
    padding = -len(labels) % rows
    images = np.array([*pixels, *[0] * padding], np.uint8).reshape(-1, rows, 1, 1, 1)
    labels = np.array([*labels, *[0] * padding], np.int32).reshape(-1, rows)
    weights = np.array([1] * (labels.size - padding) + [0] * padding, np.float32).reshape(-1, rows)
    return [
        {"images": tf.constant(i), "labels": tf.constant(k), "weights": tf.constant(w)}
        for i, k, w in zip(images, labels, weights, strict=True)
    ]


@pytest.mark.parametrize("rows", [1, 2, 3, 5])
def test_batch_sizes_change_nothing_and_measuring_again_starts_anew(rows: int) -> None:
    """White pixels are answered with class 1, black ones with 0."""
    preset = Preset(size=(1, 1), channels=1, mean=(0.5,), std=(0.5,))
    measure = evaluator(answers_of_label(2), preset, tf.distribute.get_strategy())
    for _ in range(2):
        metrics, confusion = measure(batches_of([0, 1, 1, 0], [0, 255, 0, 255], rows))
        assert (metrics.top1, metrics.examples) == (0.5, 4)
        assert confusion.tolist() == [[1, 1], [1, 1]]


def source_of(labels: list[int], pixels: list[int], classes: int, answers: list[list[int]] | None = None) -> Source:
    """Single grey pixels; where there are answers, they count as right instead of the label."""
    names = tuple(f"class{number}" for number in range(classes))
    images = tf.reshape(tf.constant(pixels, tf.uint8), (-1, 1, 1, 1))
    return Source(
        classes=names,
        class_names=names,
        labels=np.array(labels, np.int32),
        names=[f"{number}.png" for number in range(len(labels))],
        fingerprint="",
        read=lambda index: tf.gather(images, index),
        answers=None if answers is None else np.array(answers, np.int32),
    )


def test_a_source_is_measured_among_all_classes_and_among_those_that_occur() -> None:
    """White pixels are answered with class 1, black ones with 0; in batches of 2 the last is half padding."""
    preset, reached = Preset(size=(1, 1), channels=1, mean=(0.5,), std=(0.5,)), []
    network, here = answers_of_label(3), tf.distribute.get_strategy()
    options = {"batch_size": 2, "threads": 1, "report": pytest.fail, "reached": reached.append}
    source = source_of([0, 0, 2, 2, 0], [0, 255, 255, 0, 0], 3)
    metrics, answers, unreadable = measure_source(network, preset, source, here, **options)
    assert (metrics.top1, metrics.top5, metrics.examples, unreadable) == (2 / 5, 1.0, 5, {})
    assert metrics.among_present.top1 == 3 / 5  # the second white pixel: of 0 and 2, its logits are -1 and 0
    assert reached == [0, 2, 4]
    assert answers.answers.tolist() == [0, 1, 1, 0, 0]
    assert answers.right.tolist() == [True, False, False, False, True]
    logits = np.array([[1, -1, 0], [-1, 1, 0], [-1, 1, 0], [1, -1, 0], [1, -1, 0]])
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(answers.probabilities, shares.max(axis=1), rtol=1e-6)
    np.testing.assert_allclose(answers.label_probabilities, shares[np.arange(5), source.labels], rtol=1e-6)
    assert metrics.loss == pytest.approx(-np.log(answers.label_probabilities).mean(), rel=1e-6)


def test_an_unreadable_example_is_not_right_even_where_it_has_fewer_labels_than_others() -> None:
    """Both are written as -1."""
    rows = [np.array([[1, 0.9, 0.1, 1], [0, 0.8, 0.8, 1]], np.float32), np.array([[2, 0.7, 0.2, 0]] * 2, np.float32)]
    answers = Answers.of_rows(source_of([0, 1, 2], [0] * 3, 3, [[0, 1], [2, -1], [2, -1]]), rows)
    assert answers.answers.tolist() == [1, 0, -1]
    assert answers.right.tolist() == [True, False, False]


def test_classes_occur_as_labels_or_among_several_answers() -> None:
    assert present_classes(source_of([0, 2], [0, 0], 3)).tolist() == [True, False, True]
    assert present_classes(source_of([0, 2], [0, 0], 4, [[0, 1], [2, -1]])).tolist() == [True, True, True, False]
    assert present_classes(source_of([0, 1, 2], [0] * 3, 3)) is None


def test_metrics_of_nothing_are_not_numbers_and_are_written_by_name() -> None:
    nothing = Metrics.from_sums(np.zeros(4))
    assert nothing.examples == 0
    assert np.isnan([nothing.loss, nothing.top1, nothing.top5]).all()
    part = Metrics(1.0, 0.5, 1.0, 2)
    assert part.as_dict() == {"loss": 1.0, "top1": 0.5, "top5": 1.0, "examples": 2}
    assert Metrics(2.0, 0.25, 0.5, 2, part).as_dict()["among_present"] == part.as_dict()


def test_no_matrix_is_counted_of_so_many_classes_that_it_would_fill_the_memory() -> None:
    """ImageNet-21k's would take 3.6 GB."""
    preset = Preset(size=(1, 1), channels=1, mean=(0.5,), std=(0.5,))
    measure = evaluator(answers_of_label(21_841), preset, tf.distribute.get_strategy())
    metrics, confusion = measure(batches_of([0, 1], [0, 255], 2))
    assert (metrics.top1, confusion) == (1.0, None)


def test_another_size_than_the_network_s_names_the_setting_that_asked_for_it(command, digits_run) -> None:
    for setting in ("data.size", "data.evaluation_size"):
        done = command("evaluate", digits_run, f"--{setting}", "16")
        assert (done.returncode, done.stderr) == (2, f"keras-imagenet: {setting}: {digits_run} takes images of 8x8x1\n")
