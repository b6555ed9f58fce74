"""A preset's evaluation, its file, and colours by name."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from keras_imagenet import preset
from keras_imagenet.errors import DataError
from keras_imagenet.preset import Preset


def test_evaluation_has_training_s_size_and_kernel_unless_it_has_its_own() -> None:
    assert Preset(size=(8, 6), channels=1).input_shape == (8, 6, 1)
    assert Preset(size=(8, 6), kernel="bicubic").evaluation == Preset(size=(8, 6), kernel="bicubic")
    other = Preset(size=(8, 6), evaluation_size=(12, 10), evaluation_kernel="bilinear", depth=12)
    assert other.evaluation == Preset(size=(12, 10), kernel="bilinear", depth=12)
    assert other.evaluation.evaluation == other.evaluation


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('{"size": [0, 0]}', "no preset: size.0: Input should be greater than 0"),
        ('{"background": [0, 255, 256]}', "no preset: background.2: Input should be less than or equal to 255"),
        ('{"background": [-1, 0, 0]}', "no preset: background.0: Input should be greater than or equal to 0"),
        ('{"depth": 17}', "no preset: depth: Input should be less than or equal to 16"),
        ('{"size": [8, 0]}', "no preset: size.1: Input should be greater than 0"),
        ('{"size": [8, 8], "sise": 1}', "no preset: sise: Extra inputs are not permitted"),
        ("[", "no preset: its text: Invalid JSON"),
        ("é", "cannot be read: 'utf-8' codec can't decode"),
        (" " * (2**20 + 1), "cannot be read: .*is larger than 1 MiB"),
    ],
)
def test_what_is_no_preset_is_one_line(text: str, wanted: str, tmp_path: Path) -> None:
    file = tmp_path / "preset.json"
    file.write_text(text, encoding="latin-1")
    with pytest.raises(DataError, match=f"^{file}: {wanted}") as caught:
        preset.read(file)
    assert "\n" not in str(caught.value)


def test_what_a_preset_does_not_say_is_what_imagenet_s_networks_are_mostly_given() -> None:
    """An older run's preset.json may leave fields out; they mean the same in every version."""
    assert Preset().model_dump() == {
        "size": (224, 224),
        "evaluation_size": None,
        "channels": 3,
        "fit": "crop",
        "crop_fraction": 0.875,
        "kernel": "area",
        "evaluation_kernel": None,
        "antialias": True,
        "flip_average": False,
        "mean": (0.485, 0.456, 0.406),
        "std": (0.229, 0.224, 0.225),
        "depth": 16,
        "background": None,
    }


def test_a_preset_is_a_value() -> None:
    """Nothing that is given one can change another's preprocessing."""
    own = Preset(depth=1, background=(0, 255, 0))
    assert len({own, own.model_copy()}) == 1
    with pytest.raises(ValidationError, match="frozen"):
        own.size = (8, 8)


def test_a_preset_is_read_as_it_was_written(tmp_path: Path) -> None:
    own = Preset(size=(8, 6), mean=(0.1, 0.2, 0.3), background=(1, 2, 3))
    (tmp_path / "preset.json").write_text(own.model_dump_json())
    assert preset.read(tmp_path / "preset.json") == own
    with pytest.raises(DataError, match=r"cannot be read: .*No such file"):
        preset.read(tmp_path / "none.json")


def test_colours_have_css_names() -> None:
    assert preset.colour_of("Tomato") == (255, 99, 71)
    assert preset.colour_of("none") is None
    for name in ("tomatoe", "#ff6347"):
        with pytest.raises(ValueError, match=rf"^{name}: no such colour.*; give \[red, green, blue\]"):
            preset.colour_of(name)
