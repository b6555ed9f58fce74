"""A run is a function of settings, data and seed: not of replicas, threads, or how often it was killed."""

import csv
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

SHORT = ("fit", "--train.epochs", "6", "--train.checkpoint_steps", "10")


def weights(run: Path) -> list[np.ndarray]:
    return [variable.numpy() for variable in keras.saving.load_model(run / "model.keras").weights]


TIMES = {"seconds", "images_per_second", "epoch_seconds", "compiling_seconds", "compiling_examples"}


def timeless(value: Mapping[str, Any]) -> dict[str, Any]:
    return {name: kept for name, kept in value.items() if name not in TIMES}


def history(run: Path) -> list[dict[str, Any]]:
    """Rows of history.csv but for their times."""
    with (run / "history.csv").open(newline="") as stream:
        return [timeless(row) for row in csv.DictReader(stream)]


def assert_same_bits(one: Path, other: Path) -> None:
    """Weights, optimizer, dropout's seeds, sums and rows of the last checkpoint; history.csv; model.keras."""
    ours, theirs = (np.load(max(run.glob("checkpoints/step-*.npz"))) for run in (one, other))
    assert ours.files == theirs.files
    for name in set(ours.files) - {"counted"}:
        np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)
    counted, wanted = (timeless(json.loads(arrays["counted"].tobytes())) for arrays in (ours, theirs))
    counted["rows"], wanted["rows"] = ([timeless(row) for row in found["rows"]] for found in (counted, wanted))
    assert counted == wanted
    assert history(one) == history(other)
    for value, known in zip(weights(one), weights(other), strict=True):
        np.testing.assert_array_equal(value, known)


def test_one_seed_gives_one_set_of_weights_whatever_the_reading_threads(
    command, digits_run: Path, tmp_path: Path
) -> None:
    """pytorch/vision#5593, tensorflow/tensorflow#38197: results that differ under one seed."""
    done = command(*SHORT, "--runtime.run_folder", tmp_path / "again", "--runtime.threads", "4")
    assert done.returncode == 0, done.stderr
    assert_same_bits(digits_run, tmp_path / "again")


def test_another_seed_gives_other_weights(command, digits_run: Path, tmp_path: Path) -> None:
    done = command("fit", "--train.steps", "5", "--runtime.seed", "1", "--runtime.run_folder", tmp_path / "other")
    assert done.returncode == 0, done.stderr
    assert not np.array_equal(weights(digits_run)[0], weights(tmp_path / "other")[0])


@pytest.mark.parametrize(
    "number",
    [
        pytest.param(signal.SIGKILL, id="SIGKILL"),
        pytest.param(signal.SIGTERM, id="SIGTERM", marks=pytest.mark.slow),
        pytest.param(signal.SIGINT, id="SIGINT", marks=pytest.mark.slow),
    ],
)
def test_an_interrupted_run_goes_on_to_the_same_bits(
    command, digits_run: Path, tmp_path: Path, number: signal.Signals
) -> None:
    """keras-team/keras#22010: how to continue from the middle of an epoch. Dropout masks and history included."""
    run = tmp_path / "interrupted"
    words = [*SHORT, "--runtime.run_folder", str(run)]
    status, complaint = interrupt([sys.executable, "-m", "keras_imagenet", *words], run, number)
    assert status == {"SIGKILL": -9, "SIGTERM": 143, "SIGINT": 130}[number.name]
    if number is not signal.SIGKILL:
        assert "its state is saved" in complaint
        words = complaint.partition("To go on: keras-imagenet ")[2].split()
    assert not (run / "metrics.json").exists()
    resumed = command(*words)
    assert resumed.returncode == 0, resumed.stderr
    assert "going on from step" in resumed.stdout
    assert_same_bits(digits_run, run)


