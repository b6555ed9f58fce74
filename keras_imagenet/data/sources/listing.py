"""Which image files lie in class folders: found without opening one."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_imagenet.errors import DataError

ENDINGS = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".webp")


@dataclass(frozen=True)
class Listing:
    """The images below one folder.

    folders: every class folder, in code-point order, those without an image included. paths: n of CLASS/FILE with
    forward slashes, in code-point order. sizes, times: bytes of each file and its time of change in ns, int64 [n].
    skipped: files passed over, by reason.
    """

    folders: tuple[str, ...]
    paths: list[str]
    sizes: np.ndarray
    times: np.ndarray
    skipped: dict[str, int]


def list_images(directory: Path) -> Listing:
    """Lists the image files of directory/CLASS/FILE; what is hidden or ends otherwise is skipped and counted.

    Raises DataError if the folder cannot be listed or a name in it is not valid text.
    """
    folders = [_checked(directory, name) for name in subfolders(directory)]
    skipped: Counter[str] = Counter(_reason(entry) for entry in _entries(directory) if not entry.is_dir())
    paths, facts = [], []
    for folder in folders:
        images = []
        for entry in _entries(directory / folder):
            if not _hidden(entry.name) and has_image_ending(entry.name) and entry.is_file():
                found = entry.stat()
                images.append((_checked(directory / folder, entry.name), found.st_size, found.st_mtime_ns))
            else:
                skipped[_reason(entry)] += 1
        images.sort()
        paths += [f"{folder}/{name}" for name, _, _ in images]
        facts += [(size, time) for _, size, time in images]
    sizes, times = np.array(facts, np.int64).reshape(-1, 2).T
    return Listing(tuple(folders), paths, sizes, times, dict(sorted(skipped.items())))


def subfolders(directory: Path) -> list[str]:
    """Names of the folders in a folder that are not hidden, in code-point order; DataError if it cannot be listed."""
    return sorted(entry.name for entry in _entries(directory) if not _hidden(entry.name) and entry.is_dir())


def has_image_ending(name: str) -> bool:
    """Whether a file is named as one of the formats that can be decoded."""
    return name.lower().endswith(ENDINGS)


def _reason(entry: os.DirEntry) -> str:
    """Why something is passed over, in words that follow a number."""
    if _hidden(entry.name):
        return "hidden"
    if entry.is_dir():
        return "folders inside class folders"
    if has_image_ending(entry.name):
        return "images outside class folders" if entry.is_file() else "broken links"
    return f"{os.path.splitext(entry.name)[1].lower() or 'without an ending'} (not an image)"


def _entries(directory: Path) -> Iterator[os.DirEntry]:
    try:
        with os.scandir(directory) as entries:
            yield from entries
    except FileNotFoundError:
        raise DataError(f"{directory}: there is no such folder") from None
    except OSError as error:
        raise DataError(f"{directory}: {error.strerror}") from None


def _hidden(name: str) -> bool:
    return name.startswith((".", "__MACOSX"))


def _checked(directory: Path, name: str) -> str:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        raise DataError(f"{directory}: the file name {os.fsencode(name)!r} is not valid UTF-8; rename it") from None
    return name
