"""prepare: every good image exactly once, whatever happens on the way; every other one named, with the reason."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import ilsvrc
import numpy as np
import pytest

from keras_imagenet.data.prepare import prepare
from keras_imagenet.data.prepare.check import Checked, check
from keras_imagenet.data.prepare.inputs import open_inputs
from keras_imagenet.data.prepare.preparation import summary_lines
from keras_imagenet.data.prepare.shards import finished, write_shard
from keras_imagenet.data.sources import open_source
from keras_imagenet.errors import DataError, SettingsError
from keras_imagenet.settings.data import RecordsSource
from keras_imagenet.settings.prepare import PrepareSettings

CLASSES = ["n03", "n01", "n02"]  # in the order of their ILSVRC2012_ID, which is not that of their names
TRUTH = [1, 2, 3, 3, 2, 1, 1, 1, 2]
ODD = {
    "n01": {
        "n01_cmyk.JPEG": ilsvrc.photo(5, mode="CMYK"),
        "n01_png.JPEG": ilsvrc.photo(6, format="PNG"),
        "n01_copy.JPEG": ilsvrc.photo(0),  # of n03_0.JPEG
        "n01_of_validation.JPEG": ilsvrc.photo(10**6 + 4),
        "n01_large.JPEG": ilsvrc.photo(7, (300, 100)),
        "n01_cut.JPEG": ilsvrc.photo(8, (64, 64))[:-300],
        "text.JPEG": b"hello",
        "../outside.JPEG": ilsvrc.photo(9),
        "/absolute.JPEG": ilsvrc.photo(9),
        "._n01_0.JPEG": b"from a Mac",
        "notes.txt": b"x",
        "bomb.JPEG": ilsvrc.png_that_declares(100_000, 100_000),
    }
}
BAD = {"n01/../outside.JPEG", "n01//absolute.JPEG", "n01/n01_cut.JPEG", "n01/text.JPEG", "n01/bomb.JPEG"}


def silent(line: str) -> None:
    """Progress nobody reads."""


@pytest.fixture(scope="module")
def tars(tmp_path_factory) -> dict[str, object]:
    """Settings that name a training tar with odd members, a validation tar and the kit."""
    root = tmp_path_factory.mktemp("ilsvrc")
    settings = {"train_tar": root / "train.tar", "validation_tar": root / "val.tar", "devkit": root / "kit.tar.gz"}
    ilsvrc.make_train(settings["train_tar"], CLASSES, 20, ODD)
    ilsvrc.make_validation(settings["validation_tar"], len(TRUTH))
    ilsvrc.make_devkit(settings["devkit"], CLASSES, TRUTH)
    return settings | {"shard_size": 8}


@pytest.fixture(scope="module")
def prepared(tars, tmp_path_factory):
    """The tars prepared, and the summary."""
    output = tmp_path_factory.mktemp("prepared") / "out"
    return output, prepare(PrepareSettings(output=output, max_side=200, **tars), report=silent)


def read_all(source) -> dict[str, bytes]:
    """Each image's bytes by name, through TensorFlow."""
    import tensorflow as tf

    images = tf.data.Dataset.range(len(source)).map(source.read, num_parallel_calls=2)
    return dict(zip(source.names, (image.numpy() for image in images), strict=True))


def rows(file: Path) -> list[list[str]]:
    """A table without its header."""
    return [line.split("\t") for line in file.read_text().splitlines()[1:]]


def test_every_good_image_is_there_once_with_its_class(prepared):
    output, summary = prepared
    splits = open_source(RecordsSource(name="records", directory=output))
    good = {f"{wnid}/{wnid}_{index}.JPEG" for wnid in CLASSES for index in range(20)}
    good |= {f"n01/n01_{kind}.JPEG" for kind in ("cmyk", "png", "copy", "of_validation", "large")}
    assert sorted(splits.train.names) == sorted(good)
    assert summary["images"] == {"train": 65, "validation": 9}
    assert splits.classes == ("n01", "n02", "n03")
    assert splits.class_names == ("name of n01", "name of n02", "name of n03")
    assert all(
        splits.classes[label] == name[:3] for name, label in zip(splits.train.names, splits.train.labels, strict=True)
    )
    images = read_all(splits.train)
    assert images["n02/n02_7.JPEG"] == ilsvrc.photo(2007)
    assert splits.train.names != sorted(splits.train.names)  # shuffled


