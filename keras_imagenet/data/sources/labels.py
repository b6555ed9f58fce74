"""The label order, written down in a file: so that a folder that lacks classes, or sorts otherwise, is labelled rightly."""

from __future__ import annotations

import csv
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from keras_imagenet import files
from keras_imagenet.errors import DataError, nearest

MAXIMUM_BYTES = 64 * 2**20  # a million classes


@dataclass(frozen=True)
class ClassList:
    """Classes in label order. identifiers: what folders and manifests call them. names: what people call them."""

    identifiers: tuple[str, ...]
    names: tuple[str, ...]


def read_classes(file: Path) -> ClassList:
    """Reads a file of one name a line, or a TSV whose header has a column `wnid` and, if there, `index` and `name`.

    Rows of a TSV stand in the order of `index`, which must count from 0, or in the file's where there is none.
    Raises DataError if the file is missing, empty, not UTF-8, or names a class twice.
    """
    try:
        lines = files.read_text(file, MAXIMUM_BYTES, encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise DataError(f"data.source.classes: {file}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise DataError(f"data.source.classes: {file}: not UTF-8 text (byte {error.start})") from None
    lines = [unicodedata.normalize("NFC", line.strip()) for line in lines if line.strip()]
    if not lines:
        raise DataError(
            f"data.source.classes: {file}: holds no class; expected one name a line, or a TSV with a wnid column"
        )
    header = lines[0].split("\t")
    listed = _from_table(file, header, lines[1:]) if "wnid" in header else ClassList(tuple(lines), tuple(lines))
    seen: set[str] = set()
    for identifier in listed.identifiers:
        if identifier in seen:
            raise DataError(f"data.source.classes: {file}: names {identifier} twice")
        seen.add(identifier)
    return listed


def from_identifiers(identifiers: Sequence[str]) -> ClassList:
    """Classes about which nothing is known but what they are called, in the order given."""
    return ClassList(tuple(identifiers), tuple(identifiers))


def numbered(file: Path | None, count: int, what: str) -> ClassList:
    """Classes of data whose labels are numbers below count: those of the file, or "0", "1", ... where there is none."""
    if file is None:
        return from_identifiers([str(label) for label in range(count)])
    classes = read_classes(file)
    if len(classes.identifiers) < count:
        raise DataError(
            f"data.source.classes: {file}: names {len(classes.identifiers)} classes, but {what} hold {count}"
        )
    return classes


def label_of(found: Sequence[str], classes: ClassList, file: Path | str, what: str) -> dict[str, int]:
    """Label of each identifier; DataError naming the first found in the data (as `what`) that the file does not hold."""
    labels = {identifier: label for label, identifier in enumerate(classes.identifiers)}
    for identifier in found:
        if identifier not in labels:
            hint = nearest(identifier, classes.identifiers)
            raise DataError(f"{what} {identifier} is not among the {len(labels)} classes of {file}{hint}")
    return labels


def _from_table(file: Path, header: list[str], lines: list[str]) -> ClassList:
    rows = list(csv.DictReader(lines, fieldnames=header, delimiter="\t", quoting=csv.QUOTE_NONE))
    for number, row in enumerate(rows, start=2):
        if None in row or None in row.values():
            raise DataError(
                f"data.source.classes: {file}: row {number} does not have the header's {len(header)} columns"
            )
    if not rows:
        raise DataError(f"data.source.classes: {file}: holds a header but no class")
    if "index" in header:
        try:
            rows.sort(key=lambda row: int(row["index"]))
        except ValueError:
            raise DataError(f"data.source.classes: {file}: the column index must hold whole numbers") from None
        if [int(row["index"]) for row in rows] != list(range(len(rows))):
            raise DataError(f"data.source.classes: {file}: the column index must count 0, 1, ... {len(rows) - 1}")
    return ClassList(tuple(row["wnid"] for row in rows), tuple(row.get("name") or row["wnid"] for row in rows))
