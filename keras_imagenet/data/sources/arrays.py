"""Images in one .npz file, in the layout of keras.datasets: x_train, y_train and, if there, x_test, y_test."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from keras_imagenet import files
from keras_imagenet.data.sources.source import Source, Splits, fingerprint, held
from keras_imagenet.data.sources.splits import split
from keras_imagenet.errors import DataError
from keras_imagenet.labels import ClassList, numbered
from keras_imagenet.settings.data import ArraysSource

EXPECTED = "expected x_train and y_train and, if there, x_test and y_test"


def open_arrays(settings: ArraysSource) -> Splits:
    """The file's splits; x uint8 [n, height, width] or [n, height, width, 1 or 3], y integers [n] or [n, 1].

    Raises DataError if the file cannot be read or holds other names, shapes, types or lengths.
    """
    file = settings.file
    arrays, checksums = _load(file)
    suffixes = [suffix for suffix in ("train", "test") if f"x_{suffix}" in arrays or f"y_{suffix}" in arrays]
    if not suffixes:
        raise DataError(f"{file}: holds {', '.join(arrays) or 'no array'}; {EXPECTED}")
    splits = {suffix: _checked(file, arrays, suffix) for suffix in suffixes}
    count = 1 + max(int(labels.max()) for _, labels in splits.values())
    classes = numbered(settings.classes, count, f"the labels of {file.name}")
    sources = {
        suffix: _source(suffix, images, labels, classes, checksums[f"x_{suffix}"])
        for suffix, (images, labels) in splits.items()
    }
    return split(settings, sources.get("train"), sources.get("test"))


def _load(file: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The arrays of the layout by name (of other names, an empty one each), and each member's CRC-32 and size."""
    try:
        files.look(file)
        with zipfile.ZipFile(file) as archive:
            checksums = {
                member.filename.removesuffix(".npy"): f"{member.CRC:08x} {member.file_size}"
                for member in archive.infolist()
            }
        with np.load(file, allow_pickle=False) as content:
            known = {f"{kind}_{suffix}" for kind in "xy" for suffix in ("train", "test")}
            return {name: content[name] if name in known else np.empty(0) for name in content.files}, checksums
    except OSError as error:
        raise DataError(f"{file}: {error.strerror or error}") from None
    except zipfile.BadZipFile:
        raise DataError(f"{file}: not an .npz file, or damaged; numpy.savez writes one") from None
    except Exception as error:  # zipfile and numpy raise ten kinds for files that they did not write
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise DataError(f"{file}: cannot be read as plain arrays ({reason:.300})") from None


def _checked(file: Path, arrays: dict[str, np.ndarray], suffix: str) -> tuple[np.ndarray, np.ndarray]:
    """Images, uint8 [n, height, width, channels], and labels, int32 [n], of one split."""
    for name in (f"x_{suffix}", f"y_{suffix}"):
        if name not in arrays:
            raise DataError(f"{file}: lacks {name}; it holds {', '.join(arrays)}; {EXPECTED}")
        if not isinstance(arrays[name], np.ndarray):
            raise DataError(f"{file}: {name} is not an array; numpy.savez writes one")
    images, labels = arrays[f"x_{suffix}"], arrays[f"y_{suffix}"]
    if images.dtype != np.uint8:
        raise DataError(f"{file}: x_{suffix} is {images.dtype}; must be uint8, pixels from 0 to 255")
    if images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[3] not in (1, 3)) or 0 in images.shape:
        right = "[n, height, width] or [n, height, width, 1 or 3]"
        raise DataError(f"{file}: x_{suffix} has shape {list(images.shape)}; must be {right}")
    if labels.dtype.kind not in "iu":
        raise DataError(f"{file}: y_{suffix} is {labels.dtype}; must be integers, 0 for the first class")
    if labels.shape not in ((len(images),), (len(images), 1)):
        right = f"[{len(images)}], one label for each image of x_{suffix}"
        raise DataError(f"{file}: y_{suffix} has shape {list(labels.shape)}; must be {right}")
    if labels.min() < 0 or labels.max() >= 2**31:
        raise DataError(f"{file}: y_{suffix} holds {labels.min()} to {labels.max()}; labels must count from 0")
    return images.reshape(*images.shape[:3], -1), labels.reshape(-1).astype(np.int32)


def _source(suffix: str, images: np.ndarray, labels: np.ndarray, classes: ClassList, checksum: str) -> Source:
    return Source(
        classes=classes.identifiers,
        class_names=classes.names,
        labels=labels,
        names=[f"x_{suffix}[{index}]" for index in range(len(labels))],
        fingerprint=fingerprint("arrays", checksum, labels, classes.identifiers),
        read=held(images),
    )