def test_validation_images_have_the_classes_of_the_devkit(prepared):
    source = open_source(RecordsSource(name="records", directory=prepared[0])).validation
    for name, label in zip(source.names, source.labels, strict=True):
        assert source.classes[label] == CLASSES[TRUTH[int(name[15:23]) - 1] - 1]


def test_what_is_bad_is_named_with_the_reason(prepared):
    output, summary = prepared
    reasons = {name: reason for _, name, reason in rows(output / "quarantine.tsv")}
    assert set(reasons) == BAD
    assert summary["quarantined"] == len(BAD)
    assert reasons["n01/../outside.JPEG"] == "its name leaves the folder it would be unpacked to"
    assert reasons["n01/text.JPEG"].startswith("text, which is not supported")
    assert "JPEG" in reasons["n01/n01_cut.JPEG"]
    assert reasons["n01/bomb.JPEG"] == "PNG that declares no pixels or more than 178,956,970"
    assert summary["skipped"]["train"] == {"hidden": 1, ".txt (not an image)": 1}


def test_odd_files_become_plain_jpegs(prepared):
    import io

    from PIL import Image

    output, summary = prepared
    changed = {name: change for _, name, change in rows(output / "changed.tsv")}
    assert changed == {
        "n01/n01_cmyk.JPEG": "CMYK made RGB",
        "n01/n01_png.JPEG": "not a JPEG, though so named",
        "n01/n01_large.JPEG": "shrunk to fit 200 pixels",
    }
    images = read_all(open_source(RecordsSource(name="records", directory=output)).train)
    opened = {name: Image.open(io.BytesIO(images[name])) for name in changed}
    assert all(image.format == "JPEG" and image.mode == "RGB" for image in opened.values())
    assert opened["n01/n01_large.JPEG"].size == (200, 67)
    png = np.asarray(Image.open(io.BytesIO(ODD["n01"]["n01_png.JPEG"])), float)
    assert np.abs(np.asarray(opened["n01/n01_png.JPEG"], float) - png).mean() < 1.5
    assert summary["psnr_least"]["train"] > 35


def test_copies_are_reported_within_and_across(prepared):
    output, summary = prepared
    groups: dict[str, set[tuple[str, ...]]] = {}
    for number, *member in rows(output / "copies.tsv"):
        groups.setdefault(number, set()).add(tuple(member))
    assert sorted(groups.values(), key=sorted) == [
        {("train", "n01/n01_copy.JPEG", "0"), ("train", "n03/n03_0.JPEG", "2")},
        {("train", "n01/n01_of_validation.JPEG", "0"), ("validation", "ILSVRC2012_val_00000004.JPEG", "1")},
    ]
    assert (summary["copies"], summary["copies_across_splits"], summary["copies_across_classes"]) == (2, 1, 2)


def test_tensorflow_datasets_opens_it(prepared):
    import tensorflow_datasets as tfds

    builder = tfds.builder_from_directory(prepared[0])
    assert builder.info.features["label"].names == ["n01", "n02", "n03"]
    examples = builder.as_data_source("train")
    assert len(examples) == 65
    assert {example["file_name"].decode() for example in examples} >= {"n02/n02_7.JPEG", "n01/n01_png.JPEG"}
    assert examples[0]["image"].ndim == 3


def test_a_finished_preparation_is_left_alone_and_another_refused(prepared, tars):
    output, summary = prepared
    times = {file: file.stat().st_mtime_ns for file in output.iterdir()}
    assert prepare(PrepareSettings(output=output, max_side=200, **tars), report=silent) == summary
    assert times == {file: file.stat().st_mtime_ns for file in output.iterdir()}
    with pytest.raises(SettingsError, match="holds a preparation with other max_side; choose another output"):
        prepare(PrepareSettings(output=output, max_side=100, **tars), report=silent)
    with pytest.raises(SettingsError, match="with other train images, validation images"):
        prepare(
            PrepareSettings(output=output, max_side=200, **tars, folder=None).model_copy(
                update={"train_tar": tars["validation_tar"], "validation_tar": None}
            ),
            report=silent,
        )


def test_the_summary_is_told_in_a_few_lines(prepared):
    lines = summary_lines(prepared[1])
    assert lines[0].startswith("65 train, 9 validation images of 3 classes in 11 shards")
    assert "5 quarantined" in lines[1]
    assert len(lines) < 8


