"""A preset's evaluation, its file, and colours by name."""

from pathlib import Path

import pytest

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
