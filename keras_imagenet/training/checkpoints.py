"""A run's state as one file that appears whole: everything it needs to go on as if it had never stopped."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, BinaryIO

import keras
import numpy as np

from keras_imagenet import files
from keras_imagenet.errors import DataError
from keras_imagenet.training import guards
from keras_imagenet.training.state import BEST_OF, State, best_of, first_copy

COUNTED = ("step", "rows", "seconds", "epoch_seconds", "compiling_seconds", "compiling_examples", "over", "unreadable")
"""Fields of the state beside its tensors; all are plain numbers, texts, lists and mappings."""


def save(folder: Path, state: State, fingerprint: str, kept: int = 2, best: int = 0) -> Path:
    """Write folder/step-NNNNNNNN.npz, and keep the last `kept` and those of the `best` epochs by validation top-1.

    Raises TrainingStopped for a state that is not finite, OSError where it cannot be written; older ones stay.
    fingerprint: of the data.
    """
    path = _path(folder, state.step)
    arrays = {name: first_copy(variable) for name, variable in state.tensors()}
    guards.require_finite_state(arrays, state.step)
    arrays |= {f"best/{index}": value for index, value in enumerate(state.best or ())}
    arrays |= {
        f"epochs/{epoch}/{index}": value for epoch, end in state.epochs.items() for index, value in enumerate(end)
    }
    counted = {name: getattr(state, name) for name in COUNTED}
    counted |= {"fingerprint": fingerprint, "best": state.best is not None, "epochs": list(state.epochs)}
    arrays["counted"] = np.frombuffer(json.dumps(counted).encode(), np.uint8)
    with files.appearing(path) as stream:
        np.savez(stream, **arrays)
    ranked = sorted(state.rows, key=lambda row: -row.get("validation_top1", 0.0))
    spared = {_path(folder, row["step"]) for row in ranked[:best]}
    for old in _all(folder)[:-kept]:
        if old not in spared:
            old.unlink(missing_ok=True)
    return path


def latest(folder: Path) -> Path | None:
    """The newest checkpoint, or None."""
    return next(reversed(_all(folder)), None)


def restore(path: Path | BinaryIO, state: State) -> str:
    """Set a state, on any number of replicas, to a checkpoint's; return the fingerprint of the data that it was made with.

    Raises DataError where it is damaged or does not fit.
    """
    with _opened(path) as arrays:
        counted = _counted(arrays)
        for name, variable in state.tensors():
            if name not in arrays or arrays[name].shape != tuple(variable.shape):
                raise DataError(f"{path}: does not fit this network: {name} is missing or of another shape")
            variable.assign(arrays[name])
        places = range(len(state.network.variables) if counted["best"] else 0)
        best = [arrays[f"best/{index}"] for index in places]
        epochs = {
            epoch: [arrays[f"epochs/{epoch}/{index}"] for index in range(len(state.average))]
            for epoch in counted["epochs"]
        }
    for name in COUNTED:
        setattr(state, name, counted[name])
    state.unreadable = {int(index): reason for index, reason in state.unreadable.items()}
    state.best, state.epochs = best or None, epochs
    return counted["fingerprint"]


def fingerprint_of(path: Path) -> str | None:
    """The fingerprint of the data that a checkpoint was made with; None where it cannot be read, as another version's."""
    with suppress(DataError), _opened(path) as arrays:
        return _counted(arrays)["fingerprint"]
    return None


def give(path: Path, network: keras.Model, keep: str = "last") -> tuple[int, int | None]:
    """Give a network the best weights that a checkpoint holds, or else its last; the step they are from, and the best's epoch.

    keep: as train.keep; the average's, where it asks for them. Raises DataError as `restore` does.
    """
    with _opened(path) as arrays:
        counted = _counted(arrays)
        part = "best" if counted["best"] else "network"
        for index, variable in enumerate(network.variables):
            averaged = keep == "average" and f"average/{index}" in arrays
            name = f"average/{index}" if averaged else f"{part}/{index}"
            if name not in arrays or arrays[name].shape != tuple(variable.shape):
                raise DataError(f"{path}: does not fit this network: {name} is missing or of another shape")
            variable.assign(arrays[name])
    if not counted["best"]:
        return counted["step"], None
    best = best_of(counted["rows"], BEST_OF[keep])
    return best["step"], best["epoch"]


@contextmanager
def _opened(path: Path | BinaryIO) -> Iterator[Any]:
    """A checkpoint's arrays; whatever is wrong with the file is a DataError."""
    try:
        # np.load leaves a file open that it opened itself and found damaged.
        with path.open("rb") if isinstance(path, Path) else nullcontext(path) as file, np.load(file) as arrays:
            if "counted" not in arrays:
                raise DataError(
                    f"{path}: was written by another version of keras-imagenet; give another runtime.run_folder to train anew"
                )
            yield arrays
    except (OSError, EOFError, RuntimeError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: not a whole checkpoint; remove it to go on from the one before") from error


def _counted(arrays: Any) -> dict[str, Any]:
    return json.loads(arrays["counted"].tobytes())


def _path(folder: Path, step: int) -> Path:
    return folder / f"step-{step:08d}.npz"


def _all(folder: Path) -> list[Path]:
    """Checkpoints, the oldest first."""
    return sorted(folder.glob("step-*.npz"), key=lambda path: int(path.stem.removeprefix("step-")))
