"""A photo replaced by another of its size is noticed; a copied folder, whose times are others, is the same."""

import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest

from keras_imagenet.data.sources import contents as module
from keras_imagenet.data.sources import open_source
from keras_imagenet.data.sources.contents import contents
from keras_imagenet.data.sources.listing import list_images
from keras_imagenet.settings.data import CsvSource, FolderSource

SIZES = {"a/whole.jpg": 9000, "a/é.png": 300, "b/long.jpg": 50_000}


@pytest.fixture
def photos(tmp_path: Path, monkeypatch) -> Path:
    """Three files an hour old, and a cache of one's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for number, (path, size) in enumerate(SIZES.items()):
        file = tmp_path / "photos" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(np.random.default_rng(number).bytes(size))
        os.utime(file, (time.time() - 3600,) * 2)
    return tmp_path / "photos"


def print_of(directory: Path) -> str:
    return open_source(FolderSource(name="folder", directory=directory)).train.fingerprint


def overwrite(file: Path, start: int, stop: int) -> None:
    """Other bytes in place: neither the folder's time nor the file's size changes."""
    with file.open("r+b") as opened:
        opened.seek(start)
        opened.write(bytes(stop - start))


def test_a_disk_that_gives_less_than_it_is_asked_for_changes_nothing(photos: Path, monkeypatch) -> None:
    """Network file systems do, and a system when it is interrupted."""
    before = print_of(photos)
    real_read, real_pread = os.read, os.pread
    monkeypatch.setattr(os, "read", lambda descriptor, size: real_read(descriptor, min(size, 1000)))
    monkeypatch.setattr(os, "pread", lambda descriptor, size, offset: real_pread(descriptor, min(size, 1000), offset))
    assert print_of(photos) == before


@pytest.mark.parametrize("path", SIZES)
def test_another_photo_of_the_same_size_is_noticed(photos: Path, path: str) -> None:
    before = print_of(photos)
    found = os.stat(photos / path)
    (photos / path).write_bytes(np.random.default_rng(9).bytes(SIZES[path]))
    assert print_of(photos) != before
    os.utime(photos / path, ns=(found.st_atime_ns, found.st_mtime_ns))  # as rsync --times leaves it
    assert print_of(photos) != before


@pytest.mark.parametrize(("start", "stop"), [(0, 1), (24_999, 25_001), (49_999, 50_000)])
def test_the_ends_and_the_middle_of_long_files_are_looked_at(photos: Path, start: int, stop: int) -> None:
    before = print_of(photos)
    overwrite(photos / "b/long.jpg", start, stop)
    assert print_of(photos) != before


def test_a_copy_with_other_times_is_the_same(photos: Path, tmp_path: Path) -> None:
    shutil.copytree(photos, tmp_path / "copy", copy_function=shutil.copyfile)
    assert os.stat(tmp_path / "copy/b/long.jpg").st_mtime > os.stat(photos / "b/long.jpg").st_mtime + 1000
    assert print_of(tmp_path / "copy") == print_of(photos)


def test_a_manifests_photo_that_was_replaced_is_noticed(photos: Path) -> None:
    (photos / "list.csv").write_text("path,label\n" + "".join(f"{path},{path[0]}\n" for path in SIZES))
    opened = [open_source(CsvSource(name="csv", file=photos / "list.csv")).train.fingerprint]
    overwrite(photos / "a/whole.jpg", 4000, 4010)
    opened.append(open_source(CsvSource(name="csv", file=photos / "list.csv")).train.fingerprint)
    assert opened[0] != opened[1]


def of(directory: Path, remembered_from: int = 1) -> dict[str, int]:
    listing = list_images(directory)
    sums = contents(directory, listing.paths, listing.sizes, listing.times, remembered_from)
    return dict(zip(listing.paths, sums.tolist(), strict=True))


def test_of_large_sets_only_what_changed_is_read_again(photos: Path, monkeypatch) -> None:
    read = []
    monkeypatch.setattr(module, "_checksum", lambda *a, real=module._checksum: read.append(a[0].name) or real(*a))
    first = of(photos)
    assert sorted(read) == sorted(Path(path).name for path in SIZES)
    read.clear()
    assert of(photos) == first
    assert read == []
    overwrite(photos / "b/long.jpg", 0, 10)  # which does not change the folder's time
    (photos / "a/new.jpg").write_bytes(b"new")
    changed = of(photos)
    assert sorted(read) == ["long.jpg", "new.jpg"]
    assert {path for path in first if first[path] != changed[path]} == {"b/long.jpg"}


def test_files_changed_just_now_are_not_trusted(photos: Path, monkeypatch) -> None:
    """Two changes within one tick of the clock leave one time: such a checksum is not kept."""
    read = []
    monkeypatch.setattr(module, "_checksum", lambda *a, real=module._checksum: read.append(a[0].name) or real(*a))
    os.utime(photos / "a/whole.jpg")
    of(photos)
    of(photos)
    assert sorted(read) == ["long.jpg", "whole.jpg", "whole.jpg", "é.png"]


def test_a_damaged_cache_and_a_home_that_cannot_be_written_are_survived(photos: Path, monkeypatch) -> None:
    wanted = of(photos)
    (cache,) = (photos.parent / "cache").rglob("*.npz")
    cache.write_bytes(cache.read_bytes()[:200])
    assert of(photos) == wanted
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/none")
    assert of(photos) == wanted


def test_a_file_that_cannot_be_read_is_left_to_whoever_needs_its_image(photos: Path) -> None:
    listing = list_images(photos)
    (photos / "a/whole.jpg").unlink()
    assert contents(photos, listing.paths, listing.sizes, listing.times).tolist()[0] == 0