@pytest.mark.slow
def test_a_killed_run_that_draws_in_every_way_goes_on_to_the_same_bits(command, tmp_path: Path) -> None:
    """Repeated and balanced draws, weighted classes, augmented views with their own loss; an average, and a plateau's rates."""
    drawing = ("--train.repeats", "4", "--train.balance", "0.7", "--loss.class_weights", "{3: 2}")
    drawing += ("--augment.augmix", "{consistency: 12}", "--train.steps", "60", "--train.checkpoint_steps", "7")
    drawing += ("--average.name", "tensorflow", "--average.decay", "0.99", "--train.keep", "best_average")
    drawing += ("--schedule.name", "plateau", "--schedule.patience", "0", "--schedule.threshold", "0.5")
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    done = command("fit", *drawing, "--runtime.run_folder", whole)
    assert done.returncode == 0, done.stderr
    words = ["fit", *drawing, "--runtime.run_folder", str(killed)]
    status, _ = interrupt([sys.executable, "-m", "keras_imagenet", *words], killed, signal.SIGKILL)
    assert status == -9
    resumed = command(*words)
    assert resumed.returncode == 0, resumed.stderr
    assert "going on from step" in resumed.stdout
    assert_same_bits(whole, killed)


@pytest.fixture(scope="module")
def all_drawn(command, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], Path]:
    """Flags of a run with dropout, stochastic depth, augmentation, mixing and an average, and such a run that nothing disturbed."""
    words = ["--model.name", "mobilenet_v3_small", "--model.stochastic_depth", "0.2", "--model.dropout", "0.3"]
    words += ["--data.size", "32", "--augment.pad_crop", "2", "--augment.rand_augment", "{count: 1, magnitude: 5}"]
    words += ["--augment.mixing.mixup", "0.2", "--augment.mixing.cutmix", "1", "--average.name", "tensorflow"]
    words += ["--train.steps", "70", "--train.checkpoint_steps", "3", "--train.keep", "average"]
    run = tmp_path_factory.mktemp("all_drawn") / "whole"
    done = command("fit", *words, "--runtime.run_folder", run)
    assert done.returncode == 0, done.stderr
    return words, run


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(16))
def test_a_run_killed_at_any_moment_goes_on_to_the_same_bits(
    command, all_drawn: tuple[list[str], Path], tmp_path: Path, seed: int
) -> None:
    """Within steps, while a checkpoint is written, at an epoch's end; now and then a second time."""
    flags, whole = all_drawn
    words, chance = ["fit", *flags, "--runtime.run_folder", str(tmp_path / "killed")], random.Random(seed)
    for _ in range(chance.choice([1, 1, 2])):
        status, complaint = interrupt(
            [sys.executable, "-m", "keras_imagenet", *words], tmp_path / "killed", signal.SIGKILL, 5 * chance.random()
        )
        assert status == -9, complaint
    resumed = command(*words)
    assert resumed.returncode == 0, resumed.stderr
    assert "going on from step" in resumed.stdout
    assert_same_bits(whole, tmp_path / "killed")


@pytest.mark.slow
def test_two_replicas_with_batch_norm_go_on_to_the_same_bits_after_a_kill(command, tmp_path: Path) -> None:
    """Plain batch norm: each replica normalises by its own rows, and both keep the statistics that both found."""
    words = ["--model.name", "cifar_net", "--data.size", "16", "--train.steps", "30", "--train.checkpoint_steps", "4"]
    words += ["--runtime.logical_cpus", "2"]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    done = command("fit", *words, "--runtime.run_folder", whole)
    assert done.returncode == 0, done.stderr
    again = [sys.executable, "-m", "keras_imagenet", "fit", *words, "--runtime.run_folder", str(killed)]
    status, _ = interrupt(again, killed, signal.SIGKILL)
    assert status == -9
    resumed = subprocess.run(again, capture_output=True, text=True, timeout=300)
    assert resumed.returncode == 0, resumed.stderr
    assert "going on from step" in resumed.stdout
    assert_same_bits(whole, killed)
    measured = command("evaluate", killed, "--json")
    found, wanted = json.loads(measured.stdout), json.loads((whole / "metrics.json").read_text())
    assert found == {name: wanted[name] for name in found}


