"""What a folder of shards says of itself, checked before TensorFlow Datasets reads it.

TFDS imports the Python classes that features.json names, and puts names of dataset_info.json into paths: in a stranger's
folder, these would run any installed module and open any file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from keras_imagenet.errors import DataError
from keras_imagenet.labels import MAXIMUM_CLASSES

INFO_FILE = "dataset_info.json"
FEATURES_FILE = "features.json"
MAXIMUM_BYTES = 2**24
NAME = re.compile(r"(?!\.+$)[^/\\{}\0]{0,200}")
TEMPLATE = re.compile(r"(?!/)(?:(?!\.\./)[^{}\0]|\{[A-Z_]+\}){0,500}")
"""Parts of paths, none of them upwards, and fields without a format: `{SPLIT:>9999999999}` would be that many blanks."""


def require_harmless(directory: Path) -> None:
    """Raises DataError where a folder's features are not TFDS' own, or the names of its files lead out of it."""
    features, info = _json(directory / FEATURES_FILE), _json(directory / INFO_FILE)
    known = _known_features()
    for key, value in _pairs(features):
        if key in ("pythonClassName", "python_class_name", "type") and isinstance(value, str) and value not in known:
            raise DataError(f"{directory / FEATURES_FILE}: names the class {value!r:.200}, which is no feature of TFDS")
        if key in ("numClasses", "num_classes") and not 0 <= _number(value) <= MAXIMUM_CLASSES:
            raise DataError(f"{directory / FEATURES_FILE}: declares {value!s:.40} classes")
    splits = info.get("splits", [])
    for part in [info, *(splits if isinstance(splits, list) else [splits])]:
        for key, plain in {"name": NAME, "filepathTemplate": TEMPLATE, "filepath_template": TEMPLATE}.items():
            value = part.get(key, "") if isinstance(part, dict) else None
            if not isinstance(value, str) or not plain.fullmatch(value):
                raise DataError(f"{directory / INFO_FILE}: {key} {value!r:.200} does not name a file in the folder")


def _json(file: Path) -> dict[str, Any]:
    """The object in the file; an empty one if it is not there."""
    try:
        if file.stat().st_size > MAXIMUM_BYTES:
            raise DataError(f"{file}: has more than {MAXIMUM_BYTES:,} bytes")
        content = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise ValueError("it holds no object")
        return content
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise DataError(f"{file}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{file}: not the JSON that TFDS writes: {str(error).splitlines()[0]}") from None


def _pairs(content: Any) -> Iterator[tuple[str, Any]]:
    """Every key and value in JSON, at any depth; also in the texts of JSON that TFDS puts into JSON."""
    waiting = [content]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            yield from part.items()
            waiting += [json.loads(value) for key, value in part.items() if key == "json" and isinstance(value, str)]
        waiting += part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()


def _known_features() -> set[str]:
    import tensorflow_datasets as tfds

    return {f"{each.__module__}.{each.__name__}" for each in vars(tfds.features).values() if isinstance(each, type)}


def _number(value: Any) -> int:
    """Of JSON, where protocol buffers write large numbers as texts; -1 for what is none."""
    return int(value) if isinstance(value, int) or (isinstance(value, str) and re.fullmatch(r"\d{1,18}", value)) else -1
