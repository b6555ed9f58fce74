"""The head that is solved on frozen features is the softmax regression that others find, and a run may end with it."""

import csv
import json

import keras
import numpy as np
import pytest
from PIL import Image
from scipy.special import softmax
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from keras_imagenet.training.probe import BALANCE, DECAY, regression


def test_the_regression_is_scikit_learns_on_standardised_features() -> None:
    """Its C weighs the sum of the losses against half the squared kernel, so C = 1 / (decay n). Frequent classes are then
    answered a little less."""
    random = np.random.default_rng(0)
    labels = random.choice(3, 200, p=[0.2, 0.3, 0.5])
    features = (random.normal(size=(3, 16))[labels] + random.normal(size=(200, 16)) * 2 + 5).astype(np.float32)
    kernel, bias = regression(features, labels, 3)
    mean, deviation = features.mean(0), features.std(0)
    theirs = LogisticRegression(C=16 / (DECAY * 200), tol=1e-8, max_iter=2000).fit(
        (features - mean) / deviation, labels
    )
    logits = features @ kernel + bias + BALANCE * np.log(np.bincount(labels) / 200)
    theirs = theirs.predict_proba((features - mean) / deviation)
    np.testing.assert_allclose(softmax(logits, axis=1), theirs, atol=2e-3)


def test_a_class_without_an_example_and_a_constant_feature_are_no_fault() -> None:
    features = np.array([[0, 1], [1, 1], [0.1, 1], [0.9, 1]], np.float32)
    kernel, bias = regression(features, np.array([0, 2, 0, 2]), 4)
    assert np.isfinite(kernel).all()
    assert (features @ kernel + bias).argmax(1).tolist() == [0, 2, 0, 2]


@pytest.fixture(scope="module")
def solved(command, digits_run, tmp_path_factory):
    """A run whose head alone is solved, on the features of another run's network."""
    folder = tmp_path_factory.mktemp("runs") / "solved"
    words = ("--model.weights", digits_run, "--model.head", "probe", "--train.epochs", "0")
    done = command("fit", *words, "--runtime.run_folder", folder)
    assert done.returncode == 0, done.stderr
    return folder, done


def test_a_run_without_an_epoch_leaves_what_any_run_leaves(solved, command) -> None:
    folder, done = solved
    metrics = json.loads((folder / "metrics.json").read_text())
    assert (metrics["epochs"], metrics["steps"], metrics["best"]["epoch"]) == (0, 0, 0)
    assert metrics["top1"] > 0.9  # of ten digits, by a head that was solved and never trained
    measured = json.loads(command("evaluate", folder, "--json").stdout)
    assert {name: measured[name] for name in ("loss", "top1", "top5")} == {
        name: metrics[name] for name in ("loss", "top1", "top5")
    }
    (row,) = csv.DictReader((folder / "history.csv").open())
    assert (row["epoch"], row["step"], float(row["validation_top1"])) == ("0", "0", metrics["top1"])
    assert (folder / "report/curves.png").stat().st_size > 0
    assert "no epoch; the head that is solved is all that is learned" in done.stdout
    assert "solved head: loss" in done.stdout


def test_the_head_that_training_starts_from_is_its_epoch_0(command, digits_run, tmp_path) -> None:
    words = ("--model.weights", digits_run, "--model.head", "probe", "--train.steps", "2", "--train.keep", "best")
    done = command("fit", *words, "--optimizer.learning_rate", "5", "--runtime.run_folder", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    head, trained = csv.DictReader((tmp_path / "run/history.csv").open())
    assert float(trained["validation_top1"]) < float(head["validation_top1"])  # at such a rate
    metrics = json.loads((tmp_path / "run/metrics.json").read_text())
    assert metrics["best"] == {"epoch": 0, "top1": float(head["validation_top1"])}
    assert metrics["top1"] == metrics["best"]["top1"]


def test_no_epoch_and_no_probe_is_one_line(command) -> None:
    done = command("fit", "--train.epochs", "0")
    assert done.returncode == 2
    assert "train.epochs = 0: trains nothing; give more, or model.head probe" in done.stderr


def test_a_class_more_leaves_all_weights_but_the_heads(command, digits_run, tmp_path) -> None:
    """Chequers join the ten digits, and are answered with the new name."""
    digits = load_digits()
    chequers = (np.indices((40, 8, 8)).sum(0) % 2 * 255).astype(np.uint8)
    images = np.concatenate([(digits.images[:600] * 15).astype(np.uint8), chequers])
    np.savez(tmp_path / "eleven.npz", x_train=images, y_train=np.append(digits.target[:600], [10] * 40))
    Image.fromarray(chequers[0]).save(tmp_path / "chequers.png")
    words = ("--config", digits_run, "--model.weights", digits_run, "--model.head", "probe", "--train.epochs", "0")
    done = command("fit", "eleven.npz", *words, "--runtime.run_folder", "eleven", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    before, after = (keras.saving.load_model(run / "model.keras").weights for run in (digits_run, tmp_path / "eleven"))
    assert [weight.path for weight, old in zip(after, before, strict=True) if not np.array_equal(weight, old)] == [
        "logits/kernel",
        "logits/bias",
    ]
    (answer,) = json.loads(command("predict", "eleven", "chequers.png", "--json", cwd=tmp_path).stdout)["images"]
    assert answer["predictions"][0]["class"] == "10"
