"""docs/python.md holds: its blocks run in the order in which they stand, print what they say and nothing else."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import keras_imagenet
from keras_imagenet.errors import SettingsError

PAGE = Path(__file__).resolve().parent.parent / "docs" / "python.md"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Plain colours with noise, which the published network's features tell apart at a glance."""
    random = np.random.default_rng(0)
    for folder in ("photos", "others"):
        for name, colour in {"red": (200, 40, 40), "blue": (40, 40, 200)}.items():
            (tmp_path / folder / name).mkdir(parents=True)
            for index in range(10):
                noise = random.integers(-40, 40, (40, 48, 3))
                pixels = np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(tmp_path / folder / name / f"{index}.png")
    return tmp_path


def test_the_page_runs_as_written(python, photos: Path) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    checks = """
assert answer["predictions"][0]["class"] == "red", answer
assert [a["image"] for a in answers] == ["image 0", "image 1"], answers
assert known["predictions"][0]["label"] < 1000
assert run.metrics["top1"] == 1.0, run.metrics
"""
    program = "\n".join([*blocks, checks])
    done = python(program, cwd=photos)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("runs/photos 1.0 ('blue', 'red')")
    assert [float(lines[1]), float(lines[2]), float(lines[3])] == [0.001, 1.0, 20]
    assert lines[4].startswith("red ")
    assert lines[5] == "photos/red/0.png (10, 1280)"
    assert lines[6].startswith("top-1 1.0000")
    assert [line.split()[0] for line in lines[7:]] == ["class", "blue", "red"]


@pytest.mark.parametrize(
    ("ask", "wanted"),
    [
        (lambda: keras_imagenet.fit(3), "fit: takes photos by their path (a folder, a CSV, an .npz) or settings"),
        (
            lambda: keras_imagenet.load(3),
            "load: takes a recipe by name or by path, such as digits/simple_cnn, not 3 (int)",
        ),
        (
            lambda: keras_imagenet.load(None, "train.epochs=5"),
            "such as {\"train.epochs\": 5}, not 'train.epochs=5' (str)",
        ),
        (
            lambda: keras_imagenet.load(None, ["train.epochs"]),
            "such as {\"train.epochs\": 5}, not ['train.epochs'] (list)",
        ),
        (
            lambda: keras_imagenet.load(None, {"train.epochs": [5]}),
            "train.epochs = [5]: input should be a valid number",
        ),
        (lambda: keras_imagenet.fit(keras_imagenet.load(), {"train.epochs": 5}), "give whole settings theirs by load"),
        (lambda: keras_imagenet.evaluate(3), "expected what fit returned, a run folder's path or a network's name"),
        (lambda: keras_imagenet.export(3), "expected what fit returned, or a run folder's path, not 3 (int)"),
        (lambda: keras_imagenet.predict(3, "a.png"), "expected what fit returned, a run folder's path or a network's"),
    ],
)
def test_a_wrong_type_is_one_line_that_says_what_is_right(ask, wanted: str) -> None:
    with pytest.raises(SettingsError) as raised:
        ask()
    assert wanted in str(raised.value)
    assert "\n" not in str(raised.value)
