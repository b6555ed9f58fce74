"""What a place of labelled images is, by looking: the settings of the source that reads it."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from keras_imagenet.data.sources.listing import ENDINGS
from keras_imagenet.data.sources.tfds_folder import INFO_FILE
from keras_imagenet.errors import SettingsError

KINDS = (
    "a folder with a subfolder a class, a CSV file with the columns path and label, an .npz file, or a folder of shards"
)
ARCHIVES = (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar")
FILES = {".csv": "csv", ".tsv": "csv", ".npz": "arrays"}


def source_at(place: str | os.PathLike[str]) -> dict[str, str]:
    """The group data.source for the images at a place. Raises SettingsError, with what would be right, for anything else."""
    path = Path(os.path.expanduser(place))
    if os.path.isdir(path):
        if is_run(path):
            raise SettingsError(f"{place}: is a run, not photos; {_go_on(path)}")
        return {"name": "records" if os.path.isfile(path / INFO_FILE) else "folder", "directory": str(path)}
    if os.path.isfile(path) and (kind := FILES.get(path.suffix.lower())):
        return {"name": kind, "file": str(path)}
    raise SettingsError(f"{place}: {_what_else(path)}; photos are {KINDS}")


def is_run(path: Path) -> bool:
    """Whether a folder is a run's, finished or not."""
    return os.path.isfile(path / "settings.yaml")


def _go_on(path: Path) -> str:
    quoted = shlex.quote(str(path))
    return f"a run goes on by: keras-imagenet fit --config {quoted} --runtime.run_folder {quoted}"


def _what_else(path: Path) -> str:
    """Why a path is no place of images, in words."""
    ending = path.suffix.lower()
    if not os.path.lexists(path):
        return "no such file or folder"
    if not os.path.exists(path):
        return "is a broken link"
    if ending in ENDINGS:
        return "is one image, and has no label; give the folder above its class's"
    if ending in ARCHIVES:
        return "is an archive; unpack it, or write it as shards with keras-imagenet prepare"
    if ending in (".yaml", ".yml"):
        return f"is a recipe, which is given as --config {shlex.quote(str(path))}"
    return f"is no set of photos ({ending or 'without an ending'})"
