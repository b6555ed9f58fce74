"""A folder of photos given to the commands: what they say of it, and how much of it they measure."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

PHOTOS = "--data.source.name", "folder", "--data.source.directory", "my photos"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Six photos of each of two classes, and one that is not read."""
    folder = tmp_path_factory.mktemp("work")
    for name, level in (("ant", 20), ("bee", 200)):
        (folder / "my photos" / name).mkdir(parents=True)
        for number in range(6):
            Image.new("RGB", (16, 16), (level, number, 0)).save(folder / "my photos" / name / f"{number}.png")
    (folder / "my photos/ant/6.heic").touch()
    return folder


@pytest.fixture(scope="module")
def fitted(command: Callable, folder: Path) -> subprocess.CompletedProcess:
    held_out = "--data.source.validation_fraction", "0.5"
    return command("fit", *PHOTOS, *held_out, "--train.steps", "1", "--runtime.run_folder", "my run", cwd=folder)


def test_fit_and_its_dry_run_say_what_is_left_out(command, folder, fitted) -> None:
    dry = command("fit", *PHOTOS, "--dry_run", cwd=folder)
    for done in (dry, fitted):
        assert done.returncode == 0, done.stderr
        assert "left out: 1 .heic (not read; save them as JPEG or PNG): ant/6.heic\n" in done.stdout


def test_photos_named_as_a_setting_are_said_to_be_trained_on_as_digits(command, folder, fitted) -> None:
    """Of photos, 8 x 8 grey pixels were left, and nothing said why."""
    assert fitted.stdout.startswith(
        "recipe: digits/simple_cnn, made for digits; photos take: keras-imagenet fit 'my photos'\n"
    )
    sized = command("fit", *PHOTOS, "--data.size", "16", "--dry_run", cwd=folder)
    assert "photos take" not in sized.stdout


def test_commands_that_are_printed_are_quoted(fitted) -> None:
    assert [line.strip() for line in fitted.stdout.splitlines()[-3:]] == [
        "tensorboard --logdir 'my run/tensorboard'",
        "keras-imagenet evaluate 'my run'",
        "keras-imagenet predict 'my run' 'my run/example.png'",
    ]


def test_of_other_photos_a_run_measures_all(command, folder, fitted) -> None:
    """And of its own those that it held out, wherever they are named."""
    shutil.copytree(folder / "my photos", folder / "other")
    measured = []
    for words in (["other"], ["--data.source.directory", "other"], [], ["my photos"]):
        done = command("evaluate", "my run", *words, "--json", cwd=folder)
        assert done.returncode == 0, done.stderr
        measured.append(json.loads(done.stdout)["examples"])
    assert measured[:2] == [12, 12]
    assert measured[2] == measured[3] < 12
