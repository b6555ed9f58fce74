"""Which image files a command means. No TensorFlow."""

from collections.abc import Iterable
from pathlib import Path

from keras_imagenet.data.sources.listing import ENDINGS, has_image_ending
from keras_imagenet.errors import DataError


def find_images(paths: Iterable[str]) -> list[Path]:
    """The named files, and the image files in the named folders, sorted. Raises DataError for one that is not there."""
    return [file for path in map(Path, paths) for file in _files(path)]


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise DataError(f"{path}: no such file or folder")
    inside = [file for file in path.rglob("*") if has_image_ending(file.name) and not file.name.startswith(".")]
    if not inside:
        raise DataError(f"{path}: holds no images ({', '.join(ENDINGS)})")
    return sorted(inside)
