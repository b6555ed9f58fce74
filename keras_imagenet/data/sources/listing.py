"""Which image files lie in class folders: found without opening one."""

from __future__ import annotations

import os
import stat
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from keras_imagenet import files
from keras_imagenet.errors import DataError

ENDINGS = (".jpg", ".jpeg", ".jfif", ".jpe", ".pjpeg", ".pjp", ".png", ".bmp", ".gif", ".webp")
OTHER_PHOTOS = (".heic", ".heif", ".avif", ".jxl", ".jp2", ".tif", ".tiff", ".dng", ".cr2", ".nef", ".arw")
FIRST = 3


@dataclass(frozen=True)
class Listing:
    """The images below one folder.

    folders: every class folder, in code-point order, those without an image included. paths: n of CLASS/FILE with
    forward slashes, in code-point order. sizes, times: bytes of each file and its time of change in ns, int64 [n].
    skipped: files passed over, by reason. first_skipped: the first names of them, by reason.
    """

    folders: tuple[str, ...]
    paths: list[str]
    sizes: np.ndarray
    times: np.ndarray
    skipped: dict[str, int]
    first_skipped: dict[str, tuple[str, ...]] = field(default_factory=dict)


def list_images(directory: Path) -> Listing:
    """Lists the image files of directory/CLASS/FILE; everything else is skipped, and counted by reason.

    Raises DataError if the folder cannot be listed or the name of a class folder is not valid text.
    """
    folders = [_checked(directory, name) for name in subfolders(directory)]
    skipped: dict[str, list[str]] = defaultdict(list)
    for entry in _entries(directory):
        if not _is_folder(entry):
            skipped[_why_not(entry, "images outside class folders")].append(entry.name)
    paths, facts = [], []
    for folder in folders:
        images = []
        for entry in _entries(directory / folder):
            if (found := _image(entry)) is not None:
                images.append((entry.name, found.st_size, found.st_mtime_ns))
            elif inside := _nested(entry):
                skipped["images in folders inside class folders"] += [f"{folder}/{name}" for name in inside]
            else:
                skipped[_why_not(entry)].append(f"{folder}/{entry.name}")
        images.sort()
        paths += [f"{folder}/{name}" for name, _, _ in images]
        facts += [(size, time) for _, size, time in images]
    sizes, times = np.array(facts, np.int64).reshape(-1, 2).T
    return Listing(tuple(folders), paths, sizes, times, *_counted(skipped))


def list_flat(directory: Path) -> Listing:
    """Lists the image files of directory/FILE; folders are none of it. Raises DataError if it cannot be listed."""
    images, skipped = [], defaultdict(list)
    for entry in _entries(directory):
        if (found := _image(entry)) is not None:
            images.append((entry.name, found.st_size, found.st_mtime_ns))
        else:
            skipped[_why_not(entry)].append(entry.name)
    images.sort()
    sizes, times = np.array([facts for _, *facts in images], np.int64).reshape(-1, 2).T
    return Listing((), [name for name, _, _ in images], sizes, times, *_counted(skipped))


def subfolders(directory: Path) -> list[str]:
    """Names of the folders in a folder that are not hidden, in code-point order; DataError if it cannot be listed."""
    return sorted(entry.name for entry in _entries(directory) if not is_hidden(entry.name) and _is_folder(entry))


def images_in(directory: Path) -> list[str]:
    """Names of what is called as an image is in a folder, and not hidden, in code-point order; DataError as above."""
    names = (entry.name for entry in _entries(directory) if not _is_folder(entry))
    return sorted(name for name in names if not is_hidden(name) and has_image_ending(name))


def has_image_ending(name: str) -> bool:
    """Whether a file is named as one of the formats that can be decoded."""
    return name.lower().endswith(ENDINGS)


def is_hidden(name: str) -> bool:
    """Whether a file or folder is kept from people: by a dot, or by macOS beside what it packed."""
    return name.startswith((".", "__MACOSX"))


def not_an_image(name: str) -> str:
    """Why a file with another ending is passed over, in words that follow a number."""
    ending = os.path.splitext(name)[1].lower()
    if ending in OTHER_PHOTOS:
        return f"{ending} (not read; save them as JPEG or PNG)"
    return f"{ending or 'without an ending'} (not an image)"


def _image(entry: os.DirEntry) -> os.stat_result | None:
    """What the disk says of an image file; None where an entry is none, or larger than any is read."""
    found = _look(entry) if not is_hidden(entry.name) and has_image_ending(entry.name) else None
    is_file = isinstance(found, os.stat_result) and stat.S_ISREG(found.st_mode)
    return found if is_file and found.st_size <= files.MAXIMUM_IMAGE else None


def _nested(entry: os.DirEntry) -> list[str]:
    """The images in a folder inside a class folder, at any depth; not behind links in it, which can go round in circles."""
    if is_hidden(entry.name) or not _is_folder(entry):
        return []
    found = []
    for root, folders, names in os.walk(entry.path):
        folders[:] = [name for name in folders if not is_hidden(name)]
        inside = os.path.relpath(root, os.path.dirname(entry.path))
        found += [f"{inside}/{name}" for name in names if not is_hidden(name) and has_image_ending(name)]
    return found


def _counted(names: Mapping[str, list[str]]) -> tuple[dict[str, int], dict[str, tuple[str, ...]]]:
    """How many there are of each reason, and the first names."""
    return (
        {reason: len(names[reason]) for reason in sorted(names)},
        {reason: tuple(sorted(names[reason])[:FIRST]) for reason in sorted(names)},
    )


def _why_not(entry: os.DirEntry, image: str = "") -> str:
    """Why something is passed over, in words that follow a number; image: the words for an image."""
    if is_hidden(entry.name):
        return "hidden"
    found = _look(entry)
    if isinstance(found, str):
        return found
    if stat.S_ISDIR(found.st_mode):
        return "folders inside class folders"
    if not stat.S_ISREG(found.st_mode):
        return "pipes, devices or sockets"
    if not has_image_ending(entry.name):
        return not_an_image(entry.name)
    return f"larger than {files.MAXIMUM_IMAGE / 2**20:g} MiB" if found.st_size > files.MAXIMUM_IMAGE else image


def _look(entry: os.DirEntry) -> os.stat_result | str:
    """What the disk says of a file, or of what a link leads to; or why it says nothing, in words that follow a number."""
    try:
        return entry.stat()
    except FileNotFoundError:
        return "broken links"
    except OSError as error:
        return f"that the disk does not give ({error.strerror})"


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link in circles, a network that is gone: counted as what it is by _why_not
        return False


def _entries(directory: Path) -> Iterator[os.DirEntry]:
    try:
        with os.scandir(directory) as entries:
            yield from entries
    except FileNotFoundError:
        raise DataError(f"{directory}: there is no such folder") from None
    except OSError as error:
        raise DataError(f"{directory}: {error.strerror}") from None


def _checked(directory: Path, name: str) -> str:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        raise DataError(f"{directory}: the folder name {os.fsencode(name)!r} is not valid UTF-8; rename it") from None
    return name
