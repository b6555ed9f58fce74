"""What is in a .keras archive, without building it: its sizes are looked at before anything is allocated by them."""

from __future__ import annotations

import json
import math
import zipfile
import zlib
from pathlib import Path
from typing import Any

from keras_imagenet.errors import DataError

MEMBERS = {"metadata.json", "config.json", "model.weights.h5"}
MAXIMUM_CONFIG = 2**25
"""Bytes of config.json; networks of a thousand layers have two million."""
MAXIMUM_INPUT = 2**26
"""Numbers in one image: those of 4,700 x 4,700 pixels."""


def stored_member(archive: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
    """A member that is not compressed, so that it cannot be larger than the file; ValueError otherwise."""
    info = archive.getinfo(name)
    if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
        raise ValueError(f"{name} is compressed")
    return info


def config(path: Path) -> dict[str, Any]:
    """config.json: the network's layers, as Keras describes them. Raises DataError if the file is no .keras archive."""
    try:
        with zipfile.ZipFile(path) as archive:
            info = stored_member(archive, "config.json")
            if info.file_size > MAXIMUM_CONFIG:
                raise ValueError(f"config.json has {info.file_size:,} bytes")
            content = json.loads(archive.read(info))
        layers = content["config"]["layers"]
        if not all(isinstance(layer["config"], dict) and isinstance(layer["class_name"], str) for layer in layers):
            raise ValueError("its layers are not described")
    except (OSError, ValueError, LookupError, TypeError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path}: not a network that Keras saved: {_first_line(error)}") from error
    return content


def weight_bytes(path: Path) -> int:
    """Bytes of the weights in the archive. Raises DataError if there are none, or more than a network's files."""
    try:
        with zipfile.ZipFile(path) as archive:
            if more := set(archive.namelist()) - MEMBERS:
                raise ValueError(f"it holds {min(more)!r:.80}, too")
            return stored_member(archive, "model.weights.h5").file_size
    except (OSError, ValueError, LookupError, RuntimeError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: not a network that Keras saved: {_first_line(error)}") from error


def require_input(path: Path, shape: tuple[int, int, int], described: dict[str, Any]) -> None:
    """DataError if the network takes other images than those of a preset, (height, width, channels), or too large ones."""
    inputs = [layer["config"] for layer in described["config"]["layers"] if layer["class_name"] == "InputLayer"]
    taken = inputs[0].get("batch_shape") if inputs else None
    if not isinstance(taken, list) or len(taken) != 4:
        raise DataError(f"{path}: not a network of images: its input has the shape {taken!r:.80}")
    if math.prod(shape) > MAXIMUM_INPUT:
        raise DataError(f"{path.with_name('preset.json')}: images of {shape[0]:,} x {shape[1]:,} pixels are too large")
    if any(size not in (None, wanted) for size, wanted in zip(taken[1:], shape, strict=True)):
        raise DataError(
            f"{path}: takes images of {'x'.join(map(str, taken[1:])):.80}, preset.json says {'x'.join(map(str, shape))}"
        )


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