@pytest.mark.parametrize("kept", [["train_tar"], ["validation_tar", "devkit"]])
def test_either_tar_works_alone(tars, tmp_path, kept):
    settings = {key: value for key, value in tars.items() if key in kept}
    summary = prepare(PrepareSettings(output=tmp_path / "out", **settings), report=silent)
    splits = open_source(RecordsSource(name="records", directory=tmp_path / "out"))
    assert splits.classes == ("n01", "n02", "n03")
    assert (splits.train is None) == (kept[0] != "train_tar")
    assert list(summary["images"].values()) == [65 if kept[0] == "train_tar" else 9]


def test_validation_images_without_a_devkit_are_refused(tars, tmp_path):
    with pytest.raises(SettingsError, match=r"ILSVRC2012_val_00000009.JPEG is in no class folder: give devkit"):
        prepare(PrepareSettings(output=tmp_path / "out", validation_tar=tars["validation_tar"]), report=silent)
    (tmp_path / "truth.txt").write_text("n01\nn02\n")
    with pytest.raises(DataError, match=r"holds 9 images, but .*truth.txt the classes of 2"):
        prepare(
            PrepareSettings(
                output=tmp_path / "out", validation_tar=tars["validation_tar"], devkit=tmp_path / "truth.txt"
            ),
            report=silent,
        )


def test_a_subset_of_classes_in_an_order_of_its_own(tars, tmp_path):
    (tmp_path / "two.txt").write_text("n03\nn01\n")
    prepare(PrepareSettings(output=tmp_path / "out", subset=tmp_path / "two.txt", **tars), report=silent)
    splits = open_source(RecordsSource(name="records", directory=tmp_path / "out"))
    assert splits.classes == ("n03", "n01")
    assert splits.class_names == ("name of n03", "name of n01")
    assert {name[:3]: int(label) for name, label in zip(splits.train.names, splits.train.labels, strict=True)} == {
        "n03": 0,
        "n01": 1,
    }
    (tmp_path / "bad.txt").write_text("n3\n")
    with pytest.raises(
        DataError, match=r"bad.txt: the class n3 is not among the 3 classes of the images; did you mean n03\?"
    ):
        prepare(PrepareSettings(output=tmp_path / "out2", subset=tmp_path / "bad.txt", **tars), report=silent)


@pytest.mark.parametrize("content", [b"", b"hello" * 500])
def test_a_file_that_is_no_tar_is_one_line(tmp_path, content):
    (tmp_path / "x.tar").write_bytes(content)
    with pytest.raises(DataError, match=r"x.tar: not a plain tar|train: holds no image"):
        prepare(PrepareSettings(output=tmp_path / "out", train_tar=tmp_path / "x.tar"), report=silent)


