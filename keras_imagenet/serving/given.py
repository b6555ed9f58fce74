"""Images as a command or a program gives them: files, folders, arrays, Pillow's. No TensorFlow."""

import io
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from keras_imagenet.errors import SettingsError
from keras_imagenet.serving.files import Fault, find_images

Given = tuple[str, Path | bytes]
"""What an image is called in the answers, and its file or what would stand in one."""
RIGHT = "a path, an array uint8 [height, width, 3] (or [height, width]; several: [n, height, width, 3]), a PIL image, or a list of these"


def given_images(images: Any) -> tuple[list[Given], list[Fault]]:
    """Every image meant, in the order given, each folder in place of its files; and the paths that lead to none, and why.

    Arrays and Pillow's images are called image 0, image 1, ... by their place. Raises SettingsError for anything else.
    """
    found: list[Given] = []
    faults: list[Fault] = []
    listed = list(images) if isinstance(images, Sequence | Iterable) and not _is_one(images) else [images]
    for place, image in enumerate(listed):
        if isinstance(image, str | os.PathLike):
            files, missing = find_images([os.fspath(image)])
            found += [(str(file), file) for file in files]
            faults += missing
        elif isinstance(image, Image.Image):
            found.append((f"image {place}", _encoded(ImageOps.exif_transpose(image))))
        else:
            found += [(f"image {place + row}", content) for row, content in enumerate(_of_array(image))]
    return found, faults


def _is_one(images: Any) -> bool:
    return isinstance(images, str | os.PathLike | Image.Image) or hasattr(images, "__array__")


def _of_array(image: Any) -> list[bytes]:
    array = np.asarray(image) if hasattr(image, "__array__") else None
    if array is None or array.dtype != np.uint8 or array.ndim not in (2, 3, 4) or 0 in array.shape:
        shown = f"{image!r:.60} ({type(image).__name__})" if array is None else f"{array.dtype} {list(array.shape)}"
        raise SettingsError(f"images: expected {RIGHT}, not {shown}")
    rows = array if array.ndim == 4 else array[None]
    if array.ndim > 2 and array.shape[-1] not in (1, 3, 4):
        raise SettingsError(f"images: expected {RIGHT}, not {array.dtype} {list(array.shape)}")
    return [_encoded(Image.fromarray(row[..., 0] if row.ndim == 3 and row.shape[-1] == 1 else row)) for row in rows]


def _encoded(image: Image.Image) -> bytes:
    """A PNG, which loses nothing, so that whatever is decoded goes the one way that files go; CMYK and the like as RGB."""
    stream = io.BytesIO()
    kept = image.mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")
    (image if kept else image.convert("RGB")).save(stream, "PNG", compress_level=1)
    return stream.getvalue()
