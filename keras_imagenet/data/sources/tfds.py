"""Classification sets of TensorFlow Datasets in ArrayRecord, the shards that `keras-imagenet prepare` writes among them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_imagenet.data.sources.array_records import Records, records_of
from keras_imagenet.data.sources.source import Source, Splits, fingerprint, subset
from keras_imagenet.data.sources.splits import split
from keras_imagenet.data.sources.tfds_folder import FEATURES_FILE, INFO_FILE, require_harmless
from keras_imagenet.errors import DataError, SettingsError, nearest
from keras_imagenet.labels import ClassList, from_identifiers, label_of, numbered, read_classes, spelt
from keras_imagenet.settings.data import RecordsSource, TfdsSource

if TYPE_CHECKING:
    import tensorflow as tf

VALIDATION = ("validation", "val", "test")
SEVERAL_LABELS = "real_label"
"""A feature of imagenet2012_real: all labels that people gave an image (arXiv:2006.07159), for some images none."""


def open_tfds(settings: TfdsSource) -> Splits:
    """The set's splits, by TFDS names ("train", "train[:90%]"); downloaded and prepared first where it is not yet.

    Raises DataError if there is no such set, it has no image and label, or is not in ArrayRecord.
    """
    builder = find_builder(settings.dataset, settings.directory, download=True)
    _require_array_record(builder, settings)
    _, _, found = image_and_label(builder)
    classes = found if settings.classes is None else _reordered(settings.classes, found)
    names = {"train": settings.train_split, "validation": settings.validation_split or _validation(builder)}
    opened = {
        key: _open_split(builder, name, found, classes) if name is not None and _has(builder, name, settings) else None
        for key, name in names.items()
    }
    return split(settings, opened["train"], opened["validation"])


def open_records(settings: RecordsSource) -> Splits:
    """Splits of shards written by `keras-imagenet prepare`, whose labels and names lie beside them."""
    directory = settings.directory
    if not (directory / "classes.tsv").is_file() or not (directory / "summary.json").is_file():
        state = (
            "holds an unfinished preparation; give its command again"
            if (directory / ".journal").is_dir()
            else (
                "holds no shards; keras-imagenet prepare writes them"
                if directory.is_dir()
                else "there is no such folder"
            )
        )
        raise DataError(f"{directory}: {state}")
    builder = builder_from(directory)
    found = read_classes(directory / "classes.tsv")
    classes = found if settings.classes is None else _reordered(settings.classes, found)
    opened = {
        name: _open_split(builder, name, found, classes, directory / f"index-{name}.npz")
        if name in builder.info.splits
        else None
        for name in ("train", "validation")
    }
    return split(settings, opened["train"], opened["validation"])


def builder_from(directory: Path) -> Any:
    """TFDS' builder of a folder that holds dataset_info.json. DataError if that is not readable, or not harmless."""
    import tensorflow_datasets as tfds

    require_harmless(directory)
    try:
        return tfds.builder_from_directory(directory)
    except Exception as error:  # whatever TFDS meets in files that it did not write
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise DataError(f"{directory}: not a readable set of TensorFlow Datasets: {reason}") from error


def find_builder(dataset: str, directory: Path | None, *, download: bool = False) -> Any:
    """TFDS' builder of a set by name, or of one found below directory. DataError if there is none or it is not prepared."""
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core.utils import file_utils

    own = None if directory is None else directory / dataset.replace(":", "/")
    for place in () if own is None else (own, *sorted(own.glob("*"), reverse=True)):
        if (place / INFO_FILE).is_file():
            return builder_from(place)
    # TFDS, too, looks for the set's files before it makes them: SET/VERSION or SET/CONFIG/VERSION in its folders.
    for root in map(Path, file_utils.list_data_dirs(directory)):
        for file in (root / dataset.split("/")[0].split(":")[0]).glob(f"**/{FEATURES_FILE}"):
            require_harmless(file.parent)
    try:
        builder = tfds.builder(dataset, data_dir=directory, **({"file_format": "array_record"} if download else {}))
    except tfds.core.DatasetNotFoundError:
        hint = nearest(dataset.split("/")[0].split(":")[0], tfds.list_builders())
        raise DataError(f"tfds: there is no set {dataset}{hint}") from None
    except (ValueError, AssertionError) as error:
        raise DataError(f"tfds: {dataset}: {next(iter(str(error).splitlines()), '')}") from None
    if not builder.is_prepared() and not download:
        raise DataError(f"tfds: {dataset} is not prepared in {builder.data_dir}; tfds build {dataset} does that")
    if not builder.is_prepared():
        try:
            builder.download_and_prepare()
        except Exception as error:  # whatever a download meets: no network, a full disk, a manual download wanted
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            raise DataError(f"tfds: {dataset} could not be downloaded and prepared: {reason}") from error
    return builder


