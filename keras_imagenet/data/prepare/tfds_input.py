"""A set of TensorFlow Datasets as input: ArrayRecord, and TFRecord through an index of where its records lie."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np

from keras_imagenet.data.prepare.item import Item, Split, order_of_labels
from keras_imagenet.data.sources.array_records import records_of, size_of
from keras_imagenet.data.sources.source import fingerprint
from keras_imagenet.data.sources.tfds import find_builder, has_several_labels, image_and_label
from keras_imagenet.errors import DataError
from keras_imagenet.files import read_at
from keras_imagenet.labels import ClassList, spelt
from keras_imagenet.settings.prepare import PrepareSettings

SPLITS = {"train": ("train",), "validation": ("validation", "val", "test")}
NAME_FEATURES = ("file_name", "filename", "image/filename", "id")


def open_tfds(settings: PrepareSettings) -> tuple[ClassList, list[Split]]:
    """The label order and the splits train and validation (else test) of a set that is prepared in TFDS already."""
    builder = find_builder(settings.tfds, settings.tfds_directory)
    if has_several_labels(builder):
        raise DataError(
            f"tfds: {settings.tfds} has several labels an image, which shards do not hold; "
            f"`tfds build {settings.tfds} --file_format array_record` makes it readable as data.source.name tfds"
        )
    image, label, found = image_and_label(builder)
    classes, wanted = order_of_labels(settings, found)
    places = {spelt(identifier): place for place, identifier in enumerate(classes.identifiers)}
    labels = [places.get(name, -1) if name in wanted else -1 for name in found.identifiers]
    splits = []
    for name, candidates in SPLITS.items():
        chosen = next((candidate for candidate in candidates if candidate in builder.info.splits), None)
        if chosen is None:
            continue
        info = builder.info.splits[chosen]
        files, directory = [Path(file) for file in info.filepaths], Path(builder.data_dir)
        sizes = np.array([size_of(file, directory) for file in files], np.int64)
        suffix = builder.info.file_format.value
        if suffix == "tfrecord":
            read_record, count = tfrecord_reader(files)
        elif suffix == "array_record":
            records = records_of(info, directory)
            read_record, count = records.__getitem__, len(records)
        else:
            raise DataError(f"{builder.data_dir}: is in {suffix}; must be array_record or tfrecord")

        def read(number: int, read_record=read_record, split=chosen) -> Item:
            try:
                return _item(read_record(number), number, split, image, label, labels)
            except OSError as error:
                return Item(f"{split}[{number}]", 0, b"", f"cannot be read: {error.strerror}")

        splits.append(Split(name, count, read, fingerprint([file.name for file in files], sizes)))
    if not splits:
        raise DataError(
            f"{builder.data_dir}: has the splits {', '.join(builder.info.splits)}; expected train or validation"
        )
    return classes, splits


def tfrecord_reader(files: list[Path]) -> tuple[Callable[[int], bytes], int]:
    """Reads records of TFRecord files by number, and how many there are.

    A record is its length (uint64), a checksum of it, that many bytes, and their checksum (uint32 each): the format's
    description in TensorFlow's guide to TFRecord. One pass over the lengths finds every record; checksums are not read.
    """
    places: list[tuple[int, int, int]] = []
    descriptors = []
    for number, file in enumerate(files):
        descriptor = os.open(file, os.O_RDONLY)
        descriptors.append(descriptor)
        end, position = os.fstat(descriptor).st_size, 0
        while position < end:
            header = read_at(descriptor, 8, position)
            length = struct.unpack("<Q", header)[0] if len(header) == 8 else end
            if position + 16 + length > end:
                raise DataError(f"{file}: is cut off or damaged at byte {position:,}")
            places.append((number, position + 12, length))
            position += 16 + length
    table = np.array(places, np.int64).reshape(-1, 3)

    def read(number: int) -> bytes:
        file, offset, length = map(int, table[number])
        return read_at(descriptors[file], length, offset)

    return read, len(table)


def _item(record: bytes, number: int, split: str, image: str, label: str, labels: list[int]) -> Item:
    import tensorflow as tf
    from google.protobuf.message import DecodeError

    try:
        features = tf.train.Example.FromString(record).features.feature
    except DecodeError:
        return Item(f"{split}[{number}]", 0, b"", "its record is damaged")
    named = next((name for name in NAME_FEATURES if name in features and features[name].bytes_list.value), None)
    name = features[named].bytes_list.value[0].decode("utf-8", "replace") if named else f"{split}[{number}]"
    encoded, given = features[image].bytes_list.value, features[label].int64_list.value
    if not given or not 0 <= given[0] < len(labels):
        return Item(name, 0, b"", f"has the label {given[0] if given else None}; must be 0 to {len(labels) - 1}")
    return Item(name, labels[given[0]], encoded[0] if encoded else b"")
