"""A CSV manifest: a line an image, with the columns path, label and, if there, split and group."""

from __future__ import annotations

import csv
import io
import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_imagenet import files
from keras_imagenet.data.sources.contents import contents
from keras_imagenet.data.sources.folder import TRAIN, VALIDATION, file_reader, side_of
from keras_imagenet.data.sources.source import Source, Splits, fingerprint
from keras_imagenet.data.sources.splits import split
from keras_imagenet.errors import DataError
from keras_imagenet.labels import ClassList, from_identifiers, label_of, read_classes, spelt
from keras_imagenet.settings.data import CsvSource

MAXIMUM_BYTES = 2**30  # of the manifest; ten million lines


@dataclass(frozen=True)
class _Row:
    line: int
    path: str
    label: str
    split: str
    group: str


def open_manifest(settings: CsvSource) -> Splits:
    """The manifest's splits. split: one of TRAIN (also where it is empty) or of VALIDATION, in any case.

    Labels follow settings.classes; without it, their order is numerical where all are whole numbers and that of code
    points otherwise. Examples of one group (a patient, a place) stay on one side of a fraction or of folds.
    Raises DataError, naming the line, if the manifest lacks a column or a value, names an image twice or one that is not
    there, or puts a group into both splits.
    """
    rows = _read(settings.file)
    directory = settings.directory or settings.file.parent
    classes = _classes(settings, rows)
    _check_groups(settings.file, rows)
    sides = [[row for row in rows if row.split == side] for side in ("train", "validation")]
    train, validation = (_source(settings.file, directory, side, classes) if side else None for side in sides)
    keys = [row.group or row.path for row in sides[0]]
    return split(settings, train, validation, keys)


def _read(file: Path) -> list[_Row]:
    try:
        # Paths are bytes to the disk, and may be other text than UTF-8.
        text = files.read_text(file, MAXIMUM_BYTES, encoding="utf-8-sig", errors="surrogateescape", newline="")
        reader = csv.DictReader(
            io.StringIO(text, newline=""), delimiter="\t" if file.suffix.lower() == ".tsv" else ",", strict=True
        )
        header = reader.fieldnames = [name.strip() for name in reader.fieldnames or []]
        for column in ("path", "label"):
            if column not in header:
                found = ", ".join(header) or "nothing"
                raise DataError(f"{file}: lacks the column {column}; its first line holds {found}; expected path,label")
            if header.count(column) > 1:
                raise DataError(f"{file}: has {header.count(column)} columns called {column}")
        rows = [_row(file, reader.line_num, values) for values in reader]
    except OSError as error:
        raise DataError(f"{file}: {error.strerror}") from None
    except csv.Error as error:
        raise DataError(f"{file}: not a CSV file in UTF-8 ({error})") from None
    if not rows:
        raise DataError(f"{file}: holds a header but no image")
    lines: dict[str, int] = {}
    for row in rows:
        if (before := lines.setdefault(os.path.normpath(row.path), row.line)) != row.line:  # ./a.png is a.png
            raise DataError(f"{file}: line {row.line}: {row.path} stands on line {before} already")
    return rows


def _row(file: Path, line: int, values: dict[str | None, str | None]) -> _Row:
    if None in values or None in values.values():
        raise DataError(f"{file}: line {line}: does not have the header's {len(values) - (None in values)} columns")
    path, label, side, group = (values.get(column, "").strip() for column in ("path", "label", "split", "group"))
    row = _Row(line, path, spelt(label), "train" if not side else side_of(side) or "", group)
    for column in ("path", "label"):
        if not getattr(row, column):
            raise DataError(f"{file}: line {line}: {column} is empty")
    if re.search(r"[\ud800-\udfff]", label + side + group):
        raise DataError(f"{file}: line {line}: not in UTF-8, as all but paths must be")
    if not row.split:
        right = f"{TRAIN[0]} or one of {', '.join(VALIDATION)}"
        raise DataError(f"{file}: line {line}: split = {side}: must be {right}")
    return row


def _classes(settings: CsvSource, rows: list[_Row]) -> ClassList:
    found = {row.label for row in rows}
    if settings.classes is None:
        numbers = all(re.fullmatch("[0-9]{1,18}", label) for label in found)
        # 1 and 01 are one number and two classes, whose order must not be that of a set.
        return from_identifiers(sorted(found, key=lambda label: (int(label), label)) if numbers else sorted(found))
    classes = read_classes(settings.classes)
    label_of([row.label for row in rows], classes, settings.classes, f"{settings.file}: the label")
    return classes


def _check_groups(file: Path, rows: list[_Row]) -> None:
    sides: dict[str, str] = {}
    for row in rows:
        if row.group and sides.setdefault(row.group, row.split) != row.split:
            raise DataError(f"{file}: line {row.line}: group {row.group} is in training and in validation")


def _source(file: Path, directory: Path, rows: list[_Row], classes: ClassList) -> Source:
    label = {spelt(identifier): index for index, identifier in enumerate(classes.identifiers)}
    labels = np.array([label[row.label] for row in rows], np.int32)
    paths = [row.path for row in rows]
    sizes, times = np.empty((2, len(rows)), np.int64)
    for position, row in enumerate(rows):
        try:
            found = files.look(directory / row.path)
        except OSError as error:
            raise DataError(f"{file}: line {row.line}: {directory / row.path}: {error.strerror}") from None
        if found.st_size > files.MAXIMUM_IMAGE:
            raise DataError(
                f"{file}: line {row.line}: {directory / row.path}: is larger than {files.MAXIMUM_IMAGE / 2**20:g} MiB"
            )
        sizes[position], times[position] = found.st_size, found.st_mtime_ns
    return Source(
        classes=classes.identifiers,
        class_names=classes.names,
        labels=labels,
        names=paths,
        fingerprint=fingerprint(
            "csv", paths, labels, sizes, contents(directory, paths, sizes, times), classes.identifiers
        ),
        read=file_reader(directory, paths),
    )