def interrupt(words: list[str], run: Path, number: signal.Signals, later: float = 0.0) -> tuple[int, str]:
    """Send a run a signal so many seconds after its next checkpoint: its exit status, and what it said on standard error."""
    known = {*run.glob("checkpoints/step-*.npz")}
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while known >= {*run.glob("checkpoints/step-*.npz")} and process.poll() is None:
        time.sleep(0.005)
    time.sleep(later)
    os.kill(process.pid, number)
    _, complaint = process.communicate(timeout=120)
    return process.returncode, complaint


def test_two_replicas_give_the_weights_of_one_from_the_start_or_from_the_middle(command, tmp_path: Path) -> None:
    """20 steps of SGD with momentum, decay and clipping, without dropout: equal up to rounding of float32 sums.

    The third run has one replica for ten steps and goes on with two.
    """
    words = ("fit", "--train.steps", "20", "--train.checkpoint_steps", "10", "--train.clip_norm", "1")
    words += ("--model.dropout", "0", "--optimizer.name", "sgd", "--optimizer.weight_decay", "1e-4")
    words += ("--optimizer.learning_rate", "0.02")
    for replicas, name in ((1, "one"), (2, "two"), (2, "both")):
        run = tmp_path / name
        if name == "both":
            shutil.copytree(tmp_path / "one", run)
            for file in ("metrics.json", "model.keras", "checkpoints/step-00000020.npz"):
                (run / file).unlink()
        done = command(*words, "--runtime.logical_cpus", str(replicas), "--runtime.run_folder", run)
        assert done.returncode == 0, done.stderr
        assert f"on each of {replicas} replica(s)" in done.stdout
        assert ("going on from step 10" in done.stdout) == (name == "both")
    one, *others = (weights(tmp_path / name) for name in ("one", "two", "both"))
    for other in others:
        for value, wanted in zip(other, one, strict=True):
            assert np.max(np.abs(value - wanted)) <= 1e-5 * np.max(np.abs(wanted))


DROPPED = """
from keras_imagenet import runtime
from keras_imagenet.settings import RuntimeSettings, SGDSettings
strategy = runtime.start(RuntimeSettings(logical_cpus=2), None)
import keras, numpy as np, tensorflow as tf
from keras_imagenet.preset import Preset
from keras_imagenet.training import objectives, optimizers, state as states, step
with strategy.scope():
    images = keras.Input((8, 8, 1))
    features = keras.layers.Dropout(0.5)(keras.layers.Flatten()(images))
    network = keras.Model(images, keras.layers.Dense(2, use_bias=False, kernel_initializer="zeros")(features))
    optimizer = optimizers.build(SGDSettings(momentum=0.0), network.trainable_variables)
    state = states.start(network, optimizer, "float32")
objective = objectives.Objective(Preset(size=(8, 8), channels=1, mean=(0.0,), std=(1.0,)), 2)
one_step = step.build(state, objective, optimizer, strategy, step.Plan(2))
rows = {"images": tf.fill([2, 8, 8, 1], 255), "labels": tf.zeros([2], tf.int32), "weights": tf.ones([2])}
parts = strategy.distribute_datasets_from_function(lambda _: tf.data.Dataset.from_tensor_slices(rows).batch(1, True))
one_step(next(iter(parts)), tf.constant(1.0, tf.float64), tf.constant(0, tf.int64))
kernel = states.first_copy(network.trainable_variables[0].value)[:, 0]
print(((kernel > 0) & (kernel < kernel.max())).mean())
"""
"""One step on two replicas, of one white image each. A weight moves by twice the half of its unit's pixel for each replica
that keeps the unit, so where masks differ, half as far as where both keep it."""


def test_replicas_drop_different_units(python) -> None:
    """Plain Keras gives every replica of a MirroredStrategy the same dropout mask."""
    done = python(DROPPED)
    assert done.returncode == 0, done.stderr
    assert 0.2 < float(done.stdout) < 0.8