def test_a_tar_cut_off_loses_what_is_cut_and_no_more(tars, tmp_path):
    whole = tars["train_tar"].read_bytes()
    (tmp_path / "cut.tar").write_bytes(whole[: len(whole) * 2 // 3])
    summary = prepare(PrepareSettings(output=tmp_path / "out", train_tar=tmp_path / "cut.tar"), report=silent)
    assert summary["images"]["train"] >= 20
    assert any(reason == "the tar ends inside it" for _, _, reason in rows(tmp_path / "out/quarantine.tsv"))


def test_a_folder_and_quality(tmp_path):
    for split, label, count in [("train", "a", 5), ("train", "b", 4), ("val", "b", 3)]:
        (tmp_path / "photos" / split / label).mkdir(parents=True)
        for index in range(count):
            photo = ilsvrc.photo(hash((split, label)) % 1000 + index, (200, 150), quality=98)
            (tmp_path / "photos" / split / label / f"{index} é.jpg").write_bytes(photo)
    settings = PrepareSettings(output=tmp_path / "out", folder=tmp_path / "photos", quality=60, shuffle=False)
    summary = prepare(settings, report=silent)
    splits = open_source(RecordsSource(name="records", directory=tmp_path / "out"))
    assert splits.train.names[:2] == ["a/0 é.jpg", "a/1 é.jpg"]
    assert splits.validation.labels.tolist() == [1, 1, 1]
    assert summary["changed"] == 12
    assert sum(summary["bytes"].values()) < sum(file.stat().st_size for file in (tmp_path / "photos").rglob("*.jpg"))


def test_a_file_that_the_disk_does_not_give_is_one_more_fault(tmp_path):
    for name in ("1.jpg", "2.jpg"):
        (tmp_path / "photos/a").mkdir(parents=True, exist_ok=True)
        (tmp_path / "photos/a" / name).write_bytes(ilsvrc.photo(1))
    settings = PrepareSettings(output=tmp_path / "out", folder=tmp_path / "photos")
    _, (split,) = open_inputs(settings)
    (tmp_path / "photos/a/2.jpg").unlink()
    assert split.read(1).fault == "cannot be read: No such file or directory"
    assert check(split.read(1), None, None).fault == "cannot be read: No such file or directory"
    assert check(split.read(0), None, None).fault is None


def test_a_disk_that_gives_less_than_it_is_asked_for_gives_whole_images(tars, tmp_path, monkeypatch):
    real = os.pread
    monkeypatch.setattr(os, "pread", lambda descriptor, size, offset: real(descriptor, min(size, 100), offset))
    _, splits = open_inputs(PrepareSettings(output=tmp_path / "out", **tars))
    images = {item.name: item.encoded for item in map(splits[0].read, range(splits[0].count))}
    assert images["n02/n02_7.JPEG"] == ilsvrc.photo(2007)


def test_a_full_disk_leaves_no_shard_that_counts(tmp_path):
    """A limit on the size of files stands for the disk."""
    noise = np.random.default_rng(0).bytes(50_000)
    images = [Checked(f"{index}.jpg", 0, b"0" * 16, stored=noise) for index in range(10)]
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    try:
        with pytest.raises(OSError, match=r"shard: write.. failed: File too large"):
            write_shard(tmp_path / "shard", tmp_path / "journal.npz", images)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert finished(tmp_path / "shard", tmp_path / "journal.npz") is None
    assert len(write_shard(tmp_path / "shard", tmp_path / "journal.npz", images).names) == 10
    assert finished(tmp_path / "shard", tmp_path / "journal.npz") is not None


def kill_and_resume(
    tmp_path: Path, classes: int, each: int, shard_size: int, kills: int, advance: int, image=ilsvrc.photo
) -> list[int]:
    """Prepares a made set, killed `kills` times, each after up to `advance` further shards; checks every image.

    Returns how many shards were finished at each kill.
    """
    wnids = [f"n{number:08d}" for number in range(classes)]
    names = ilsvrc.make_train(tmp_path / "train.tar", wnids, each, {wnids[0]: {"bad.JPEG": b"\xff\xd8\xff"}}, image)
    settings = {"output": "out", "train_tar": "train.tar", "shard_size": shard_size, "threads": 2}
    (tmp_path / "settings.json").write_text(json.dumps(settings))
    script = Path(__file__).with_name("killed.py")
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, script, "settings.json", str(kills), str(advance)],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    source = open_source(RecordsSource(name="records", directory=tmp_path / "out")).train
    assert len(source.names) == len(names)
    assert set(source.names) == names
    images = read_all(source)
    for name in names:
        wnid, index = name.removesuffix(".JPEG").split("/")[1].split("_")
        assert images[name] == image(1000 * int(wnid[1:]) + int(index)), name
    assert [name for _, name, _ in rows(tmp_path / "out" / "quarantine.tsv")] == [f"{wnids[0]}/bad.JPEG"]
    assert not list((tmp_path / "out").glob(".part-*"))
    return [int(line) for line in done.stdout.splitlines()]


def test_killed_and_resumed_every_good_image_is_there_once(tmp_path):
    finished = kill_and_resume(tmp_path, classes=5, each=24, shard_size=4, kills=2, advance=10)
    assert 0 < finished[0] <= finished[1] < 31


@pytest.mark.slow
def test_a_thousand_classes_of_photos_killed_ten_times(tmp_path, shared):
    photos = [file.read_bytes() for file in sorted((shared / "data/imagenet_samples/val").glob("*/*.JPEG"))]

    def image(seed: int) -> bytes:
        return ilsvrc.stamped(photos[seed % len(photos)], seed)

    finished = kill_and_resume(tmp_path, 1000, each=3, shard_size=25, kills=10, advance=11, image=image)
    assert 0 < finished[0] < finished[-1] < 121
