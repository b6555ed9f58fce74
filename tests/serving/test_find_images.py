"""Which files predict means: all that were asked for, in that order, found as training finds them."""

import os
from pathlib import Path

from keras_imagenet.serving.files import find_images


def put(root: Path, *paths: str) -> Path:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(path)
    return root


def test_files_come_in_the_order_asked_and_as_often(tmp_path):
    put(tmp_path, "b.png", "a/2.jfif", "a/1.JPG", "a/deep/3.png")
    asked = [str(tmp_path / name) for name in ("b.png", "a", "b.png")]
    found, faults = find_images(asked)
    assert [path.relative_to(tmp_path).as_posix() for path in found] == [
        "b.png",
        "a/1.JPG",
        "a/2.jfif",
        "a/deep/3.png",
        "b.png",
    ]
    assert faults == []


def test_linked_folders_are_entered_and_hidden_ones_not(tmp_path):
    put(tmp_path, "photos/1.png", "photos/.thumbs/1.png", "photos/__MACOSX/1.png", "photos/._1.png", "elsewhere/2.png")
    (tmp_path / "photos/link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "photos/round").symlink_to(tmp_path / "photos")
    found, faults = find_images([str(tmp_path / "photos")])
    assert [path.relative_to(tmp_path / "photos").as_posix() for path in found] == ["1.png", "link/2.png"]
    assert faults == []


def test_what_is_not_there_is_a_fault_beside_what_is(tmp_path):
    put(tmp_path, "1.png", "empty/notes.txt", "phone/1.heic")
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere")
    found, faults = find_images([str(tmp_path / name) for name in ("none.png", "1.png", "gone.png", "empty", "phone")])
    assert found == [tmp_path / "1.png"]
    assert [(path.relative_to(tmp_path).as_posix(), reason.partition(" (")[0]) for path, reason in faults] == [
        ("none.png", "no such file or folder"),
        ("gone.png", "is a broken link"),
        ("empty", "holds no images"),
        ("phone/1.heic", "is not read; save it as JPEG or PNG"),
    ]


def test_what_is_named_as_an_image_is_left_to_whoever_reads(tmp_path):
    put(tmp_path, "folder.png/inside.png")
    os.mkfifo(tmp_path / "pipe.png")
    found, _ = find_images([str(tmp_path)])
    assert [path.name for path in found] == ["inside.png", "pipe.png"]
