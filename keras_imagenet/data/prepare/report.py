"""What is left beside the shards: TensorFlow Datasets' metadata, the index, copies, the quarantine list, a summary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_imagenet import files
from keras_imagenet.data.prepare.shards import Entry, write_entry
from keras_imagenet.labels import ClassList
from keras_imagenet.settings.prepare import PrepareSettings

CLASSES_FILE = "classes.tsv"
SUMMARY_FILE = "summary.json"


def index_file(directory: Path, split: str) -> Path:
    """The file of labels and names of a split, so that opening it reads no image."""
    return directory / f"index-{split}.npz"


def template(settings_name: str, directory: Path, split: str):
    """TensorFlow Datasets' own naming of a split's shards."""
    from tensorflow_datasets.core import naming

    return naming.ShardedFileTemplate(
        data_dir=directory, dataset_name=settings_name, split=split, filetype_suffix="array_record"
    )


def joined(entries: Sequence[Entry]) -> Entry:
    """The entries of a split's shards as one, in order; facts hold only what the summary tells."""
    psnr = np.concatenate([np.array(entry.facts["psnr"], np.float64) for entry in entries])
    facts = {
        "images": sum(len(entry.labels) for entry in entries),
        "seen": sum(entry.facts["seen"] for entry in entries),
        "bytes": sum(entry.facts["bytes"] for entry in entries),
        "quarantined": [item for entry in entries for item in entry.facts["quarantined"]],
        "changed": [item for entry in entries for item in entry.facts["changed"]],
        "psnr_mean": round(float(psnr.mean()), 2) if len(psnr) else None,
        "psnr_least": round(float(psnr.min()), 2) if len(psnr) else None,
    }
    return Entry(
        np.concatenate([entry.digests for entry in entries]),
        np.concatenate([entry.labels for entry in entries]),
        [name for entry in entries for name in entry.names],
        facts,
    )


def copies(splits: Mapping[str, Entry]) -> list[list[tuple[str, str, int]]]:
    """Groups of images with the same bytes, as (split, name, label); in the order of their first names."""
    names = [(split, position) for split, entry in splits.items() for position in range(len(entry.labels))]
    digests = np.concatenate([entry.digests for entry in splits.values()])
    keys = np.ascontiguousarray(digests).view(np.dtype((np.void, 16))).ravel()
    order = np.argsort(keys, kind="stable")
    begins = np.flatnonzero(np.append(True, keys[order[1:]] != keys[order[:-1]])) if len(order) else np.array([], int)
    groups = []
    for begin, end in zip(begins, np.append(begins[1:], len(order)), strict=True):
        if end - begin > 1:
            members = [names[place] for place in order[begin:end]]
            groups.append(sorted((s, splits[s].names[at], int(splits[s].labels[at])) for s, at in members))
    return sorted(groups)


def write_report(
    settings: PrepareSettings, classes: ClassList, splits: Mapping[str, Sequence[Entry]], refused: Sequence[tuple]
) -> dict[str, Any]:
    """Writes everything that stands beside the shards but the classes and the summary, which it returns.

    refused: split, name and reason of what was not read at all.
    """
    output = settings.output
    whole = {split: joined(entries) for split, entries in splits.items()}
    groups = copies(whole)
    quarantined = [*refused, *((s, *item) for s, entry in whole.items() for item in entry.facts["quarantined"])]
    changed = [(split, *item) for split, entry in whole.items() for item in entry.facts["changed"]]
    rows = [(number, *member) for number, group in enumerate(groups) for member in group]
    _write_table(output / "quarantine.tsv", ("split", "name", "reason"), quarantined)
    _write_table(output / "changed.tsv", ("split", "name", "change"), changed)
    _write_table(output / "copies.tsv", ("group", "split", "name", "label"), rows)
    for split, entry in whole.items():
        write_entry(index_file(output, split), entry)
    _write_metadata(settings, classes, splits)
    return {
        "output": str(output),
        "classes": len(classes.identifiers),
        "images": {split: entry.facts["images"] for split, entry in whole.items()},
        "bytes": {split: entry.facts["bytes"] for split, entry in whole.items()},
        "shards": {split: len(entries) for split, entries in splits.items()},
        "quarantined": len(quarantined),
        "changed": len(changed),
        "psnr_mean": {split: entry.facts["psnr_mean"] for split, entry in whole.items()},
        "psnr_least": {split: entry.facts["psnr_least"] for split, entry in whole.items()},
        "copies": sum(len(group) - 1 for group in groups),
        "copies_across_splits": sum(len({member[0] for member in group}) > 1 for group in groups),
        "copies_across_classes": sum(len({member[2] for member in group}) > 1 for group in groups),
    }


def _write_metadata(settings: PrepareSettings, classes: ClassList, splits: Mapping[str, Sequence[Entry]]) -> None:
    """dataset_info.json, features.json and the label names, so that tfds.builder_from_directory opens the folder."""
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core import dataset_info
    from tensorflow_datasets.core import splits as tfds_splits

    features = tfds.features.FeaturesDict(
        {
            "image": tfds.features.Image(shape=(None, None, 3)),
            "label": tfds.features.ClassLabel(names=list(classes.identifiers)),
            "file_name": tfds.features.Text(),
        }
    )
    identity = dataset_info.DatasetIdentity(
        name=settings.name, version=tfds.core.Version("1.0.0"), data_dir=str(settings.output), module_name=""
    )
    info = dataset_info.DatasetInfo(
        builder=identity,
        features=features,
        supervised_keys=("image", "label"),
        description="Written by keras-imagenet prepare.",
    )
    info.set_file_format("array_record")
    infos = [
        tfds.core.SplitInfo(
            name=split,
            shard_lengths=[len(entry.labels) for entry in entries],
            num_bytes=sum(entry.facts["bytes"] for entry in entries),
            filename_template=template(settings.name, settings.output, split),
        )
        for split, entries in splits.items()
    ]
    info.set_splits(tfds_splits.SplitDict(infos))
    info.write_to_directory(settings.output)


def _write_table(file: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    lines = ["\t".join(header)]
    for row in rows:
        lines.append("\t".join(str(value).replace("\t", " ").replace("\n", " ") for value in row))
    files.write(file, "\n".join(lines) + "\n")
