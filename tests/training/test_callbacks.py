"""The user's Keras callbacks: those that can be honoured are, others are refused by name before training."""

import csv
import json
import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from keras_imagenet import api, recipes, run_folder
from keras_imagenet.errors import Interrupted, SettingsError

STEPS = 6
"""Of an epoch: 1,435 digits in batches of 256, so that the first epoch's last batch reaches into the second."""
LOGS = {"loss", "top1", "top5"}
VALIDATION = {f"val_{name}" for name in LOGS}


def fit(run: Path, *callbacks: Any, epochs: int = 2, more: Mapping[str, Any] | None = None) -> run_folder.RunFolder:
    settings = {"train.batch_size": 256, "train.epochs": epochs, "runtime.run_folder": run, **(more or {})}
    words = [(name, str(value)) for name, value in settings.items()]
    return api.fit(recipes.load(recipes.DEFAULT_RECIPE, words), callbacks=callbacks)


class Diary(keras.callbacks.Callback):
    """Writes down every hook, the number it was given, and the names in its logs."""

    def __init__(self) -> None:
        super().__init__()
        self.pages: list[tuple[str, int | None, dict[str, float]]] = []


def _written(hook: str):
    def write(self: Diary, *given: Any, logs: dict[str, float] | None = None) -> None:
        numbers, mappings = [g for g in given if isinstance(g, int)], [g for g in given if isinstance(g, dict)]
        self.pages.append((hook, next(iter(numbers), None), dict(logs or next(iter(mappings), {}))))

    return write


for moment in ("train", "test", "epoch", "train_batch"):
    for side in ("begin", "end"):
        setattr(Diary, f"on_{moment}_{side}", _written(f"{moment}_{side}"))


def test_every_hook_comes_in_keras_order_with_its_logs(tmp_path: Path) -> None:
    """Epochs from 0, batches from 0 in each epoch, as in Keras' fit."""
    diary = Diary()
    folder = fit(tmp_path / "run", diary)

    def epoch(number: int, batches: int) -> Sequence[tuple[str, int | None]]:
        steps = [(f"train_batch_{side}", batch) for batch in range(batches) for side in ("begin", "end")]
        return [("epoch_begin", number), *steps, ("test_begin", None), ("test_end", None), ("epoch_end", number)]

    wanted = [("train_begin", None), *epoch(0, STEPS), *epoch(1, STEPS), ("train_end", None)]
    assert [(hook, number) for hook, number, _ in diary.pages] == wanted
    names = {"train_batch_end": LOGS, "test_end": LOGS, "epoch_end": LOGS | VALIDATION | {"learning_rate"}}
    for hook, _, logs in diary.pages:
        assert set(logs) == (names["epoch_end"] if hook == "train_end" else names.get(hook, set())), hook
        assert all(isinstance(value, float) and np.isfinite(value) for value in logs.values())
    for row, logs in zip(folder.history, [logs for hook, _, logs in diary.pages if hook == "epoch_end"], strict=True):
        assert logs["learning_rate"] == float(row["learning_rate"])
        assert [logs[name] for name in sorted(LOGS)] == [float(row[name]) for name in sorted(LOGS)]
        assert [logs[f"val_{name}"] for name in sorted(LOGS)] == [
            float(row[f"validation_{name}"]) for name in sorted(LOGS)
        ]


def test_without_validation_no_test_hook_comes(tmp_path: Path) -> None:
    """Keras' list of callbacks fails where a test ends that never began."""
    diary = Diary()
    folder = fit(tmp_path / "run", diary, epochs=1, more={"data.source.validation_fraction": "null"})
    assert folder.metrics["steps"] == len([hook for hook, _, _ in diary.pages if hook == "train_batch_end"])
    assert {hook.partition("_")[0] for hook, _, _ in diary.pages} == {"train", "epoch"}
    assert diary.pages[-2][0] == "epoch_end"
    assert set(diary.pages[-2][2]) == LOGS | {"learning_rate"}


class Stop(keras.callbacks.Callback):
    """Sets stop_training at one hook, when it is given one number."""

    def __init__(self, hook: str, number: int) -> None:
        super().__init__()
        setattr(self, hook, lambda index, logs=None: setattr(self.model, "stop_training", index == number))