def image_and_label(builder: Any) -> tuple[str, str, ClassList]:
    """Names of the image and the label feature of a set, and its classes. DataError if it is not for classification."""
    import tensorflow_datasets as tfds

    features = builder.info.features
    image = next((name for name, feature in features.items() if isinstance(feature, tfds.features.Image)), None)
    labels = [name for name, feature in features.items() if isinstance(feature, tfds.features.ClassLabel)]
    preferred = (builder.info.supervised_keys or (None, None))[1]
    if image is None or not labels:
        raise DataError(
            f"tfds: {builder.info.name} has the features {', '.join(features)}; expected an image and a class"
        )
    label = preferred if preferred in labels else "label" if "label" in labels else labels[0]
    names = features[label].names or [str(number) for number in range(features[label].num_classes)]
    return image, label, from_identifiers([spelt(name) for name in names])


def has_several_labels(builder: Any) -> bool:
    """Whether a set holds a list of right labels for each image."""
    import tensorflow_datasets as tfds

    if SEVERAL_LABELS not in builder.info.features:
        return False
    feature = builder.info.features[SEVERAL_LABELS]
    return isinstance(feature, tfds.features.Sequence) and isinstance(feature.feature, tfds.features.ClassLabel)


def _require_array_record(builder: Any, settings: TfdsSource) -> None:
    file_format = builder.info.file_format.value
    if file_format != "array_record" and has_several_labels(builder):
        raise DataError(
            f"{builder.data_dir}: is in {file_format}, which cannot be read in any order; remove it and run tfds build "
            f"{settings.dataset} --file_format array_record"
        )
    if file_format != "array_record":
        where = "" if settings.directory is None else f" --tfds_directory {settings.directory}"
        raise DataError(
            f"{builder.data_dir}: is in {file_format}, which cannot be read in any order; run keras-imagenet prepare "
            f"--tfds {settings.dataset}{where} --output FOLDER, and then use --data.source.name records"
        )


def _validation(builder: Any) -> str | None:
    return next((name for name in VALIDATION if name in builder.info.splits), None)


def _has(builder: Any, name: str, settings: TfdsSource) -> bool:
    """Whether a split is there; a default one may be missing, one that was asked for may not."""
    plain = name.split("[")[0]
    if plain in builder.info.splits:
        return True
    if name == settings.validation_split or "train_split" in settings.model_fields_set:
        raise SettingsError(
            f"data.source: {settings.dataset} has no split {plain}; it has {', '.join(builder.info.splits)}"
        )
    return False


def _reordered(file: Path, found: ClassList) -> ClassList:
    """The file's classes, which must hold all that were found; where those are but numbers, its lines name them."""
    if all(identifier.isdigit() for identifier in found.identifiers):
        return numbered(file, len(found.identifiers), "the data")
    classes = read_classes(file)
    label_of(found.identifiers, classes, file, "the data's class")
    return classes


