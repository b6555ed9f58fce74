"""Whatever a data set holds and a run does not use is said, with its number and the first names."""

import os

import pytest
from pydantic import TypeAdapter

from keras_imagenet.data.sources import left_out_lines, open_source
from keras_imagenet.settings.data import SourceSettings


def opened(root, *paths, **values):
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(path)
    values = {"name": "folder", "directory": root} | values
    return open_source(TypeAdapter(SourceSettings).validate_python(values))


@pytest.mark.parametrize("ending", [".jfif", ".JPE", ".pjpeg", ".pjp"])
def test_jpegs_other_endings_are_read(tmp_path, ending):
    """Browsers save photos as .jfif: half of a folder was left out."""
    assert opened(tmp_path, "a/1.jpg", f"a/2{ending}", "b/1.jpg").train.names[1] == f"a/2{ending}"


def test_photos_of_formats_that_are_not_read_say_what_to_do(tmp_path):
    paths = [f"a/{number}.HEIC" for number in range(5)]
    lines = left_out_lines(opened(tmp_path, "a/1.jpg", "b/1.jpg", *paths))
    assert lines == ["left out: 5 .heic (not read; save them as JPEG or PNG): a/0.HEIC, a/1.HEIC, a/2.HEIC and 2 more"]


def test_photos_in_folders_inside_class_folders_are_counted(tmp_path):
    lines = left_out_lines(opened(tmp_path, "a/1.jpg", "b/1.jpg", "b/more/2.jpg", "b/more/deep/3.png", "b/more/.x.jpg"))
    assert lines == ["left out: 2 images in folders inside class folders: b/more/2.jpg, b/more/deep/3.png"]


def test_a_held_out_side_does_not_say_it_again(tmp_path):
    paths = [f"{label}/{number}.jpg" for label in "ab" for number in range(20)]
    lines = left_out_lines(opened(tmp_path, *paths, "a/notes.txt", validation_fraction=0.5))
    assert lines == ["left out: 1 .txt (not an image): a/notes.txt"]


@pytest.mark.parametrize(
    ("train", "validation"),
    [("train", "eval"), ("Train", "Test"), ("training", "validation"), ("TRAIN", "VAL"), ("train", "evaluation")],
)
def test_splits_are_known_by_other_names_and_in_any_case(tmp_path, train, validation):
    splits = opened(tmp_path, f"{train}/a/1.jpg", f"{train}/b/1.jpg", f"{validation}/a/2.jpg", f"{validation}/b/2.jpg")
    assert (splits.train.names[0], splits.validation.names[0]) == (f"{train}/a/1.jpg", f"{validation}/a/2.jpg")
    assert left_out_lines(splits) == []
    rows = f"path,label,split\n{train}/a/1.jpg,a,{train}\n{validation}/a/2.jpg,a,{validation}\n"
    (tmp_path / "list.csv").write_text(rows)
    listed = open_source(TypeAdapter(SourceSettings).validate_python({"name": "csv", "file": tmp_path / "list.csv"}))
    assert (len(listed.train), len(listed.validation)) == (1, 1)


def test_folders_beside_the_splits_are_named(tmp_path):
    splits = opened(
        tmp_path, "train/a/1.jpg", "val/a/2.jpg", "test/a/3.jpg", "extra/b/4.jpg", "train/b/1.jpg", "val/b/1.jpg"
    )
    assert left_out_lines(splits) == ["left out: what lies beside train and val: extra, test"]


def test_classes_that_a_split_lacks_are_named(tmp_path):
    splits = opened(tmp_path, "train/a/1.jpg", "train/b/1.jpg", "val/a/2.jpg", "val/c/3.jpg")
    assert left_out_lines(splits) == [
        "no image to train on in 1 of 3 classes: c",
        "no image to validate on in 1 of 3 classes: b",
    ]
    (tmp_path / "names.txt").write_text("".join(f"{name}\n" for name in "abcdefghij"))
    assert left_out_lines(opened(tmp_path, classes=tmp_path / "names.txt"))[0] == (
        "no image to train on in 8 of 10 classes: c, d, e, f, g and 3 more"
    )


def test_one_class_only_is_said(tmp_path):
    assert left_out_lines(opened(tmp_path, "ant/1.jpg")) == ["one class only, ant: there is nothing to tell it from"]


def test_what_is_named_as_an_image_and_is_none_is_counted_and_not_opened(tmp_path):
    opened(tmp_path, "a/1.jpg", "b/1.jpg")
    (tmp_path / "a/folder.jpg").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "a/pipe.jpg").symlink_to(tmp_path / "pipe")
    (tmp_path / "a/gone.jpg").symlink_to(tmp_path / "nowhere")
    (tmp_path / "a/circle.jpg").symlink_to(tmp_path / "a/circle.jpg")
    assert left_out_lines(opened(tmp_path)) == [
        "left out: 1 broken links: a/gone.jpg",
        "left out: 1 folders inside class folders: a/folder.jpg",
        "left out: 2 pipes, devices or sockets: a/pipe.jpg, pipe",
        "left out: 1 that the disk does not give (Too many levels of symbolic links): a/circle.jpg",
    ]
