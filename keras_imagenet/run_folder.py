"""What a run leaves behind; every file appears whole, by rename, or not at all."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from keras_imagenet import files, recipes
from keras_imagenet.errors import SettingsError
from keras_imagenet.labels import ClassList, read_classes
from keras_imagenet.preset import Preset
from keras_imagenet.settings import Settings

MAXIMUM_BYTES = 64 * 2**20  # of a file that is read whole; history.csv has a row an epoch


@dataclass(frozen=True)
class RunFolder:
    """A run's folder and the names in it. Everything after training needs nothing else."""

    path: Path

    settings_file = property(lambda self: self.path / "settings.yaml")
    environment_file = property(lambda self: self.path / "environment.json")
    history_file = property(lambda self: self.path / "history.csv")
    metrics_file = property(lambda self: self.path / "metrics.json")
    log_file = property(lambda self: self.path / "log.txt")
    checkpoints = property(lambda self: self.path / "checkpoints")
    tensorboard = property(lambda self: self.path / "tensorboard")
    model_file = property(lambda self: self.path / "model.keras")
    preset_file = property(lambda self: self.path / "preset.json")
    classes_file = property(lambda self: self.path / "classes.txt")
    saved_model = property(lambda self: self.path / "saved_model")
    example_file = property(lambda self: self.path / "example.png")

    @property
    def settings(self) -> Settings:
        """The resolved settings the run was made with."""
        return recipes.load(str(self.settings_file))

    @property
    def preset(self) -> Preset:
        """The preprocessing the network was trained for."""
        return Preset.model_validate_json(_text(self.preset_file))

    @property
    def classes(self) -> ClassList:
        """Identifiers and names of the classes, in label order."""
        return read_classes(self.classes_file)

    @property
    def metrics(self) -> dict[str, Any] | None:
        """Final and best metrics, or None while the run is not finished."""
        return json.loads(_text(self.metrics_file)) if self.metrics_file.exists() else None

    @property
    def history(self) -> list[dict[str, str]]:
        """Rows of history.csv, one an epoch."""
        if not self.history_file.exists():
            return []
        return list(csv.DictReader(io.StringIO(_text(self.history_file), newline="")))


def create(settings: Settings, recipe: str) -> RunFolder:
    """The folder that the settings name, or a new runs/RECIPE-DATE-TIME. Raises SettingsError where it cannot be written."""
    path = settings.runtime.run_folder
    if path is None:
        name = Path(recipe).with_suffix("").name if recipe.endswith(".yaml") else recipe.replace("/", "-")
        path = _unused(Path("runs") / f"{name}-{datetime.now():%Y%m%d-%H%M%S}")
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = path / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise SettingsError(f"runtime.run_folder = {path}: cannot be written: {error.strerror}") from error
    return RunFolder(path)


def discard_unused(folder: RunFolder) -> None:
    """Remove the folder of a run that ended before it began: one that holds no more than notices of the start."""
    if {file.name for file in folder.path.iterdir()} <= {folder.log_file.name}:
        folder.log_file.unlink(missing_ok=True)
        folder.path.rmdir()


def opened(path: str | Path) -> RunFolder:
    """A finished run's folder. Raises SettingsError where there is none."""
    folder = RunFolder(Path(path))
    if not folder.path.is_dir():
        raise SettingsError(f"{path}: no such run folder")
    for file in (folder.settings_file, folder.model_file, folder.preset_file, folder.classes_file):
        if not file.exists():
            raise SettingsError(f"{path}: not a finished run: {file.name} is missing")
    return folder


def write_history(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """history.csv: a row an epoch, the columns of the first row."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]) if rows else [])
    writer.writeheader()
    writer.writerows(rows)
    files.write(path, text.getvalue())


def _text(path: Path) -> str:
    try:
        return files.read_text(path, MAXIMUM_BYTES)
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: cannot be read: not UTF-8 text (byte {error.start})") from error


def _unused(path: Path) -> Path:
    """The path itself, or with -2, -3, ... where a run of the same second has it."""
    number, candidate = 1, path
    while candidate.exists():
        number += 1
        candidate = path.with_name(f"{path.name}-{number}")
    return candidate