def _open_split(builder: Any, name: str, found: ClassList, classes: ClassList, index: Path | None = None) -> Source:
    image, label, _ = image_and_label(builder)
    records = records_of(builder.info.splits[name], Path(builder.data_dir))
    place = {spelt(identifier): number for number, identifier in enumerate(classes.identifiers)}
    new_label = np.array([place.get(spelt(key), number) for number, key in enumerate(found.identifiers)], np.int32)
    sizes = [part.file.stat().st_size for part in records.parts]
    parts = [
        f"{part.file.name} {part.first} {part.count} {size}" for part, size in zip(records.parts, sizes, strict=True)
    ]
    print_of = fingerprint("records", parts, classes.identifiers)
    answers = None
    if index is not None:
        from keras_imagenet.data.sources.index import read_index

        labels, names = read_index(index, len(records), len(found.identifiers), sum(sizes))
    else:
        several = has_several_labels(builder)
        labels = _scan(records, label, SEVERAL_LABELS if several else None, builder, name, print_of)
        _require_labels(labels, len(found.identifiers), f"{builder.data_dir}: {name}")
        names = [f"{name}[{i}]" for i in range(len(records))]
        if several:
            answers = np.append(new_label, -1).astype(np.int32)[labels[:, 1:]]  # -1 for none finds the appended -1
            labels = labels[:, 0]
    source = Source(
        classes=classes.identifiers,
        class_names=classes.names,
        labels=new_label[labels],
        names=names,
        fingerprint=fingerprint(print_of, labels),
        read=record_reader(records, image),
        answers=answers,
    )
    if answers is None:
        return source
    answered = np.flatnonzero((answers >= 0).any(axis=1))
    without = {"without a label": len(source) - len(answered)} if len(answered) < len(source) else {}
    return replace(subset(source, answered), skipped=without)


def record_reader(records: Records, image: str) -> Callable[[tf.Tensor], tf.Tensor]:
    """index -> the bytes of one feature of a record: fetched through Python, without its lock while reading; parsed by TensorFlow."""

    def read(index: tf.Tensor) -> tf.Tensor:
        import tensorflow as tf

        record = tf.numpy_function(lambda number: records[int(number)], [index], tf.string, stateful=False)
        record.set_shape([])
        return tf.io.parse_single_example(record, {image: tf.io.FixedLenFeature([], tf.string)})[image]

    return read


def _scan(records: Records, label: str, several: str | None, builder: Any, name: str, print_of: str) -> np.ndarray:
    """Labels of all records, int32 [n], by one pass over them that is remembered in the user's cache folder.

    With the name of a feature of several labels: int32 [n, 1 + m], the label and then those, padded with -1.
    """
    from keras_imagenet.data.sources.index import remembered

    def scan() -> np.ndarray:
        import tensorflow as tf

        wanted = {label: tf.io.FixedLenFeature([], tf.int64, default_value=-1)}
        if several is not None:
            wanted[several] = tf.io.RaggedFeature(tf.int64)
        rows: list[list[int]] = []
        for begin in range(0, len(records), 1024):
            batch = [_record(records, number) for number in range(begin, min(begin + 1024, len(records)))]
            parsed = _parsed(batch, wanted)
            lists = [[]] * len(batch) if several is None else parsed[several].to_list()
            found = parsed[label].numpy().tolist()
            # A record that is damaged stays in its place, where whoever reads its image finds that out.
            rows += [[one if record else 0, *more] for record, one, more in zip(batch, found, lists, strict=True)]
        table = np.full((len(rows), max(map(len, rows), default=1)), -1, np.int32)
        for number, row in enumerate(rows):
            table[number, : len(row)] = row
        return table[:, 0] if several is None else table

    return remembered(fingerprint(str(builder.data_dir), name, print_of, *([several] if several else [])), scan)


def _record(records: Records, number: int) -> bytes:
    """A record; nothing for one that is damaged."""
    try:
        return records[number]
    except OSError:
        return b""


def _parsed(batch: list[bytes], wanted: dict[str, Any]) -> dict[str, Any]:
    """Features of records; those that are no examples are emptied in `batch`."""
    import tensorflow as tf

    damage = tf.errors.InvalidArgumentError, UnicodeDecodeError  # the latter where its message quotes the record
    try:
        return tf.io.parse_example(tf.constant(batch), wanted)
    except damage:
        for number, record in enumerate(batch):
            try:
                tf.io.parse_single_example(record, wanted)
            except damage:
                batch[number] = b""
        return tf.io.parse_example(tf.constant(batch), wanted)


def _require_labels(labels: np.ndarray, classes: int, name: str) -> None:
    """DataError where a record has no label, or one of another set of classes. labels: as _scan returns them."""
    first = labels if labels.ndim == 1 else labels[:, 0]
    for wrong in np.flatnonzero((first < 0) | (labels.reshape(len(labels), -1).max(1, initial=-1) >= classes))[:1]:
        raise DataError(f"{name}[{wrong}]: has the label {labels[wrong].max()}; must be 0 to {classes - 1}")
