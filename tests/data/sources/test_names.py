"""Names of classes come back as they went in, one class has one name, and what cannot be written down is said before."""

import unicodedata

import pytest
from pydantic import TypeAdapter

from keras_imagenet.data.sources import open_source
from keras_imagenet.errors import DataError
from keras_imagenet.labels import ClassList, read_classes, write_classes
from keras_imagenet.settings.data import SourceSettings

NFC, NFD = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))


def opened(**values):
    return open_source(TypeAdapter(SourceSettings).validate_python(values))


def put(root, *paths):
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(path)
    return root


def manifest(root, text):
    put(root, "a.png", "b.png", "c.png")
    (root / "list.csv").write_text(text, encoding="utf-8", newline="")
    return opened(name="csv", file=root / "list.csv")


def test_blanks_around_a_manifests_cells_are_cut(tmp_path):
    splits = manifest(tmp_path, "path, label ,split\na.png, ant, train\nb.png,ant ,\n c.png,bee,val \n")
    assert splits.classes == ("ant", "bee")
    assert splits.train.labels.tolist() == [0, 0]
    assert splits.validation.names == ["c.png"]


@pytest.mark.parametrize("label", ['"a\nb"', '"a\tb"'], ids=["line", "tab"])
def test_a_label_that_no_line_can_hold_is_refused_before_training(tmp_path, label):
    with pytest.raises(DataError, match=r"data.source: the class 'a..b' cannot be written down") as caught:
        manifest(tmp_path, f"path,label\na.png,{label}\nb.png,bee\n")
    assert len(str(caught.value).splitlines()) == 1


def test_a_class_folder_that_no_line_can_hold_is_refused_before_training(tmp_path):
    put(tmp_path, "cat\n/1.png", "dog/1.png")
    with pytest.raises(DataError, match=r"data.source: the class 'cat.n' cannot be written down"):
        opened(name="folder", directory=tmp_path)


@pytest.mark.parametrize("name", ["cat ", " cat", "\ufeffcat", "wnid", "a\u2028b", "cat"])
def test_odd_class_folders_come_back_from_the_runs_class_file(tmp_path, name):
    put(tmp_path, f"photos/{name}/1.png", "photos/zoo/1.png")
    splits = opened(name="folder", directory=tmp_path / "photos")
    assert set(splits.classes) == {name, "zoo"}
    write_classes(tmp_path / "classes.txt", ClassList(splits.classes, splits.class_names))
    assert read_classes(tmp_path / "classes.txt").identifiers == splits.classes
    assert (
        opened(name="folder", directory=tmp_path / "photos", classes=tmp_path / "classes.txt").classes == splits.classes
    )


def test_two_spellings_of_one_accent_are_one_class(tmp_path):
    """macOS stores é as e and an accent, others as one character; a copied folder or a list from elsewhere has the other."""
    put(tmp_path, f"data/train/{NFC}/1.png", f"data/val/{NFD}/1.png", "data/train/the/1.png")
    splits = opened(name="folder", directory=tmp_path / "data")
    assert splits.classes == (NFC, "the")
    assert splits.validation.labels.tolist() == [0]
    (tmp_path / "names.txt").write_text(f"the\n{NFD}\n", encoding="utf-8")
    assert opened(name="folder", directory=tmp_path / "data", classes=tmp_path / "names.txt").train.labels.tolist() == [
        1,
        0,
    ]
    assert manifest(tmp_path, f"path,label\na.png,{NFC}\nb.png,{NFD}\n").classes == (NFC,)


def test_a_class_spelt_with_a_capital_in_one_split_only_is_an_error_that_says_so(tmp_path):
    put(tmp_path, "train/Cat/1.png", "train/dog/1.png", "val/cat/1.png", "val/dog/1.png")
    with pytest.raises(DataError, match="the class is called Cat in training and cat in validation; give it one name"):
        opened(name="folder", directory=tmp_path)
    (tmp_path / "list.csv").write_text("path,label,split\ntrain/Cat/1.png,Cat,train\nval/cat/1.png,cat,val\n")
    with pytest.raises(DataError, match="is called Cat in training and cat in validation"):
        opened(name="csv", file=tmp_path / "list.csv")
    put(tmp_path, "train/cat/1.png")  # Cat and cat are two classes to whoever trains on both
    assert opened(name="folder", directory=tmp_path).classes == ("Cat", "cat", "dog")
