"""What a run leaves behind; every file appears whole, by rename, or not at all."""

import csv
import fcntl
import io
import json
import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

from keras_imagenet import files, preset, recipes
from keras_imagenet.errors import SettingsError
from keras_imagenet.labels import ClassList, read_classes
from keras_imagenet.preset import Preset
from keras_imagenet.settings import Settings

MAXIMUM_HISTORY, MAXIMUM_METRICS = 2**25, 2**20
"""Bytes that are read of history.csv, which has a row an epoch, and of metrics.json, which has some hundred."""


@dataclass(frozen=True)
class RunFolder:
    """A run's folder and the names in it. Everything after training needs nothing else."""

    path: Path
    made: bool = False
    """Whether this process made the folder."""

    settings_file = property(lambda self: self.path / "settings.yaml")
    environment_file = property(lambda self: self.path / "environment.json")
    history_file = property(lambda self: self.path / "history.csv")
    metrics_file = property(lambda self: self.path / "metrics.json")
    log_file = property(lambda self: self.path / "log.txt")
    checkpoints = property(lambda self: self.path / "checkpoints")
    tensorboard = property(lambda self: self.path / "tensorboard")
    report = property(lambda self: self.path / "report")
    model_file = property(lambda self: self.path / "model.keras")
    preset_file = property(lambda self: self.path / "preset.json")
    classes_file = property(lambda self: self.path / "classes.txt")
    saved_model = property(lambda self: self.path / "saved_model")
    example_file = property(lambda self: self.path / "example.png")

    @property
    def resume_command(self) -> str:
        """The command that goes on with the run."""
        return f"keras-imagenet fit --config {shlex.quote(str(self.path))}"

    @property
    def settings(self) -> Settings:
        """The resolved settings the run was made with."""
        return recipes.load(str(self.settings_file))

    @property
    def preset(self) -> Preset:
        """The preprocessing the network was trained with; its `evaluation` is what it is used with."""
        return preset.read(self.preset_file)

    @property
    def classes(self) -> ClassList:
        """Identifiers and names of the classes, in label order."""
        return read_classes(self.classes_file)

    @property
    def metrics(self) -> dict[str, Any] | None:
        """Final and best metrics, or None while the run is not finished. Raises SettingsError where the file holds others."""
        if not self.metrics_file.exists():
            return None
        try:
            metrics = json.loads(_text(self.metrics_file, MAXIMUM_METRICS))
        except (ValueError, RecursionError):
            metrics = None
        if not isinstance(metrics, dict) or not isinstance(metrics.get("best"), dict | None):
            raise SettingsError(
                f"{self.metrics_file}: is damaged; without it, the run goes on from its last checkpoint"
            )
        return metrics

    @property
    def history(self) -> list[dict[str, str]]:
        """Rows of history.csv, one an epoch."""
        if not self.history_file.exists():
            return []
        return list(csv.DictReader(io.StringIO(_text(self.history_file, MAXIMUM_HISTORY), newline="")))


@contextmanager
def created(settings: Settings, recipe: str, *, writes: bool = True) -> Iterator[RunFolder]:
    """The folder that the settings name, or a new runs/RECIPE-DATE-TIME, for this process alone while the block lasts.

    Where the block fails and no more came of it than notices of the start, they and a folder that was made here go again.
    writes: whether this process does; if not, the folder is another worker's, and need not be there.
    Raises SettingsError where it cannot be written, or where another process is training in it.
    """
    asked = settings.runtime.run_folder
    if not writes:
        yield RunFolder(asked)
        return
    try:
        folder = _new(recipe) if asked is None else _named(asked)
        before = {file.name for file in folder.path.iterdir()}
        # Neither a link nor a pipe under the log's name is opened.
        log = os.open(folder.log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK, 0o644)
    except OSError as error:
        raise SettingsError(f"runtime.run_folder = {asked or 'runs'}: cannot be written: {error.strerror}") from error
    # The folder itself, since a log may be deleted; and the log, since some network drives lock no folders.
    locks = (os.open(folder.path, os.O_RDONLY | os.O_DIRECTORY), log)
    try:
        for lock in locks:
            _hold(lock, folder)
        try:
            yield folder
        except BaseException:
            if {file.name for file in folder.path.iterdir()} - before == {folder.log_file.name}:
                folder.log_file.unlink(missing_ok=True)
                if folder.made:
                    folder.path.rmdir()
            raise
    finally:
        for lock in locks:
            os.close(lock)


def _new(recipe: str) -> RunFolder:
    """runs/RECIPE-DATE-TIME, with -2, -3, ... where another run of the same second has made it."""
    name = Path(recipe).with_suffix("").name if recipe.endswith(".yaml") else recipe.replace("/", "-")
    base = Path("runs") / f"{name}-{datetime.now():%Y%m%d-%H%M%S}"
    base.parent.mkdir(exist_ok=True)
    for number in count(1):
        path = base if number == 1 else base.with_name(f"{base.name}-{number}")
        with suppress(FileExistsError):
            path.mkdir()
            return RunFolder(path, made=True)


def _named(path: Path) -> RunFolder:
    made = not path.exists()
    path.mkdir(parents=True, exist_ok=True)
    return RunFolder(path, made)


def _hold(lock: int, folder: RunFolder) -> None:
    """Lock the folder until `lock` is closed, which happens in any case when the process ends, killed or not."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise SettingsError(
            f"{folder.path}: another process is training in it; wait for it, or give another runtime.run_folder"
        ) from error
    except OSError:
        pass  # A drive that knows no locks.


def opened(path: str | Path) -> RunFolder:
    """The folder of a run that is finished, or has a checkpoint. Raises SettingsError where there is none."""
    folder = RunFolder(Path(path))
    if not folder.path.is_dir():
        raise SettingsError(f"{path}: no such run folder")
    for file in (folder.settings_file, folder.model_file, folder.preset_file, folder.classes_file):
        if not file.exists() and not (file == folder.model_file and any(folder.checkpoints.glob("step-*.npz"))):
            raise SettingsError(f"{path}: not a finished run: {file.name} is missing")
    return folder


def write_history(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """history.csv: a row an epoch, the columns of the first row."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]) if rows else [])
    writer.writeheader()
    writer.writerows(rows)
    files.write(path, text.getvalue())


def _text(path: Path, most: int) -> str:
    try:
        return files.read_text(path, most)
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: cannot be read: not UTF-8 text (byte {error.start})") from error
