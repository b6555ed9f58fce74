"""ILSVRC2012 as Kaggle hands it out: train/WNID/FILE, but val flat, the class of whose images a table says."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

from keras_imagenet import files
from keras_imagenet.data.sources.listing import Listing, list_flat, list_images
from keras_imagenet.data.sources.names import class_folder
from keras_imagenet.errors import DataError
from keras_imagenet.labels import ClassList, from_identifiers, spelt

PHOTOS = "ILSVRC/Data/CLS-LOC"
"""Where the photos lie below the folder that the archive was unpacked into."""
TRUTH = "LOC_val_solution.csv"
NAMES = "LOC_synset_mapping.txt"
MAXIMUM_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Labelled:
    """The images of one split: where they lie, which there are, and the class of each."""

    folder: Path
    listing: Listing
    classes: list[str]


def archive_of(directory: Path) -> Path | None:
    """The folder that the archive was unpacked into, of which `directory` is one, or on the way from it to the photos."""
    place = directory.absolute()
    for archive in (place, *place.parents[:3]):
        on_the_way = (archive / PHOTOS).is_relative_to(place)
        if on_the_way and (archive / TRUTH).is_file() and (archive / PHOTOS).is_dir():
            return archive
    return None


def labelled(archive: Path) -> tuple[ClassList, dict[str, Labelled]]:
    """The label order, wnids as everywhere, and the splits train and val that are there.

    Raises DataError for a table that cannot be read, and for an image of val that it says nothing of.
    """
    found: dict[str, Labelled] = {}
    if (folder := archive / PHOTOS / "train").is_dir():
        listing = list_images(folder)
        found["train"] = Labelled(folder, listing, [class_folder(path) for path in listing.paths])
    if (folder := archive / PHOTOS / "val").is_dir():
        listing, truth = list_flat(folder), _truth(archive / TRUTH)
        unknown = [path for path in listing.paths if Path(path).stem not in truth]
        if unknown:
            raise DataError(f"{archive / TRUTH}: says nothing of {unknown[0]}, one of {len(unknown):,} images so")
        found["val"] = Labelled(folder, listing, [truth[Path(path).stem] for path in listing.paths])
    if not any(split.classes for split in found.values()):
        raise DataError(f"{archive / PHOTOS}: holds neither train/WNID/FILE nor val/FILE")
    return _classes(archive / NAMES, sorted({name for split in found.values() for name in split.classes})), found


def _truth(table: Path) -> dict[str, str]:
    """The wnid of each validation image by its name without an ending: of several boxes in it, all are of one class."""
    rows = csv.DictReader(io.StringIO(_text(table)))
    try:
        return {row["ImageId"]: spelt(row["PredictionString"].split()[0]) for row in rows}
    except (KeyError, AttributeError, IndexError, csv.Error):
        raise DataError(
            f"{table}: row {rows.line_num} is not of the form ImageId,PredictionString with a wnid first"
        ) from None


def _classes(table: Path, identifiers: list[str]) -> ClassList:
    """The classes, by the first of the words that the table has for each."""
    if not table.is_file():
        return from_identifiers(identifiers)
    lines = (line.partition(" ") for line in _text(table).splitlines())
    words = {wnid: names.partition(",")[0].strip() for wnid, _, names in lines}
    return ClassList(tuple(identifiers), tuple(words.get(name) or name for name in identifiers))


def _text(table: Path) -> str:
    try:
        return files.read_text(table, MAXIMUM_BYTES, encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"{table}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{table}: not UTF-8 text (byte {error.start})") from None
