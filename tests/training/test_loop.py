"""The loop: epochs and their rows, rates, the best weights, patience, and how deep it lies below the command."""

import csv
import json
import os
import re
import signal
import time
import traceback
from pathlib import Path

import keras
import numpy as np
import pytest
from sklearn.datasets import load_digits

import keras_imagenet
from keras_imagenet import api, recipes
from keras_imagenet.cli import main
from keras_imagenet.errors import Interrupted
from keras_imagenet.models import registry


def fit(run: Path, *words: str) -> list[dict[str, float]]:
    """Train in this process; the rows of history.csv."""
    assert main(["fit", *words, "--runtime.run_folder", str(run)]) == 0
    return history(run)


def history(run: Path) -> list[dict[str, float]]:
    with (run / "history.csv").open(newline="") as stream:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(stream)]


def test_a_batch_larger_than_the_data(tmp_path: Path) -> None:
    """Four epochs of 1,435 digits in batches of 2,048 are three steps: each has its row, and the last is the fourth's."""
    rows = fit(tmp_path / "run", "--train.batch_size", "2048", "--train.epochs", "4")
    assert [(row["epoch"], row["step"], row["examples"]) for row in rows] == [(1, 1, 2048), (2, 2, 2048), (4, 3, 2048)]
    assert all(np.isfinite(value) for row in rows for value in row.values())
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert (metrics["epochs"], metrics["steps"], metrics["examples"]) == (3, 3, 362)


class Clock(keras.callbacks.Callback):
    """Times each step by itself, and sends this process a signal after the last of so many."""

    def __init__(self, stop_after: int | None) -> None:
        super().__init__()
        self.stop_after, self.seconds = stop_after, []

    def on_train_batch_begin(self, batch: int, logs=None) -> None:
        self.begun = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs=None) -> None:
        self.seconds.append(time.perf_counter() - self.begun)
        if len(self.seconds) == self.stop_after:
            os.kill(os.getpid(), signal.SIGTERM)


def test_a_resumed_epoch_s_rate_is_of_all_its_steps_but_those_that_compiled(tmp_path: Path) -> None:
    """Interrupted after three quarters: two processes' examples over two processes' seconds."""
    words = [("train.epochs", "1"), ("train.batch_size", "32"), ("runtime.run_folder", str(tmp_path / "run"))]
    before, after = Clock(stop_after=33), Clock(stop_after=None)
    with pytest.raises(Interrupted, match="interrupted at step 33; its state is saved"):
        api.fit(recipes.load(recipes.DEFAULT_RECIPE, words), callbacks=[before])
    api.fit(recipes.load(recipes.DEFAULT_RECIPE, words), callbacks=[after])
    (row,) = history(tmp_path / "run")
    assert row["examples"] == 32 * (len(before.seconds) + len(after.seconds)) == 45 * 32
    rate = (row["examples"] - 64) / sum(before.seconds[1:] + after.seconds[1:])
    # The callback's seconds hold a little more than the step.
    assert rate < 1.01 * row["images_per_second"] < 2 * rate
    assert row["seconds"] == pytest.approx(sum(before.seconds + after.seconds), rel=0.2)


@pytest.mark.parametrize("words", [("keep", "best"), ("patience", "2")])
def test_what_compares_validations_is_refused_without_one(words: tuple[str, str], tmp_path: Path, capsys) -> None:
    key, value = words
    flags = ["--data.source.validation_fraction", "null", f"--train.{key}", value]
    assert main(["fit", *flags, "--runtime.run_folder", str(tmp_path / "run")]) == 2
    complaint = capsys.readouterr().err
    assert f"train.{key}" in complaint
    assert "the data has no validation split; hold examples out with data.source.validation_fraction" in complaint
    assert complaint.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_patience_ends_the_run(tmp_path: Path) -> None:
    """At a rate too small to change any weight no epoch is better than the first."""
    words = ("--optimizer.learning_rate", "1e-30", "--train.patience", "2", "--train.epochs", "6")
    rows = fit(tmp_path / "run", *words, "--train.batch_size", "256")
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    assert len({row["validation_top1"] for row in rows}) == 1
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["best"]["epoch"] == 1


