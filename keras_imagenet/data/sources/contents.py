"""What is in image files, briefly: so that a photo replaced by another of its size is noticed, and a copied folder is not."""

from __future__ import annotations

import contextlib
import os
import time
import zipfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from pathlib import Path

import numpy as np

from keras_imagenet import files

PIECE = 4096
REMEMBERED_FROM = 20_000
SETTLED = 2.0  # seconds; a file changed less than this before it was read may have changed again within one tick
_READERS = 8  # that wait for a disk or a network, not for a processor
_BATCH = 1000


def contents(
    directory: Path, paths: Sequence[str], sizes: np.ndarray, times: np.ndarray, remembered_from: int = REMEMBERED_FROM
) -> np.ndarray:
    """A checksum of each file's first, middle and last 4 KiB, uint64 [n]; of the whole file up to 12 KiB.

    paths are relative to directory, or absolute; sizes in bytes and times of change in ns: int64 [n]. A file that cannot be
    read has 0: whoever needs its image says so. Of remembered_from files and more the checksums are kept in the user's
    cache folder, and a file whose path, size and time of change are as they were is not opened again.
    """
    known = np.zeros(len(paths), bool)
    found = np.zeros(len(paths), np.uint64)
    cache = _cache_file(directory) if len(paths) >= remembered_from else None
    if cache is not None:
        known, found = _recall(cache, paths, sizes, times)
    missing = np.flatnonzero(~known)
    batches = [missing[begin : begin + _BATCH] for begin in range(0, len(missing), _BATCH)]
    with ThreadPoolExecutor(_READERS) as pool:
        reading = pool.map(lambda batch: [_checksum(directory / paths[i], int(sizes[i])) for i in batch], batches)
        for batch, sums in zip(batches, reading, strict=True):
            found[batch] = sums
    if cache is not None and len(missing):
        settled = times < time.time_ns() - SETTLED * 1e9
        _remember(cache, paths, np.stack([sizes, np.where(settled, times, -1)]), found)
    return found


def _checksum(file: Path, size: int) -> int:
    try:
        descriptor = os.open(file, os.O_RDONLY)
    except OSError:
        return 0
    try:
        if size <= 3 * PIECE:
            pieces = [files.read_at(descriptor, 3 * PIECE, 0)]
        else:
            starts = (0, (size - PIECE) // 2, size - PIECE)
            pieces = [files.read_at(descriptor, PIECE, start) for start in starts]
    except OSError:
        return 0
    finally:
        os.close(descriptor)
    return int.from_bytes(blake2b(b"".join(pieces), digest_size=8).digest(), "little")


def _cache_file(directory: Path) -> Path:
    name = blake2b(os.fsencode(directory.resolve()), digest_size=16).hexdigest()
    return files.cache_folder("contents") / f"{name}.npz"


def _recall(cache: Path, paths: Sequence[str], sizes: np.ndarray, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which files are known as they are now, bool [n], and their checksums, uint64 [n]."""
    none = np.zeros(len(paths), bool), np.zeros(len(paths), np.uint64)
    try:
        with cache.open("rb") as file, np.load(file, allow_pickle=False) as kept:
            place = {path: number for number, path in enumerate(os.fsdecode(kept["paths"].tobytes()).split("\0"))}
            facts, sums = kept["facts"], kept["sums"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):  # a cache that cannot be read is no cache
        return none
    if facts.shape != (2, len(place)) or sums.shape != (len(place),):
        return none
    places = np.array([place.get(path, -1) for path in paths])
    known = (places >= 0) & (facts[0, places] == sizes) & (facts[1, places] == times)
    return known, np.where(known, sums[places], np.uint64(0))


def _remember(cache: Path, paths: Sequence[str], facts: np.ndarray, sums: np.ndarray) -> None:
    files.sweep(cache.parent)
    # A full or read-only home costs the next start some time, no more.
    with contextlib.suppress(OSError), files.appearing(cache) as file:
        np.savez(file, paths=np.frombuffer(os.fsencode("\0".join(paths)), np.uint8), facts=facts, sums=sums)
