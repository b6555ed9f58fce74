"""Which image files lie in class folders: found without opening one, and remembered where there are very many."""

from __future__ import annotations

import os
import time
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np

from keras_imagenet.errors import DataError

ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp")
CACHED_FROM = 20_000
SETTLED = 2.0  # seconds; a folder changed less than this before it was listed may have changed again unnoticed


@dataclass(frozen=True)
class Listing:
    """The images below one folder.

    folders: every class folder, in code-point order, those without an image included. paths: n of CLASS/FILE with
    forward slashes, in code-point order. sizes: bytes of each file, int64 [n]. skipped: files passed over, by reason.
    """

    folders: tuple[str, ...]
    paths: list[str]
    sizes: np.ndarray
    skipped: dict[str, int]


def list_images(directory: Path, cached_from: int = CACHED_FROM) -> Listing:
    """Lists the image files of directory/CLASS/FILE; what is hidden or ends otherwise is skipped and counted.

    A listing of cached_from files or more is kept in the user's cache folder, and used again as long as no folder's
    time of change differs: adding, removing and renaming files changes that. Overwriting one in place does not.
    Raises DataError if the folder cannot be listed or a name in it is not valid text.
    """
    times = _folder_times(directory)
    cache = _cache_file(directory)
    listing = _recall(cache, times)
    if listing is None:
        listing = _list(directory, list(times)[1:])
        settled = time.time_ns() - max(times.values()) > SETTLED * 1e9
        if len(listing.paths) >= cached_from and settled and _folder_times(directory) == times:
            _remember(cache, times, listing)
    return listing


def subfolders(directory: Path) -> list[str]:
    """Names of the folders in a folder that are not hidden, in code-point order; DataError if it cannot be listed."""
    return sorted(entry.name for entry in _entries(directory) if not _hidden(entry.name) and entry.is_dir())


def has_image_ending(name: str) -> bool:
    """Whether a file is named as one of the formats that can be decoded."""
    return name.lower().endswith(ENDINGS)


def _list(directory: Path, folders: list[str]) -> Listing:
    skipped: Counter[str] = Counter(_reason(entry) for entry in _entries(directory) if not entry.is_dir())
    paths, sizes = [], []
    for folder in folders:
        images = []
        for entry in _entries(directory / folder):
            if not _hidden(entry.name) and has_image_ending(entry.name) and entry.is_file():
                images.append((_checked(directory / folder, entry.name), entry.stat().st_size))
            else:
                skipped[_reason(entry)] += 1
        images.sort()
        paths += [f"{folder}/{name}" for name, _ in images]
        sizes += [size for _, size in images]
    return Listing(tuple(folders), paths, np.array(sizes, np.int64), dict(sorted(skipped.items())))


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


def _folder_times(directory: Path) -> dict[str, int]:
    """Time of change in ns of the folder itself ("") and of each class folder: what a remembered listing hangs on."""
    folders = [_checked(directory, name) for name in subfolders(directory)]
    return {name: os.stat(directory / name).st_mtime_ns for name in ("", *folders)}


def _cache_file(directory: Path) -> Path:
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    name = blake2b(os.fsencode(directory.resolve()), digest_size=16).hexdigest()
    return home / "keras-imagenet" / "listings" / f"{name}.npz"


def _recall(cache: Path, times: dict[str, int]) -> Listing | None:
    try:
        with cache.open("rb") as file, np.load(file, allow_pickle=False) as kept:
            folders = kept["folders"].tobytes().decode().split("\0")
            if folders != list(times) or not np.array_equal(kept["times"], list(times.values())):
                return None
            paths = kept["paths"].tobytes().decode().split("\0")
            reasons = kept["reasons"].tobytes().decode().split("\0")
            skipped = {reason: int(n) for reason, n in zip(reasons, kept["counts"], strict=False)}
            return Listing(tuple(folders[1:]), paths, kept["sizes"], skipped)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):  # a cache that cannot be read is no cache
        return None


def _remember(cache: Path, times: dict[str, int], listing: Listing) -> None:
    def text(strings: list[str]) -> np.ndarray:
        return np.frombuffer("\0".join(strings).encode(), np.uint8)

    part = cache.with_name(f"{cache.name}.{os.getpid()}.part")
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            np.savez(
                file,
                folders=text(list(times)),
                times=np.array(list(times.values()), np.int64),
                paths=text(listing.paths),
                sizes=listing.sizes,
                reasons=text(list(listing.skipped)),
                counts=np.array(list(listing.skipped.values()), np.int64),
            )
        os.replace(part, cache)
    except OSError:  # a full or read-only home costs the next start some time, no more
        part.unlink(missing_ok=True)
