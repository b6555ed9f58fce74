"""Folders are found, made and refused in one line."""

from pathlib import Path

import pytest

from keras_imagenet import recipes, run_folder
from keras_imagenet.errors import SettingsError


def test_a_new_run_takes_the_recipe_s_name_and_never_another_run_s_folder(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = recipes.load()
    one, other = (run_folder.create(settings, "digits/simple_cnn").path for _ in range(2))
    assert one != other
    assert one.parent == other.parent == Path("runs")
    assert one.name.startswith("digits-simple_cnn-")
    assert run_folder.create(settings, "some/where/mine.yaml").path.name.startswith("mine-")


def test_what_is_not_a_finished_run_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no such run folder"):
        run_folder.opened(tmp_path / "nowhere")
    (tmp_path / "settings.yaml").write_text("train: {epochs: 1}\n")
    with pytest.raises(SettingsError, match=r"not a finished run: model\.keras is missing"):
        run_folder.opened(tmp_path)
