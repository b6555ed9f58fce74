"""Sets of TensorFlow Datasets: ArrayRecord is read in any order, TFRecord is turned into shards that can be."""

import os

import numpy as np
import pytest
import tensorflow as tf
from pydantic import TypeAdapter

from keras_imagenet.data.prepare import prepare
from keras_imagenet.data.sources import open_source
from keras_imagenet.errors import DataError, SettingsError
from keras_imagenet.settings.data import RecordsSource, SourceSettings
from keras_imagenet.settings.prepare import PrepareSettings

CLASSES = ["cat", "dog", "emu"]


def opened(**values):
    return open_source(TypeAdapter(SourceSettings).validate_python(values))


def pixels(index: int) -> np.ndarray:
    """Image `index` of the set, uint8 [12, 10, 3]."""
    return np.random.default_rng(index).integers(0, 256, (12, 10, 3), np.uint8)


@pytest.fixture(scope="module")
def tfrecord(tmp_path_factory):
    """A set `toy` of 20 images in two TFRecord shards and 6 to test on, as TFDS would have written it."""
    import tensorflow_datasets as tfds

    root = tmp_path_factory.mktemp("tfds")
    folder = root / "toy" / "1.0.0"
    folder.mkdir(parents=True)
    lengths = {"train": [12, 8], "test": [6]}
    index = 0
    for split, shards in lengths.items():
        for number, length in enumerate(shards):
            name = f"toy-{split}.tfrecord-{number:05d}-of-{len(shards):05d}"
            with tf.io.TFRecordWriter(str(folder / name)) as writer:
                for _ in range(length):
                    image = tf.io.encode_png(pixels(index)).numpy()
                    features = {
                        "image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[image])),
                        "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[index % 3])),
                    }
                    example = tf.train.Example(features=tf.train.Features(feature=features))
                    writer.write(example.SerializeToString())
                    index += 1
    template = tfds.core.ShardedFileTemplate(data_dir=folder, dataset_name="toy", filetype_suffix="tfrecord")
    tfds.folder_dataset.write_metadata(
        data_dir=folder,
        features=tfds.features.FeaturesDict(
            {"image": tfds.features.Image(shape=(None, None, 3)), "label": tfds.features.ClassLabel(names=CLASSES)}
        ),
        split_infos=[
            tfds.core.SplitInfo(
                name=split, shard_lengths=shards, num_bytes=0, filename_template=template.replace(split=split)
            )
            for split, shards in lengths.items()
        ],
        filename_template=template,
        check_data=False,
        supervised_keys=("image", "label"),
    )
    return root


@pytest.fixture(scope="module")
def shards(tfrecord):
    """The set as ArrayRecord, where TFDS would look for it: toy_array/1.0.0."""
    output = tfrecord / "toy_array" / "1.0.0"
    settings = PrepareSettings(
        output=output, tfds="toy", tfds_directory=tfrecord, name="toy_array", shard_size=7, shuffle=False
    )
    prepare(settings, report=lambda line: None)
    return output


def test_a_tfrecord_set_says_what_to_run(tfrecord):
    with pytest.raises(
        DataError, match=r"is in tfrecord, which cannot be read in any order; run keras-imagenet prepare --tfds toy"
    ):
        opened(name="tfds", dataset="toy", directory=tfrecord)


def test_a_tfrecord_set_becomes_shards(shards):
    splits = open_source(RecordsSource(name="records", directory=shards))
    assert splits.classes == tuple(CLASSES)
    assert splits.train.labels.tolist() == [index % 3 for index in range(20)]
    assert splits.validation.labels.tolist() == [index % 3 for index in range(20, 26)]
    for index, image in enumerate(tf.data.Dataset.range(20).map(splits.train.read, num_parallel_calls=2)):
        assert np.array_equal(tf.io.decode_png(image), pixels(index))


def test_array_record_is_read_by_tfds_name(tfrecord, shards, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    source = {"name": "tfds", "dataset": "toy_array", "directory": tfrecord}
    splits = opened(**source)
    assert len(splits.train) == 20
    assert splits.validation.labels.tolist() == [index % 3 for index in range(20, 26)]
    assert np.array_equal(tf.io.decode_png(splits.train.read(tf.constant(17, tf.int64))), pixels(17))
    part = opened(**source, train_split="train[5:10]", validation_split="train[:5]")
    assert part.train.labels.tolist() == [index % 3 for index in range(5, 10)]
    assert np.array_equal(tf.io.decode_png(part.train.read(tf.constant(0, tf.int64))), pixels(5))
    assert len({source.fingerprint for source in (splits.train, part.train, part.validation)}) == 3
    assert len(list(tmp_path.rglob("*.npy"))) == 4
    assert opened(**source).train.labels.tolist() == splits.train.labels.tolist()
    with pytest.raises(SettingsError, match="toy_array has no split dev; it has train, validation"):
        opened(**source, validation_split="dev")


def test_a_class_file_reorders_labels(shards, tmp_path):
    (tmp_path / "order.txt").write_text("emu\nfox\ncat\ndog\n")
    splits = open_source(RecordsSource(name="records", directory=shards, classes=tmp_path / "order.txt"))
    assert splits.classes == ("emu", "fox", "cat", "dog")
    assert splits.train.labels[:3].tolist() == [2, 3, 0]


def test_a_cut_tfrecord_is_named(tfrecord, tmp_path):
    import shutil

    shutil.copytree(tfrecord / "toy", tmp_path / "toy")
    file = tmp_path / "toy/1.0.0/toy-train.tfrecord-00001-of-00002"
    os.truncate(file, file.stat().st_size - 5)
    with pytest.raises(DataError, match=r"toy-train.tfrecord-00001-of-00002: is cut off or damaged at byte"):
        prepare(PrepareSettings(output=tmp_path / "out", tfds="toy", tfds_directory=tmp_path), report=lambda line: None)


def test_an_unknown_set_has_a_nearest_name(tmp_path):
    with pytest.raises(DataError, match=r"there is no set cifar11; did you mean cifar10"):
        opened(name="tfds", dataset="cifar11", directory=tmp_path)


def test_shards_that_are_not_there(tmp_path):
    with pytest.raises(DataError, match="holds no shards; keras-imagenet prepare writes them"):
        opened(name="records", directory=tmp_path)
    with pytest.raises(DataError, match="there is no such folder"):
        opened(name="records", directory=tmp_path / "none")
    (tmp_path / ".journal").mkdir()
    with pytest.raises(DataError, match="holds an unfinished preparation; give its command again"):
        opened(name="records", directory=tmp_path)