def test_a_state_that_is_not_finite_is_not_saved(tmp_path: Path, capsys) -> None:
    """A step may spoil the weights by a loss that is finite still; older checkpoints stay."""
    words = ["--optimizer.name", "sgd", "--optimizer.learning_rate", "1e38", "--schedule.name", "constant"]
    words += [
        "--train.batch_size",
        "256",
        "--train.checkpoint_steps",
        "1",
        "--runtime.run_folder",
        str(tmp_path / "run"),
    ]
    assert main(["fit", *words]) == 4
    complaint = capsys.readouterr().err
    assert "no longer finite after step" in complaint
    assert complaint.count("\n") == 1
    for path in (tmp_path / "run" / "checkpoints").iterdir():
        with np.load(path) as arrays:
            assert all(np.isfinite(arrays[name]).all() for name in arrays.files), path.name


SPOILT = """
import sys
from keras_imagenet import api, recipes, runtime
settings = recipes.load(sys.argv[1], [tuple(word.split("=", 1)) for word in sys.argv[2:]])
runtime.start(settings.runtime, None)
import keras

class Spoil(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 2:
            for variable in self.model.trainable_variables:
                variable.assign(0 * variable)

api.fit(settings, callbacks=[Spoil()])
"""
"""A run whose last epoch begins with weights of 0, so that it cannot be the best."""


def test_the_best_weights_are_left_and_measured_again_to_the_digit(command, python, tmp_path: Path) -> None:
    """On two replicas, with batch norm, on some of the digits."""
    digits = load_digits()
    pixels, labels = (digits.images * 15).astype(np.uint8), digits.target
    arrays = {"x_train": pixels[:256], "y_train": labels[:256], "x_test": pixels[-128:], "y_test": labels[-128:]}
    np.savez(tmp_path / "digits.npz", **arrays)
    words = ["data.source.name=arrays", f"data.source.file={tmp_path / 'digits.npz'}", "data.size=16"]
    words += ["model.name=cifar_net", "model.dropout=0", "train.keep=best", "train.epochs=3"]
    words += ["train.evaluation_batch_size=32"]  # small, so that both have rows to measure
    words += ["runtime.logical_cpus=2", f"runtime.run_folder={tmp_path / 'run'}"]
    done = python(SPOILT, recipes.DEFAULT_RECIPE, *words)
    assert done.returncode == 0, done.stderr
    rows, metrics = history(tmp_path / "run"), json.loads((tmp_path / "run" / "metrics.json").read_text())
    best = max(rows, key=lambda row: row["validation_top1"])
    assert len(rows) == 3 != best["epoch"]
    assert metrics["best"] == {"epoch": best["epoch"], "top1": best["validation_top1"]}
    assert [metrics[name] for name in ("loss", "top1")] == [best["validation_loss"], best["validation_top1"]]
    measured = command("evaluate", tmp_path / "run", "--json")
    assert measured.returncode == 0, measured.stderr
    found = json.loads(measured.stdout)
    assert found == {name: metrics[name] for name in found}
    assert set(found) >= {"loss", "top1", "top5", "examples"}


def test_seven_functions_lie_between_the_command_and_the_gradients(tmp_path: Path) -> None:
    """As a user reads in the traceback of a layer that fails."""

    class Fails(keras.layers.Layer):
        def call(self, images, training=False):
            if training:
                raise ValueError("this layer fails")
            return images

    def build(name: str, *, input_shape: tuple[int, int, int], classes: int, dropout: float = 0.0) -> keras.Model:
        images = keras.Input(input_shape)
        return keras.Model(images, keras.layers.Dense(classes)(keras.layers.Flatten()(Fails()(images))))

    registry.register("fails", build)
    flags = ["--model.name", "fails", "--runtime.run_folder", str(tmp_path / "run"), "--debug"]
    with pytest.raises(ValueError, match="this layer fails") as raised:
        main(["fit", *flags])
    package = str(Path(keras_imagenet.__file__).parent)
    outside = [frame for frame in traceback.extract_tb(raised.tb) if frame.filename.startswith(package)]
    # What TensorFlow traces stands in its message.
    inside = re.findall(rf'File "{re.escape(package)}/(\S+)\.py", line \d+, in (\w+)', str(raised.value))
    frames = [(Path(frame.filename).relative_to(package).with_suffix("").as_posix(), frame.name) for frame in outside]
    frames = [*frames, *inside]
    frames = frames[frames.index(("cli", "fit")) : frames.index(("training/step", "forward_backward")) + 1]
    assert len(frames) <= 7, frames
