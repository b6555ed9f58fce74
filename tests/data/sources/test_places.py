"""Photos are recognised by looking, and what they are not is said."""

from pathlib import Path

import numpy as np
import pytest

from keras_imagenet import recipes
from keras_imagenet.data.sources.places import source_at
from keras_imagenet.errors import SettingsError


def test_each_kind_is_recognised(tmp_path: Path) -> None:
    (tmp_path / "shards").mkdir()
    (tmp_path / "shards" / "dataset_info.json").touch()
    (tmp_path / "list.TSV").touch()
    np.savez(tmp_path / "arrays.npz", x_train=np.zeros(1))
    assert source_at(tmp_path) == {"name": "folder", "directory": str(tmp_path)}
    assert source_at(str(tmp_path / "shards"))["name"] == "records"
    assert source_at(tmp_path / "list.TSV") == {"name": "csv", "file": str(tmp_path / "list.TSV")}
    assert source_at(tmp_path / "arrays.npz")["name"] == "arrays"


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("none", "none: no such file or folder; photos are a folder with a subfolder a class, a CSV file"),
        ("link", "link: is a broken link"),
        ("a.JPG", "is one image, and has no label"),
        ("photos.zip", "is an archive; unpack it"),
        ("my.yaml", "is a recipe, which is given as --config "),
        ("notes", "is no set of photos (without an ending)"),
        ("run", "is a run, not photos; a run goes on by: keras-imagenet fit --config "),
    ],
)
def test_anything_else_is_one_line_that_says_what_would_be_right(name: str, wanted: str, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    for file in ("a.JPG", "photos.zip", "my.yaml", "notes"):
        (tmp_path / file).touch()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "settings.yaml").touch()
    with pytest.raises(SettingsError) as raised:
        source_at(tmp_path / name)
    assert wanted in str(raised.value)
    assert "\n" not in str(raised.value)


def test_photos_take_the_place_of_a_recipes_data_and_keep_how_it_holds_out(tmp_path: Path) -> None:
    """A CSV in place of the folder, whose fraction stays; what is said on the command line counts more."""
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("data: {source: {name: folder, directory: a, validation_fraction: 0.3, classes: c.txt}}")
    csv = {"name": "csv", "file": "list.csv"}
    source = recipes.load(recipe, source=csv).data.source
    assert (source.name, source.validation_fraction, source.classes) == ("csv", 0.3, None)
    assert recipes.load(recipe, {"data.source.folds": 5}, source=csv).data.source.validation_fraction is None
    assert recipes.load("digits/simple_cnn", source=csv).data.source.validation_fraction is None
