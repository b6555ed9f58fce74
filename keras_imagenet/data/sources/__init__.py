"""Where images come from. Each kind of storage has a file; what it opens is described in source.py."""

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from keras_imagenet.data.sources.arrays import open_arrays
from keras_imagenet.data.sources.digits import open_digits
from keras_imagenet.data.sources.folder import open_folder
from keras_imagenet.data.sources.left_out import left_out_lines
from keras_imagenet.data.sources.manifest import open_manifest
from keras_imagenet.data.sources.names import require_one_case
from keras_imagenet.data.sources.source import Source, Splits
from keras_imagenet.data.sources.splits import require_validation
from keras_imagenet.data.sources.tfds import open_records, open_tfds
from keras_imagenet.errors import DataError
from keras_imagenet.labels import ClassList, require_writable, write_classes
from keras_imagenet.settings.data import DataSettings, SourceSettings

__all__ = ["Source", "Splits", "left_out_lines", "open_labelled", "open_source", "open_with_also", "require_validation"]

_OPENERS = {
    "digits": open_digits,
    "arrays": open_arrays,
    "folder": open_folder,
    "csv": open_manifest,
    "records": open_records,
    "tfds": open_tfds,
}


def open_source(settings: SourceSettings) -> Splits:
    """Opens the source that the settings name. Raises DataError if it cannot be used."""
    splits = _OPENERS[settings.name](settings)
    require_writable(ClassList(splits.classes, splits.class_names), "data.source")
    if settings.classes is None:
        require_one_case(splits)
    return splits


def open_labelled(settings: SourceSettings, classes_file: Path | None) -> Splits:
    """As open_source, its labels in the order of a file, by the names of classes, unless the settings name another file."""
    return open_source(settings.model_copy(update={"classes": settings.classes or classes_file}))


def open_with_also(settings: DataSettings) -> Splits:
    """As open_source, and the further sets, of each its validation split or else all of it, labelled as the source's classes are.

    Raises DataError, naming the set, where one cannot be used or has a class that the source has not.
    """
    splits = open_source(settings.source)
    return replace(splits, also=dict(_also(settings.also, splits))) if settings.also else splits


def _also(asked: Mapping[str, SourceSettings], splits: Splits) -> Iterator[tuple[str, Source]]:
    with tempfile.TemporaryDirectory() as folder:
        order = Path(folder) / "classes.tsv"
        write_classes(order, ClassList(splits.classes, splits.class_names))
        for name, settings in asked.items():
            try:
                found = open_labelled(settings, order)
            except DataError as error:
                raise DataError(f"data.also.{name}: {str(error).replace(str(order), 'data.source')}") from error
            source = found.validation or found.train
            if source.classes != splits.classes:
                raise DataError(
                    f"data.also.{name}: its {len(source.classes)} classes are not data.source's {len(splits.classes)}, or in "
                    "another order; leave its own list of classes out, and it is labelled by their names"
                )
            yield name, source
