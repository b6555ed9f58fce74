"""A remembered listing is the listing, or it is not used."""

import os
import time

import numpy as np
import pytest

from keras_imagenet.data.sources import listing


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("b", "a", "empty"):
        (tmp_path / "photos" / name).mkdir(parents=True)
    for path in ("b/2.jpg", "b/1.jpg", "a/é.png", "a/notes.txt"):
        (tmp_path / "photos" / path).write_text(path)
    long_ago = time.time() - 3600
    for entry in ("", "a", "b", "empty"):
        os.utime(tmp_path / "photos" / entry, (long_ago, long_ago))
    return tmp_path / "photos"


def counting_scans(monkeypatch) -> list:
    scans = []
    monkeypatch.setattr(listing, "_list", lambda *a, real=listing._list: scans.append(a) or real(*a))
    return scans


def test_a_listing_is_remembered_until_a_folder_changes(folder, monkeypatch):
    scans = counting_scans(monkeypatch)
    first, again = (listing.list_images(folder, cached_from=1) for _ in range(2))
    assert first.paths == again.paths == ["a/é.png", "b/1.jpg", "b/2.jpg"]
    assert first.folders == again.folders == ("a", "b", "empty")
    assert first.skipped == again.skipped == {".txt (not an image)": 1}
    assert np.array_equal(first.sizes, again.sizes)
    assert len(scans) == 1
    (folder / "b" / "3.jpg").write_text("new")
    assert listing.list_images(folder, cached_from=1).paths[-1] == "b/3.jpg"
    assert len(scans) == 2


def test_folders_changed_just_now_are_not_trusted(folder, monkeypatch):
    """Two changes within one tick of the clock leave one time: such a listing is not kept."""
    scans = counting_scans(monkeypatch)
    os.utime(folder / "b")
    for _ in range(2):
        listing.list_images(folder, cached_from=1)
    assert len(scans) == 2


def test_small_folders_are_listed_each_time_and_damage_is_survived(folder, monkeypatch):
    scans = counting_scans(monkeypatch)
    for _ in range(2):
        listing.list_images(folder)
    assert len(scans) == 2
    listing.list_images(folder, cached_from=1)
    (cache,) = (folder.parent / "cache").rglob("*.npz")
    cache.write_bytes(cache.read_bytes()[:200])
    assert len(listing.list_images(folder, cached_from=1).paths) == 3
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/none")
    assert len(listing.list_images(folder, cached_from=1).paths) == 3
