"""File names that are not UTF-8, as old disks and archives hold them: read, kept and written as any other."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_imagenet.cli import main
from keras_imagenet.data.sources import contents, open_source
from keras_imagenet.errors import DataError
from keras_imagenet.settings.data import CsvSource, FolderSource, RecordsSource

NAMES = [os.fsdecode(b"caf\xe9%d.png" % number) for number in range(3)]
BAD = os.fsdecode(b"bad\xff.png")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for name, level in (("light", 200), ("dark", 20)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number, file in enumerate(NAMES):
            Image.new("RGB", (16, 16), (level, number, 0)).save(tmp_path / "photos" / name / file)
    (tmp_path / "photos" / "dark" / BAD).write_bytes(b"no image")
    return tmp_path / "photos"


def read(source, index: int) -> bytes:
    return source.read(tf.constant(index, tf.int64)).numpy()


def test_a_folder_lists_and_reads_them(photos: Path) -> None:
    source = open_source(FolderSource(name="folder", directory=photos)).train
    assert list(source.names) == [
        f"dark/{BAD}",
        *(f"dark/{name}" for name in NAMES),
        *(f"light/{name}" for name in NAMES),
    ]
    for index, name in enumerate(source.names):
        assert read(source, index) == (photos / name).read_bytes()


def test_a_folder_s_checksums_are_remembered_by_them(photos: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    sizes = np.array([(photos / "light" / name).stat().st_size for name in NAMES])
    times = np.array([1, 2, 3])
    first, second = (contents.contents(photos / "light", NAMES, sizes, times, remembered_from=1) for _ in range(2))
    assert first.tolist() == second.tolist()
    assert 0 not in first


def test_a_class_folder_must_be_text(photos: Path) -> None:
    (photos / "dark").rename(photos / os.fsdecode(b"d\xe4rk"))
    with pytest.raises(DataError, match=r"the folder name b'd.xe4rk' is not valid UTF-8; rename it"):
        open_source(FolderSource(name="folder", directory=photos))


def test_a_manifest_names_them(photos: Path) -> None:
    rows = [b"path,label", *(b"light/" + os.fsencode(name) + b",caf\xc3\xa9" for name in NAMES)]
    (photos / "list.csv").write_bytes(b"\n".join(rows))
    source = open_source(CsvSource(name="csv", file=photos / "list.csv")).train
    assert list(source.names) == [f"light/{name}" for name in NAMES]
    assert source.classes == ("café",)
    assert read(source, 1) == (photos / "light" / NAMES[1]).read_bytes()


def test_a_manifest_s_classes_must_be_text(photos: Path) -> None:
    (photos / "list.csv").write_bytes(b"path,label\nlight/a.png,caf\xe9\n")
    with pytest.raises(DataError, match="line 2: not in UTF-8, as all but paths must be"):
        open_source(CsvSource(name="csv", file=photos / "list.csv"))


def test_shards_and_reports_hold_them(photos: Path, tmp_path: Path, capsys) -> None:
    assert main(["prepare", "--folder", str(photos), "--output", str(tmp_path / "shards")]) == 0
    source = open_source(RecordsSource(name="records", directory=tmp_path / "shards")).train
    assert sorted(source.names) == [f"{name}/{file}" for name in ("dark", "light") for file in NAMES]
    assert r"dark/bad\udcff.png" in (tmp_path / "shards" / "quarantine.tsv").read_text(encoding="utf-8")
    capsys.readouterr()
    assert main(["data", "--json", "--data.source.name", "folder", "--data.source.directory", str(photos)]) == 0
    content = json.loads(capsys.readouterr().out)
    assert list(content["train"]["unreadable"]) == [f"dark/{BAD}"]
