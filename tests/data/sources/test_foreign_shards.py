"""Shards that are damaged, or that a stranger made: what is bad is named and left out, and nothing else happens."""

import io
import json
import shutil
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from pydantic import TypeAdapter

from keras_imagenet.data import pipeline
from keras_imagenet.data.prepare import prepare
from keras_imagenet.data.sources import Source, open_source
from keras_imagenet.data.stream import examine
from keras_imagenet.errors import DataError
from keras_imagenet.preset import Preset
from keras_imagenet.settings.data import SourceSettings
from keras_imagenet.settings.prepare import PrepareSettings

IMAGES = 24


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """The folder set/1.0.0 of 24 images of two classes in shards of 10."""
    root = tmp_path_factory.mktemp("made")
    for number in range(IMAGES):
        pixels = np.random.default_rng(number).integers(0, 256, (12, 12, 3), np.uint8)
        file = root / "photos" / "ab"[number % 2] / f"{number:02d}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(file)
    settings = PrepareSettings(
        output=root / "set/1.0.0", folder=root / "photos", name="set", shard_size=10, shuffle=False
    )
    prepare(settings, report=lambda line: None)
    return root


@pytest.fixture
def shards(made: Path, tmp_path: Path, monkeypatch) -> Path:
    """A copy to damage, and an empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    shutil.copytree(made / "set", tmp_path / "set")
    return tmp_path / "set/1.0.0"


def train(folder: Path, name: str = "records") -> Source:
    """The training split, by its folder or as the set of TensorFlow Datasets that it is."""
    where = {"directory": folder} if name == "records" else {"dataset": "set", "directory": folder.parents[1]}
    return open_source(TypeAdapter(SourceSettings).validate_python({"name": name, **where})).train


def change(file: Path, change) -> None:
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def flip_a_record(folder: Path, number: int) -> Path:
    """Damage in the middle of a record of the second shard."""
    file = folder / "set-train.array_record-00001-of-00003"
    content = bytearray(file.read_bytes())
    images = [place for place in range(len(content)) if content[place : place + 8] == b"\x89PNG\r\n\x1a\n"]
    content[images[number] + 100] ^= 0xFF
    file.write_bytes(content)
    return file


def left_out(source: Source) -> dict[str, str]:
    """What one evaluation of the source leaves out, and that it takes all else."""
    report: dict[str, str] = {}
    stream = pipeline.evaluation_stream(
        source, Preset(size=(8, 8)), tf.distribute.get_strategy(), batch_size=8, threads=2, report=report.setdefault
    )
    weights = np.concatenate([next(stream)["weights"].numpy() for _ in range(IMAGES // 8)])
    assert weights.sum() == IMAGES - len(report)
    return report


@pytest.mark.parametrize("name", ["records", "tfds"])
def test_a_damaged_record_is_named_and_left_out(shards: Path, name: str) -> None:
    """A reader that has met damage gives no record any more; only the damaged one is missing all the same."""
    file = flip_a_record(shards, 3)
    (said,) = left_out(train(shards, name)).values()
    assert said == f"cannot be read: {file.name}: record 3 is damaged or cut off"


@pytest.mark.parametrize("length", [0, 30_000, 70_000, 131_000])
def test_a_file_that_is_cut_off_loses_its_records_and_no_others(shards: Path, length: int) -> None:
    source = train(shards)
    file = shards / "set-train.array_record-00001-of-00003"
    file.write_bytes(file.read_bytes()[:length])
    reasons = [examine(source, index) for index in range(IMAGES)]
    assert [index for index, reason in enumerate(reasons) if reason] == [*range(10, 20)]
    assert all(f"{file.name}: record" in reason for reason in reasons[10:20])
    if length == 70_000:
        assert left_out(source) == dict(zip(source.names[10:20], reasons[10:20], strict=True))


def test_a_damaged_record_is_quarantined_when_prepared_again(shards: Path, tmp_path: Path) -> None:
    flip_a_record(shards, 3)
    settings = PrepareSettings(output=tmp_path / "again", tfds="set", tfds_directory=tmp_path)
    assert prepare(settings, report=lambda line: None)["quarantined"] == 1
    assert "record 3 is damaged" in (tmp_path / "again/quarantine.tsv").read_text()


def test_records_that_are_no_examples_are_left_out(shards: Path) -> None:
    from array_record.python.array_record_module import ArrayRecordReader, ArrayRecordWriter

    file = shards / "set-train.array_record-00001-of-00003"
    records = ArrayRecordReader(str(file)).read_all()
    writer = ArrayRecordWriter(str(file), "group_size:1,uncompressed")
    for number, record in enumerate(records):
        writer.write(b"\xff" * 40 if number == 7 else record)
    writer.close()
    assert len(left_out(train(shards, "tfds"))) == 1


def test_a_class_of_features_is_never_imported(shards: Path, tmp_path: Path, monkeypatch) -> None:
    """TFDS imports the module of any class that features.json names."""
    (tmp_path / "run_by_shards.py").write_text("raise SystemExit('the stranger runs')")
    monkeypatch.syspath_prepend(tmp_path)
    evil = "run_by_shards.Feature"
    whole = (shards / "features.json").read_text()

    def nested(content: dict) -> None:
        inside = {"type": evil, "content": {}}
        content["featuresDict"]["features"]["more"] = {
            "pythonClassName": "tensorflow_datasets.core.features.sequence_feature.Sequence",
            "jsonFeature": {"json": json.dumps({"feature": inside, "length": None})},
        }

    def legacy(content: dict) -> None:
        content.clear()
        content |= {"type": evil, "content": {}}

    for alter in (lambda content: content.update(pythonClassName=evil), nested, legacy):
        (shards / "features.json").write_text(whole)
        change(shards / "features.json", alter)
        for name in ("records", "tfds"):
            with pytest.raises(DataError, match=r"features.json: names the class 'run_by_shards.Feature', which is no"):
                train(shards, name)
        with pytest.raises(DataError, match="names the class"):  # where TFDS would find the set by itself
            open_source(
                TypeAdapter(SourceSettings).validate_python(
                    {"name": "tfds", "dataset": "set:1.0.0", "directory": tmp_path}
                )
            )
    assert "run_by_shards" not in sys.modules


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("filepathTemplate", "../{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"),
        ("filepathTemplate", "/etc/{SHARD_INDEX}"),
        ("filepathTemplate", "{SPLIT}/../../{SHARD_INDEX}"),
        ("filepathTemplate", "{SPLIT:>9999999999}"),
        ("filepathTemplate", "{SPLIT.__class__}"),
        ("filepathTemplate", 7),
        ("name", "../train"),
        ("name", ".."),
    ],
)
def test_names_do_not_lead_out_of_the_folder(shards: Path, key: str, value: object) -> None:
    change(shards / "dataset_info.json", lambda content: content["splits"][0].update({key: value}))
    with pytest.raises(DataError, match=r"dataset_info.json: .* does not name a file in the folder"):
        train(shards)


@pytest.mark.parametrize("name", ["records", "tfds"])
@pytest.mark.parametrize("lengths", [[10, 10, 10**12], [10, 10**5, 4], [10**9] * 3, [-10, 10, 10**6]])
def test_counts_are_held_against_the_files(shards: Path, lengths: list[int], name: str) -> None:
    change(
        shards / "dataset_info.json", lambda content: content["splits"][0].update(shardLengths=list(map(str, lengths)))
    )
    with pytest.raises(DataError, match=r"^[^\n]*$"):
        train(shards, name)


def test_a_missing_shard_is_named(shards: Path) -> None:
    (shards / "set-train.array_record-00001-of-00003").unlink()
    with pytest.raises(DataError, match=r"set-train\.array_record-00001-of-00003: No such file"):
        train(shards)


def _npz(**arrays: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in arrays.items():
            archive.writestr(f"{name}.npy", content)
    return buffer.getvalue()


def _npy(values: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values)
    return buffer.getvalue()


NAMES = _npy(np.frombuffer("\0".join(map(str, range(IMAGES))).encode(), np.uint8))
LABELS = _npy(np.zeros(IMAGES, np.int32))


@pytest.mark.parametrize(
    "content",
    [
        _npz(names=bytes(200_000_000), labels=LABELS),
        _npz(names=NAMES, labels=_npy(np.full(IMAGES, 2, np.int32))),
        _npz(names=NAMES, labels=_npy(np.full(IMAGES, -1, np.int32))),
        _npz(names=NAMES, labels=_npy(np.zeros(IMAGES, np.float32))),
        _npz(names=NAMES, labels=_npy(np.zeros((IMAGES, 2), np.int32))),
        _npz(names=NAMES, labels=_npy(np.zeros(IMAGES - 1, np.int32))),
        _npz(names=_npy(np.frombuffer(b"\xff\xfe", np.uint8)), labels=LABELS),
        _npz(names=NAMES),
        b"PK\x03\x04 but no archive",
        b"",
    ],
    ids=["swells", "class_2", "class_-1", "floats", "table", "short", "not_text", "no_labels", "no_zip", "empty"],
)
def test_an_index_that_lies_is_refused(shards: Path, content: bytes) -> None:
    assert len(train(shards)) == IMAGES
    (shards / "index-train.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"index-train.npz: [^\n]*$"):
        train(shards)


@pytest.mark.parametrize("file", ["features.json", "dataset_info.json"])
@pytest.mark.parametrize("content", ["", "[" * 100_000, "[]", '{"splits": 3}', '{"featuresDict": 3}'])
def test_what_is_not_of_tfds_is_one_line(shards: Path, file: str, content: str) -> None:
    (shards / file).write_text(content)
    with pytest.raises(DataError, match=r"^[^\n]*$"):
        train(shards)


def test_classes_are_no_more_than_can_be(shards: Path) -> None:
    def many(content: dict) -> None:
        content["featuresDict"]["features"]["label"]["classLabel"]["numClasses"] = "10000000000"

    change(shards / "features.json", many)
    (shards / "label.labels.txt").unlink()
    with pytest.raises(DataError, match="declares 10000000000 classes"):
        train(shards)
