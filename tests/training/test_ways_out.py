"""Whatever ends a run early loses no step that was made: callbacks that fail, outputs that are closed, signals, memory."""

import io
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_imagenet import api, recipes, run_folder
from keras_imagenet.cli import main
from keras_imagenet.console import Console
from keras_imagenet.errors import Interrupted, KerasImagenetError
from keras_imagenet.models import registry
from keras_imagenet.training import checkpoints

STEPS = 3
"""Of an epoch: 1,435 digits in batches of 512."""


def fit(run: Path, *callbacks: keras.callbacks.Callback, console: Console | None = None) -> run_folder.RunFolder:
    words = [("train.batch_size", "512"), ("train.epochs", "2"), ("runtime.run_folder", str(run))]
    return api.fit(recipes.load(recipes.DEFAULT_RECIPE, words), callbacks=callbacks, console=console)


def saved(run: Path) -> tuple[int, int]:
    """Steps and rows of the last checkpoint."""
    with np.load(checkpoints.latest(run / "checkpoints")) as arrays:
        counted = json.loads(arrays["counted"].tobytes())
    return counted["step"], len(counted["rows"])


class At(keras.callbacks.Callback):
    """Does something at one hook when it comes for the n-th time, from 0."""

    def __init__(self, hook: str, n: int, act: Callable[[], Any]) -> None:
        super().__init__()
        self.left = n
        setattr(self, hook, lambda *given, **logs: self.count(act))

    def count(self, act: Callable[[], Any]) -> None:
        self.left -= 1
        if self.left == -1:
            act()


def fail() -> None:
    raise RuntimeError("a user's callback fails")


@pytest.mark.parametrize(
    ("hook", "n", "wanted"),
    [
        ("on_epoch_begin", 1, (STEPS, 1)),
        ("on_train_batch_end", 1, (2, 0)),
        ("on_test_begin", 0, (STEPS, 0)),
        ("on_epoch_end", 0, (STEPS, 1)),
    ],
)
def test_a_callback_that_fails_loses_no_step(tmp_path: Path, hook: str, n: int, wanted: tuple[int, int]) -> None:
    with pytest.raises(RuntimeError, match="a user's callback fails"):
        fit(tmp_path / "run", At(hook, n, fail))
    assert saved(tmp_path / "run") == wanted
    assert len(run_folder.RunFolder(tmp_path / "run").history) == wanted[1]


def test_an_output_that_is_closed_loses_no_epoch(tmp_path: Path) -> None:
    """`fit | head`: the line of the first epoch is not taken any more."""

    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            if text.startswith("epoch 1"):
                raise BrokenPipeError
            return super().write(text)

    with pytest.raises(KerasImagenetError, match="whoever read the output has closed it"):
        fit(tmp_path / "run", console=Console(Closed()))
    assert saved(tmp_path / "run") == (STEPS, 1)


def test_a_signal_while_validating_saves_before_the_validation_ends(tmp_path: Path, monkeypatch) -> None:
    """A machine that is taken away gives half a minute; a second Ctrl-C does not wait for the end."""
    run, replace, written = tmp_path / "run", os.replace, []

    def interrupt() -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    def replace_and_look(part: Path, path: Path) -> None:
        replace(part, path)
        if path.suffix == ".npz":
            written.append(saved(run))

    monkeypatch.setattr(os, "replace", replace_and_look)
    with pytest.raises(Interrupted, match=f"interrupted at step {STEPS}; its state is saved"):
        fit(run, At("on_test_begin", 0, interrupt))
    assert written[0] == (STEPS, 0)
    assert saved(run) == (STEPS, 1)
    with pytest.raises(Interrupted, match=r"interrupted\. To go on from the last checkpoint"):
        fit(run, At("on_test_begin", 0, lambda: [os.kill(os.getpid(), signal.SIGINT) for _ in range(2)]))
    assert saved(run) == (2 * STEPS, 1)
    assert fit(run).metrics["epochs"] == 2


def test_a_signal_after_the_last_step_is_heeded_and_the_same_command_finishes(tmp_path: Path) -> None:
    with pytest.raises(Interrupted, match=r"interrupted\. To go on: keras-imagenet fit --config"):
        fit(tmp_path / "run", At("on_train_end", 0, lambda: os.kill(os.getpid(), signal.SIGTERM)))
    assert saved(tmp_path / "run") == (2 * STEPS, 2)
    assert fit(tmp_path / "run").metrics["epochs"] == 2


def test_a_signal_before_the_first_step_leaves_nothing(tmp_path: Path, capsys) -> None:
    def build(name: str, *, input_shape: tuple[int, int, int], classes: int, dropout: float = 0.0) -> keras.Model:
        os.kill(os.getpid(), signal.SIGTERM)
        raise AssertionError("the signal ends this")

    registry.register("interrupts", build)
    assert main(["fit", "--model.name", "interrupts", "--runtime.run_folder", str(tmp_path / "run")]) == 143
    assert capsys.readouterr().err == "keras-imagenet: interrupted before the run began\n"
    assert not (tmp_path / "run").exists()
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_checkpoints_by_the_clock_the_newest_and_the_best_epochs(tmp_path: Path) -> None:
    words = [
        "--train.checkpoint_minutes",
        "1e-9",
        "--train.keep_checkpoints",
        "2",
        "--train.keep_best_checkpoints",
        "1",
    ]
    words += ["--train.batch_size", "512", "--train.epochs", "3", "--optimizer.learning_rate", "1e-30"]
    assert main(["fit", *words, "--runtime.run_folder", str(tmp_path / "run")]) == 0
    # At such a rate no epoch is better than the first.
    found = sorted(path.name for path in (tmp_path / "run" / "checkpoints").iterdir())
    assert found == ["step-00000003.npz", "step-00000008.npz", "step-00000009.npz"]


@pytest.mark.slow
def test_too_little_memory_names_the_parts_that_are_smaller(tmp_path: Path, capsys) -> None:
    class Large(keras.layers.Layer):
        def call(self, images, training=False):
            return images + tf.reduce_mean(tf.tile(images, [1, 2**20, 2**20, 1])) if training else images

    def build(name: str, *, input_shape: tuple[int, int, int], classes: int, dropout: float = 0.0) -> keras.Model:
        images = keras.Input(input_shape)
        return keras.Model(images, keras.layers.Dense(classes)(keras.layers.Flatten()(Large()(images))))

    registry.register("large", build)
    words = ["fit", "--model.name", "large", "--train.batch_size", "96", "--train.accumulate", "4"]
    for more in (["--dry_run"], ["--runtime.run_folder", str(tmp_path / "run")]):
        assert main([*words, *more]) == 4
        complaint = capsys.readouterr().err
        assert "a step of 24 examples at a time takes more memory than the device has" in complaint
        assert "train.accumulate 6 takes 16 at a time, with the same gradients" in complaint
        assert complaint.count("\n") == 1


def test_a_network_without_a_weight_that_learns_is_refused(tmp_path: Path, capsys) -> None:
    def build(name: str, *, input_shape: tuple[int, int, int], classes: int, dropout: float = 0.0) -> keras.Model:
        images = keras.Input(input_shape)
        return keras.Model(images, keras.layers.Dense(classes, trainable=False)(keras.layers.Flatten()(images)))

    registry.register("still", build)
    assert main(["fit", "--model.name", "still", "--runtime.run_folder", str(tmp_path / "run")]) == 2
    assert "model.name = still: has no weight that learns" in capsys.readouterr().err