@pytest.mark.parametrize(("hook", "number", "steps"), [("on_epoch_end", 1, 12), ("on_train_batch_end", 3, 4)])
def test_stop_training_ends_the_run_which_is_finished_then(tmp_path: Path, hook: str, number: int, steps: int) -> None:
    folder = fit(tmp_path / "run", Stop(hook, number), epochs=5)
    assert folder.metrics["steps"] == int(folder.history[-1]["step"]) == steps
    assert folder.metrics["epochs"] == len(folder.history) == -(-steps // STEPS)
    assert folder.model_file.exists()
    assert fit(tmp_path / "run", epochs=5).metrics["steps"] == steps


class Signal(keras.callbacks.Callback):
    """Sends this process a signal at one hook, and asks for the end of the run there if it is to."""

    def __init__(self, hook: str, number: signal.Signals, *, stop: bool = False) -> None:
        super().__init__()
        setattr(self, hook, lambda *given, **logs: self.send(number, stop))

    def send(self, number: signal.Signals, stop: bool) -> None:
        self.model.stop_training |= stop
        os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_in_the_step_that_ends_the_run_loses_no_row(tmp_path: Path, number: signal.Signals) -> None:
    """stop_training and a signal at once: what goes on measures and writes the epoch that ended early, and trains no more."""
    with pytest.raises(Interrupted, match="interrupted at step 1; its state is saved"):
        fit(tmp_path / "run", Signal("on_train_batch_end", number, stop=True))
    folder = fit(tmp_path / "run")
    assert [(row["epoch"], row["step"], row["examples"]) for row in folder.history] == [("1", "1", "256")]
    assert folder.metrics["loss"] == float(folder.history[0]["validation_loss"])


@pytest.mark.parametrize("epochs", [1, 2])
def test_a_signal_while_validating_ends_the_run_after_the_epoch(tmp_path: Path, epochs: int) -> None:
    """The last epoch's, too: the run is not finished before the same command comes again."""
    with pytest.raises(Interrupted, match=f"interrupted at step {STEPS}; its state is saved. To go on: keras-imagenet"):
        fit(tmp_path / "run", Signal("on_test_begin", signal.SIGINT), epochs=epochs)
    assert len(run_folder.RunFolder(tmp_path / "run").history) == 1
    assert fit(tmp_path / "run", epochs=epochs).metrics["epochs"] == epochs


def test_a_signal_that_is_ignored_stays_ignored(tmp_path: Path) -> None:
    """As nohup has SIGHUP: the run outlives its terminal."""
    kept = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        folder = fit(tmp_path / "run", Signal("on_train_batch_end", signal.SIGHUP), epochs=1)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, kept)
    assert folder.metrics["steps"] == STEPS


class Interrupt(keras.callbacks.Callback):
    """Ctrl-C for the second time, which ends at once."""

    def on_epoch_begin(self, epoch: int, logs=None) -> None:
        raise KeyboardInterrupt


def test_what_ends_at_once_names_the_command_that_goes_on(tmp_path: Path) -> None:
    with pytest.raises(Interrupted, match=r"interrupted\. To go on from the last checkpoint") as raised:
        fit(tmp_path / "run", Interrupt())
    assert raised.value.exit_code == 130


class Spoil(keras.callbacks.Callback):
    """Sets the weights to 0 before the second epoch."""

    def on_epoch_begin(self, epoch: int, logs=None) -> None:
        if epoch == 1:
            self.model.set_weights([0 * value for value in self.model.get_weights()])


def test_keras_own_stop_save_and_write(tmp_path: Path) -> None:
    """EarlyStopping puts the first epoch's weights back, and those are what the run leaves and measures."""
    folder = fit(
        tmp_path / "run",
        Spoil(),
        keras.callbacks.EarlyStopping(monitor="val_loss", patience=1, restore_best_weights=True),
        keras.callbacks.CSVLogger(str(tmp_path / "log.csv")),
        keras.callbacks.TensorBoard(str(tmp_path / "tensorboard")),
        keras.callbacks.ModelCheckpoint(str(tmp_path / "epoch-{epoch}.keras")),
        epochs=5,
    )
    rows = folder.history
    assert [row["epoch"] for row in rows] == ["1", "2"]
    with (tmp_path / "log.csv").open(newline="") as stream:
        logged = list(csv.DictReader(stream))
    assert [row["epoch"] for row in logged] == ["0", "1"]
    assert [row["val_loss"] for row in logged] == [row["validation_loss"] for row in rows]
    kept, first = (keras.saving.load_model(path) for path in (folder.model_file, tmp_path / "epoch-1.keras"))
    for one, other in zip(kept.get_weights(), first.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert (tmp_path / "epoch-2.keras").exists()
    assert {path.name for path in (tmp_path / "tensorboard").iterdir()} == {"train", "validation"}
    assert json.loads(folder.metrics_file.read_text())["loss"] == float(rows[0]["validation_loss"])


class Mine(keras.callbacks.ReduceLROnPlateau):
    """A user's own of a kind that is refused."""


@pytest.mark.parametrize(
    ("refused", "wanted"),
    [
        (
            lambda: keras.callbacks.LearningRateScheduler(lambda epoch: 0.1),
            "LearningRateScheduler does nothing here: sched",
        ),
        (keras.callbacks.ReduceLROnPlateau, "ReduceLROnPlateau does nothing here: schedule"),
        (Mine, "ReduceLROnPlateau does nothing here: schedule"),
        (lambda: keras.callbacks.BackupAndRestore("backup"), "BackupAndRestore does nothing here: a run saves its own"),
        (
            keras.callbacks.SwapEMAWeights,
            "SwapEMAWeights does nothing here: average.name and its fields keep an average",
        ),
        (lambda: print, "callbacks: builtin_function_or_method is not a keras.callbacks.Callback"),
    ],
    ids=["scheduler", "plateau", "subclass", "backup", "ema", "function"],
)
def test_what_cannot_be_honoured_is_refused_before_training(tmp_path: Path, refused, wanted: str) -> None:
    diary = Diary()
    with pytest.raises(SettingsError, match=wanted) as raised:
        fit(tmp_path / "run", diary, refused())
    assert "\n" not in str(raised.value)
    assert diary.pages == []
    assert not (tmp_path / "run").exists()
