"""Labels and names kept beside shards, or in the user's cache folder, so that opening a set reads no image."""

from __future__ import annotations

import contextlib
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from keras_imagenet import files
from keras_imagenet.errors import DataError


def read_index(file: Path, count: int, classes: int, size: int) -> tuple[np.ndarray, list[str]]:
    """Labels, int32 [count], and names of a split that `keras-imagenet prepare` wrote.

    count: the split's images. classes: labels are below it. size: bytes of the split's shards, which hold the names too.
    Raises DataError if the index cannot be read, or says other than that.
    """
    try:
        files.look(file)
        with zipfile.ZipFile(file) as archive:
            declared = sum(member.file_size for member in archive.infolist())
        if declared > size:
            raise ValueError(f"it declares {declared:,} bytes, more than the images have")
        with file.open("rb") as opened, np.load(opened, allow_pickle=False) as kept:
            labels, names = kept["labels"], kept["names"].tobytes().decode("utf-8", "surrogateescape")
    except (OSError, ValueError, KeyError, EOFError, MemoryError, SyntaxError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{file}: cannot be read ({_first_line(error)}); prepare the set again") from None
    names = names.split("\0") if count else []
    if labels.shape != (count,) or len(names) != count:
        raise DataError(
            f"{file}: has labels for {labels.size:,} images and {len(names):,} names, but there are {count:,}"
        )
    if labels.dtype.kind not in "iu" or (count and not 0 <= labels.min() <= labels.max() < classes):
        raise DataError(f"{file}: its labels are not those of {classes:,} classes")
    return labels, names


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


def remembered(key: str, compute: Callable[[], np.ndarray]) -> np.ndarray:
    """What compute returns, kept in the user's cache folder under key; a cache that cannot be used costs time only."""
    file = files.cache_folder("labels") / f"{key}.npy"
    try:
        return np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        values = compute()
    files.sweep(file.parent)
    with contextlib.suppress(OSError), files.appearing(file) as opened:
        np.save(opened, values)
    return values
