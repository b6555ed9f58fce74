"""Shards, and the journal that makes an interrupted preparation go on: a shard counts once its journal entry is there."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from keras_imagenet import files
from keras_imagenet.data.prepare.check import Checked

OPTIONS = "group_size:1,uncompressed"  # a record a chunk, as seeking wants; images are compressed already
In = TypeVar("In")
Out = TypeVar("Out")


@dataclass(frozen=True)
class Entry:
    """What the journal knows of a finished shard of m images.

    digests: uint8 [m, 16]. labels: int32 [m]. names: m strings. facts: bytes, seen, quarantined (name, reason),
    changed (name, change), psnr (values in dB).
    """

    digests: np.ndarray
    labels: np.ndarray
    names: list[str]
    facts: dict[str, Any]


def write_shard(shard: Path, journal: Path, images: Iterable[Checked]) -> Entry:
    """Writes the good images among them to an ArrayRecord file, and then its journal entry; each appears by rename."""
    from array_record.python.array_record_module import ArrayRecordWriter

    digests, labels, names = [], [], []
    facts: dict[str, Any] = {"bytes": 0, "seen": 0, "quarantined": [], "changed": [], "psnr": []}

    def write(part: Path) -> None:
        writer = ArrayRecordWriter(str(part), OPTIONS)
        for image in images:
            facts["seen"] += 1
            if image.stored is None:
                facts["quarantined"].append((image.name, image.fault))
                continue
            record = _example(image)
            writer.write(record)
            facts["bytes"] += len(record)
            digests.append(image.digest)
            labels.append(image.label)
            names.append(image.name)
            if image.change is not None:
                facts["changed"].append((image.name, image.change))
                facts["psnr"].append(round(image.psnr, 2))
        writer.close()

    try:
        files.write_with(shard, write)
    except RuntimeError as error:  # the writer's own, such as for a full disk
        raise OSError(f"{shard.name}: {str(error).split(';')[0]}") from error
    facts["file_size"] = shard.stat().st_size
    entry = Entry(np.frombuffer(b"".join(digests), np.uint8).reshape(-1, 16), np.array(labels, np.int32), names, facts)
    write_entry(journal, entry)
    return entry


def write_entry(file: Path, entry: Entry) -> None:
    """Writes names, labels, digests and facts as one .npz that appears by rename."""
    arrays = {"digests": entry.digests, "labels": entry.labels}
    texts = {"names": "\0".join(entry.names), "facts": json.dumps(entry.facts)}
    with files.appearing(file) as opened:
        np.savez_compressed(opened, **arrays, **{key: _bytes(text) for key, text in texts.items()})


def read_entry(file: Path) -> Entry:
    """Reads what write_entry wrote."""
    with file.open("rb") as opened, np.load(opened, allow_pickle=False) as kept:
        names = kept["names"].tobytes().decode("utf-8", "surrogateescape")
        facts = json.loads(kept["facts"].tobytes().decode())
        return Entry(kept["digests"], kept["labels"], names.split("\0") if len(kept["labels"]) else [], facts)


def finished(shard: Path, journal: Path) -> Entry | None:
    """The journal entry of a shard that is whole; None if it has to be written."""
    if not journal.exists() or not shard.exists():
        return None
    entry = read_entry(journal)
    return entry if shard.stat().st_size == entry.facts["file_size"] else None


def in_order(pool: Executor, work: Callable[[In], Out], items: Iterable[In], at_once: int) -> Iterator[Out]:
    """Results in the order of items, at_once of them begun at a time: so many images are in memory, and no more."""
    begun: deque[Future[Out]] = deque()
    for item in items:
        begun.append(pool.submit(work, item))
        if len(begun) == at_once:
            yield begun.popleft().result()
    while begun:
        yield begun.popleft().result()


def _example(image: Checked) -> bytes:
    import tensorflow as tf

    def feature(value: bytes) -> tf.train.Feature:
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))

    label = tf.train.Feature(int64_list=tf.train.Int64List(value=[image.label]))
    features = {"image": feature(image.stored), "label": label, "file_name": feature(_encoded(image.name))}
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def _bytes(text: str) -> np.ndarray:
    return np.frombuffer(_encoded(text), np.uint8)


def _encoded(text: str) -> bytes:
    """UTF-8, or of names that are not the bytes that they are to the disk."""
    return text.encode("utf-8", "surrogateescape")
