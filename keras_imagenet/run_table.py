"""A table that compares run folders. No TensorFlow."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keras_imagenet.console import columns
from keras_imagenet.errors import KerasImagenetError, SettingsError
from keras_imagenet.run_folder import RunFolder
from keras_imagenet.settings.data import SourceSettings

COLUMNS = ("run", "model", "data", "epochs", "top1", "best_top1", "loss", "minutes", "state")


def table(directory: str) -> tuple[list[dict[str, Any]], list[str]]:
    """The runs below a folder, as rows and as lines. Raises SettingsError where there is no such folder."""
    folder = Path(directory)
    if not folder.is_dir():
        raise SettingsError(f"{folder}: no such folder; `keras-imagenet fit` makes run folders in runs/")
    rows = [_row(RunFolder(path)) for path in sorted(folder.iterdir()) if os.path.lexists(path / "settings.yaml")]
    if not rows:
        return [], [f"{folder} holds no runs"]
    return rows, columns(COLUMNS, [[_text(row[column], column) for column in COLUMNS] for row in rows])


def _row(run: RunFolder) -> dict[str, Any]:
    try:
        return _whole_row(run)
    except Exception:  # Whatever a run's files hold, or the disk says of them, the others still count.
        return dict.fromkeys(COLUMNS) | {"run": run.path.name, "state": "damaged"}


def _whole_row(run: RunFolder) -> dict[str, Any]:
    history, metrics = run.history, run.metrics or {}
    try:
        settings = run.settings
        model, data = settings.model.name, _data(settings.data.source)
    except KerasImagenetError:
        model = data = None  # Written by another version: still a run, and its figures still count.
    best = metrics.get("best") or {}
    return {
        "run": run.path.name,
        "model": model,
        "data": data,
        "epochs": sum(row.get("epoch") != "0" for row in history),  # a solved head's row is of none
        "top1": _number(metrics, "top1"),
        "best_top1": _number(best, "top1"),
        "loss": _number(metrics, "loss"),
        "minutes": None if (seconds := _number(metrics, "training_seconds")) is None else seconds / 60,
        "state": "finished" if metrics else "not finished",
    }


def _data(source: SourceSettings) -> str:
    """The kind of source and what it is called, such as 'folder photos'."""
    places = (getattr(source, place, None) for place in ("directory", "file"))
    names = [source.dataset] if source.name == "tfds" else [Path(place).name for place in places if place]
    return " ".join([source.name, *names])


def _number(content: Mapping[str, Any], name: str) -> float | None:
    """A number of a metrics file, None where it has none. Raises TypeError for anything else, OverflowError for a huge one."""
    value = content.get(name)
    if not isinstance(value, int | float | None):
        raise TypeError(name)
    return None if value is None else float(value)


def _text(value: Any, column: str) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.1f}" if column == "minutes" else f"{value:.4f}"
    return str(value)
