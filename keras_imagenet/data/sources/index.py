"""Labels and names kept beside shards, or in the user's cache folder, so that opening a set reads no image."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from keras_imagenet import files
from keras_imagenet.errors import DataError


def read_index(file: Path) -> tuple[np.ndarray, list[str]]:
    """Labels, int32 [n], and names of a split that `keras-imagenet prepare` wrote. DataError if they cannot be read."""
    try:
        files.look(file)
        with file.open("rb") as opened, np.load(opened, allow_pickle=False) as kept:
            names = kept["names"].tobytes().decode()
            labels = kept["labels"]
            return labels, names.split("\0") if len(labels) else []
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise DataError(f"{file}: cannot be read ({error}); prepare the set again") from None


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
