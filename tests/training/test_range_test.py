"""`fit --find_rate` suggests a rate that learns, in the recipe's units, and leaves everything as it was."""

import json
import shlex
from pathlib import Path

import numpy as np
import pytest

from keras_imagenet.cli import main
from keras_imagenet.recipes import load
from keras_imagenet.training.range_test import (
    HIGHEST,
    LOWEST,
    STEPS,
    STEPS_A_DECADE,
    Suggestion,
    lines,
    smoothed,
    suggestion,
)

RATES = np.geomspace(LOWEST, HIGHEST, STEPS)


def curve(depth: float, noise: float = 0.05) -> np.ndarray:
    """A loss that begins to fall at 1e-3, is least at 0.1 and rises from there."""
    decades = np.log10(RATES)
    fall = np.interp(decades, [-7, -3, -1, 1], [0, 0, 1, -9])
    return 2.3 - depth * fall + np.random.default_rng(0).normal(0, noise, STEPS)


def test_a_tenth_of_the_rate_of_the_least_loss_is_suggested() -> None:
    found = suggestion(RATES.tolist(), curve(1.5).tolist())
    # The moving average lags by nine steps at most, which are not half a decade.
    assert 0.1 <= found.lowest <= 0.1 * 10 ** (9 / STEPS_A_DECADE)
    assert 1e-3 < found.steepest <= found.lowest
    assert found.rate == float(f"{found.lowest / 10:.2g}")


@pytest.mark.parametrize("losses", [curve(0.0), 2.3 + RATES, curve(1.5)[:STEPS_A_DECADE], []])
def test_where_the_loss_does_not_fall_nothing_is_suggested(losses: np.ndarray) -> None:
    assert suggestion(RATES[: len(losses)].tolist(), list(losses)) is None
    assert "no rate is suggested" in lines(load(), None, RATES[: len(losses)].tolist())[1]


def test_the_smoothed_loss_of_one_value_is_that_value() -> None:
    assert smoothed([3.0] * 30) == pytest.approx([3.0] * 30)


def test_muons_other_rate_keeps_its_proportion() -> None:
    rates = {"optimizer.learning_rate": 0.02, "optimizer.other_rate": 0.1}
    settings = load("digits/simple_cnn", {"optimizer.name": "muon", **rates})
    assert Suggestion(0.1, 0.05).settings(settings) == {"optimizer.learning_rate": 0.01, "optimizer.other_rate": 0.05}


PROGRAM = """
import json
import keras_imagenet

length = {"train.epochs": 1, "schedule.warmup_epochs": 0}

def trained(rate):
    run = keras_imagenet.fit(overrides=length | {"optimizer.learning_rate": rate})
    return [row["validation_top1"] for row in run.history], [row["loss"] for row in run.history]

before = trained(0.001)
found = keras_imagenet.find_rate(overrides=length)
again = keras_imagenet.find_rate(overrides=length)
print(json.dumps([found, again, before, trained(0.001), trained(found["suggestion"])]))
"""


@pytest.mark.slow
def test_the_suggestion_learns_and_asking_for_it_changes_nothing(python, tmp_path: Path) -> None:
    """Two tests agree to the bit, and a run after them with one before; a rate too high ends the test early."""
    done = python(PROGRAM, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found, again, before, after, (top1, _) = json.loads(done.stdout)
    assert found == again
    assert before == after
    assert float(top1[-1]) > 0.7  # of ten digits
    assert STEPS_A_DECADE < len(found["rate"]) == len(found["loss"]) < STEPS
    assert smoothed(found["loss"])[-1] > 4 * smoothed(found["loss"]).min()
    assert len(list((tmp_path / "runs").iterdir())) == 3  # of `fit` alone


def test_the_command_draws_the_losses_and_says_which_command_trains(command, tmp_path: Path) -> None:
    words = ["--train.batch_size", "32", "--schedule.reference_batch", "64"]
    done = command("fit", "--find_rate", *words, "--output", "rates.png", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    tried, suggested, _, trains, picture = done.stdout.splitlines()[-5:]  # before them, on a slow machine, its progress
    assert "from 1e-07 to" in tried
    assert "written for a batch of 64 as in the recipe" in tried
    rate = suggested.split()[2].rstrip(",")
    wanted = ["keras-imagenet", "fit", "--config", "digits/simple_cnn", *words, "--optimizer.learning_rate", rate]
    assert shlex.split(trains) == wanted
    assert picture == "picture: rates.png"
    assert (tmp_path / "rates.png").read_bytes().startswith(b"\x89PNG")
    assert [path.name for path in tmp_path.iterdir()] == ["rates.png"]


@pytest.mark.slow
def test_replicas_measure_what_one_device_does(command, tmp_path: Path) -> None:
    """Up to rounding, while the rate is too low for it to grow."""
    words = ["fit", "--find_rate", "--json", "--model.dropout", "0"]
    one, two = (
        json.loads(command(*words, *more, cwd=tmp_path).stdout) for more in ([], ["--runtime.logical_cpus", "2"])
    )
    assert one["loss"][:STEPS_A_DECADE] == pytest.approx(two["loss"][:STEPS_A_DECADE], rel=1e-4)
    assert 0.5 < one["suggestion"] / two["suggestion"] < 2


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["--find_rate", "--dry_run"], "--find_rate, --dry_run: give one of them"),
        (["--output", "rates.png"], "--output: is the picture of --find_rate"),
        (
            ["--find_rate", "--output", "rates.jpg"],
            "--output rates.jpg: is drawn as PNG; give a name that ends in .png",
        ),
        (
            ["--find_rate", "--config", "photos/transfer", "--data.source.name", "digits", "--train.epochs", "0"],
            "no rate acts in a run of no epochs",
        ),
    ],
)
def test_what_cannot_be_is_one_line(capsys, tmp_path: Path, monkeypatch, words: list[str], wanted: str) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["fit", *words]) == 2
    errors = capsys.readouterr().err
    assert wanted in errors
    assert errors.count("\n") == 1
    assert not list(tmp_path.iterdir())
