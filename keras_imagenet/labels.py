"""The label order, written down in a file: so that a folder that lacks classes, or sorts otherwise, is labelled rightly."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from keras_imagenet import files
from keras_imagenet.errors import DataError, nearest

WNID = "wnid"
HEADER = ("index", WNID, "name")
MAXIMUM_BYTES = 64 * 2**20  # a million classes
MAXIMUM_CLASSES = 2**20


@dataclass(frozen=True)
class ClassList:
    """Classes in label order. identifiers: what folders and manifests call them. names: what people call them."""

    identifiers: tuple[str, ...]
    names: tuple[str, ...]


def read_classes(file: Path) -> ClassList:
    """Reads a file of one name a line, or a TSV whose header has a column `wnid` and, if there, `index` and `name`.

    Blanks around a line that is no row of a TSV do not count, nor do empty lines. Rows of a TSV stand in the order of `index`,
    which must count from 0, or in the file's where there is none. Raises DataError if the file is missing, empty, not UTF-8,
    or names a class twice.
    """
    try:
        text = files.read_text(file, MAXIMUM_BYTES, encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"{file}: the list of classes cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{file}: not UTF-8 text (byte {error.start})") from None
    lines = [line for line in text.split("\n") if line.strip()]  # splitlines would split names at U+2028, too
    if not lines:
        raise DataError(f"{file}: holds no class; expected one name a line, or a TSV with a wnid column")
    header = lines[0].strip().split("\t")
    named = from_identifiers([line.strip() for line in lines])
    classes = _from_table(file, header, lines[1:]) if WNID in header else named
    _require_distinct(file, classes)
    return classes


def write_classes(file: Path, classes: ClassList) -> None:
    """Writes what read_classes reads back as it is: a TSV, or one name a line where that says all and the file is no .tsv.

    Raises DataError, naming the class, where one cannot be written down, and OSError.
    """
    if not classes.identifiers:
        raise DataError(f"{file}: there is no class to write down")
    _require_distinct(file, classes)
    plain = file.suffix != ".tsv" and _fits_lines(classes)
    require_writable(classes, file, plain=plain)
    if plain:
        files.write(file, "".join(f"{identifier}\n" for identifier in classes.identifiers))
        return
    rows = enumerate(zip(classes.identifiers, classes.names, strict=True))
    files.write(
        file, "".join(["\t".join(HEADER) + "\n", *(f"{index}\t{wnid}\t{name}\n" for index, (wnid, name) in rows)])
    )


def require_writable(classes: ClassList, where: Path | str, *, plain: bool = False) -> None:
    """Raises DataError that begins with `where` and names the class, where one does not fit a table, or lines if plain."""
    unfit = re.compile(r"[\r\n\ud800-\udfff]" if plain else r"[\t\r\n\ud800-\udfff]")
    for identifier, name in zip(classes.identifiers, classes.names, strict=True):
        if unfit.search(identifier + name):
            raise DataError(
                f"{where}: the class {identifier!r} cannot be written down: tabs, line ends, not valid text"
            )
        if identifier and not name:
            raise DataError(f"{where}: the class {identifier!r} cannot be written down: its name is empty")


def spelt(name: str) -> str:
    """A name in Unicode's composed form (NFC): the accents of one name are stored in two ways, by macOS and by others."""
    return unicodedata.normalize("NFC", name)


def from_identifiers(identifiers: Sequence[str]) -> ClassList:
    """Classes about which nothing is known but what they are called, in the order given."""
    return ClassList(tuple(identifiers), tuple(identifiers))


def numbered(file: Path | None, count: int, what: str) -> ClassList:
    """Classes of data whose labels are numbers below count: those of the file, or "0", "1", ... where there is none."""
    if file is None:
        if count > MAXIMUM_CLASSES:
            raise DataError(f"{what} go up to {count - 1:,}; they must count 0, 1, ... below {MAXIMUM_CLASSES:,}")
        return from_identifiers([str(label) for label in range(count)])
    classes = read_classes(file)
    if len(classes.identifiers) < count:
        raise DataError(
            f"data.source.classes: {file}: names {len(classes.identifiers)} classes, but {what} hold {count}"
        )
    return classes


def label_of(found: Sequence[str], classes: ClassList, file: Path | str, what: str) -> dict[str, int]:
    """Label of each identifier, spelt in one way; DataError naming the first found in the data (as `what`) that the file
    does not hold."""
    labels = {spelt(identifier): label for label, identifier in enumerate(classes.identifiers)}
    for identifier in found:
        if spelt(identifier) not in labels:
            hint = nearest(identifier, classes.identifiers)
            raise DataError(f"{what} {identifier} is not among the {len(labels)} classes of {file}{hint}")
    return labels


def _fits_lines(classes: ClassList) -> bool:
    """Whether lines of identifiers hold all: as many names, no blanks to lose, and a first line that is not a header."""
    stripped = all(identifier and identifier == identifier.strip() for identifier in classes.identifiers)
    first = classes.identifiers[0]
    return classes.identifiers == classes.names and stripped and WNID not in first.split("\t") and first[0] != "\ufeff"


def _require_distinct(file: Path, classes: ClassList) -> None:
    seen: set[str] = set()
    for identifier in classes.identifiers:
        if spelt(identifier) in seen:
            raise DataError(f"{file}: names {identifier} twice")
        seen.add(spelt(identifier))


def _from_table(file: Path, header: list[str], lines: list[str]) -> ClassList:
    rows = [line.split("\t") for line in lines]
    for number, row in enumerate(rows, start=2):
        if len(row) != len(header):
            raise DataError(f"{file}: row {number} does not have the header's {len(header)} columns")
    if not rows:
        raise DataError(f"{file}: holds a header but no class")
    columns = dict(zip(header, zip(*rows, strict=True), strict=True))
    order = range(len(rows))
    if "index" in columns:
        try:
            indices = [int(index) for index in columns["index"]]
        except ValueError:
            raise DataError(f"{file}: the column index must hold whole numbers") from None
        if sorted(indices) != list(order):
            raise DataError(f"{file}: the column index must count 0, 1, ... {len(rows) - 1}")
        order = sorted(order, key=indices.__getitem__)
    identifiers = tuple(columns[WNID][row] for row in order)
    names = tuple(columns.get("name", columns[WNID])[row] for row in order)
    return ClassList(identifiers, tuple(name or wnid for wnid, name in zip(identifiers, names, strict=True)))
