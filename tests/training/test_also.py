"""Further sets that a run is measured on after each epoch, beside its validation."""

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from sklearn.datasets import load_digits
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator

from keras_imagenet import recipes, run_folder
from keras_imagenet.cli import main
from keras_imagenet.errors import SettingsError

WORDS = ["fit", "--train.epochs", "2", "--train.batch_size", "512"]


def photos(folder: Path, classes: dict[str, int]) -> Path:
    """Some digits as PNG files in folders of these names."""
    digits = load_digits()
    for name, digit in classes.items():
        (folder / name).mkdir(parents=True)
        for number, pixels in enumerate(digits.images[digits.target == digit][:7]):
            encoded = tf.io.encode_png((pixels * 255 / 16).astype(np.uint8)[..., None])
            (folder / name / f"{number}.png").write_bytes(encoded.numpy())
    return folder


@pytest.fixture(scope="module")
def measured(tmp_path_factory) -> tuple[Path, Path]:
    """A run with its own validation split again, and pictures of two classes."""
    folder = tmp_path_factory.mktemp("also")
    few, run = photos(folder / "few", {"7": 7, "3": 3}), folder / "run"
    also = ["--data.also", f"{{again: {{name: digits}}, few: {{name: folder, directory: {few}}}}}"]
    assert main([*WORDS, *also, "--runtime.run_folder", str(run)]) == 0
    return run, few


def test_each_epoch_has_columns_and_tags_of_each_set(measured: tuple[Path, Path]) -> None:
    history = run_folder.opened(measured[0]).history
    assert len(history) == 2
    for row in history:
        for name in ("loss", "top1", "top5"):
            assert row[f"again_{name}"] == row[f"validation_{name}"]
            assert np.isfinite(float(row[f"few_{name}"]))
    curves = EventAccumulator(str(measured[0] / "tensorboard/validation")).Reload()
    for tag in ("again_loss", "again_top5", "few_top1"):
        values = [float(tf.make_ndarray(event.tensor_proto)) for event in curves.Tensors(tag)]
        np.testing.assert_allclose(values, [float(row[tag]) for row in history], 1e-6)


def test_the_end_says_what_evaluate_says_of_a_set_of_some_of_the_classes(measured, capsys) -> None:
    run, few = measured
    also = json.loads((run / "metrics.json").read_text())["also"]
    assert also["few"]["examples"] == 14
    assert main(["evaluate", str(run), str(few), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    for name in ("loss", "top1", "top5"):
        assert also["few"][name] == pytest.approx(found[name], rel=1e-6)


def test_an_unreadable_image_names_its_set(tmp_path: Path, capsys) -> None:
    few = photos(tmp_path / "few", {"3": 3, "7": 7})
    (few / "3/0.png").write_bytes(b"no image")
    also = f"{{few: {{name: folder, directory: {few}, unreadable: stop}}}}"
    words = ["fit", "--train.steps", "1", "--train.batch_size", "512", "--data.also", also]
    assert main([*words, "--runtime.run_folder", str(tmp_path / "run")]) == 3
    assert "data.also.few.unreadable skip leaves such images out" in capsys.readouterr().err


def test_a_class_that_the_run_has_not_is_one_line(tmp_path: Path, capsys) -> None:
    strange = photos(tmp_path / "strange", {"3": 3, "x": 1})
    words = [*WORDS, "--data.also", f"{{s: {{name: folder, directory: {strange}}}}}"]
    assert main([*words, "--runtime.run_folder", str(tmp_path / "run")]) == 3
    printed = capsys.readouterr().err
    assert printed.startswith("keras-imagenet: data.also.s: ")
    assert "the class folder x is not among the 10 classes of data.source" in printed
    assert printed.count("\n") == 1


@pytest.mark.parametrize(
    ("also", "message"),
    [
        ("{validation: {name: digits}}", "history.csv has columns validation_loss, validation_top1, ... already"),
        ("{a b: {name: digits}}", "letters, digits, _ and -, a letter first"),
        ("{v2: {name: folder}}", "data.also.v2.directory"),
        ("{v2: {directory: photos}}", "data.also.v2"),
        ("{v2: {name: digits, colour: red}}", "data.also.v2.colour"),
    ],
)
def test_a_set_that_cannot_be_is_one_line(also: str, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        recipes.load(None, [("data.also", also)])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
