"""Everything a run needs to go on as if it had never stopped, in one file that appears whole."""

import json
import re
import zipfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from keras_imagenet.errors import DataError
from keras_imagenet.files import write_with
from keras_imagenet.training.trainer import Trainer, seed_replicas

KEPT = 2
BEST = "best.npz"


@dataclass(frozen=True)
class Progress:
    """Where a run stands, besides its variables.

    step: optimizer steps made. seconds: training time so far. unreadable: indices of examples found unreadable, with
    the reason. fingerprint: of the training data.
    """

    step: int
    seconds: float
    fingerprint: str
    unreadable: dict[int, str] = field(default_factory=dict)


def save(folder: Path, trainer: Trainer, progress: Progress) -> Path:
    """Write folder/step-NNNNNNNN.npz and keep the last two. Raises OSError where it cannot be written; older ones stay."""
    path = folder / f"step-{progress.step:08d}.npz"
    local = trainer.distribute_strategy.experimental_local_results
    arrays = {name: local(_tensor(variable))[0].numpy() for name, variable in _variables(trainer)}
    arrays["progress"] = np.frombuffer(json.dumps(asdict(progress)).encode(), np.uint8)
    _write(path, arrays)
    for old in _all(folder)[:-KEPT]:
        old.unlink()
    return path


def latest(folder: Path) -> Path | None:
    """The newest checkpoint, or None."""
    return next(reversed(_all(folder)), None)


def peek(path: Path) -> Progress:
    """A checkpoint's progress alone. Raises DataError for a file that is not a whole checkpoint."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            content = json.loads(arrays["progress"].tobytes())
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: not a whole checkpoint; remove it to go on from the one before") from error
    unreadable = {int(index): reason for index, reason in content.pop("unreadable").items()}
    return Progress(**content, unreadable=unreadable)


def restore(path: Path, trainer: Trainer) -> Progress:
    """Set every variable of a trainer, on any number of replicas, to a checkpoint's. Raises DataError where they do not fit."""
    progress = peek(path)
    with np.load(path, allow_pickle=False) as arrays:
        for name, variable in _variables(trainer):
            if name not in arrays or arrays[name].shape != tuple(variable.shape):
                raise DataError(f"{path}: does not fit this network: {name} is missing or of another shape")
            variable.assign(arrays[name])
    seed_replicas(trainer.network, trainer.distribute_strategy)
    trainer.step_number = progress.step
    return progress


def save_best(folder: Path, trainer: Trainer) -> None:
    """Write the network's weights alone to folder/best.npz."""
    local = trainer.distribute_strategy.experimental_local_results
    _write(folder / BEST, {str(i): local(v.value)[0].numpy() for i, v in enumerate(trainer.network.variables)})


def restore_best(folder: Path, trainer: Trainer) -> None:
    """Set the network's weights to those of folder/best.npz."""
    with np.load(folder / BEST, allow_pickle=False) as arrays:
        for index, variable in enumerate(trainer.network.variables):
            variable.assign(arrays[str(index)])


def _write(path: Path, arrays: dict[str, np.ndarray]) -> None:
    def write(beside: Path) -> None:
        with beside.open("wb") as stream:
            np.savez(stream, **arrays)

    write_with(path, write)


def _variables(trainer: Trainer) -> Iterator[tuple[str, keras.Variable | tf.Variable]]:
    """Every variable by a name that is the same in each process: Keras numbers some paths by what was built before."""
    for index, variable in enumerate(trainer.network.variables):
        yield f"network/{index}/{re.sub(r'_[0-9]+', '', variable.path)}", variable
    for index, variable in enumerate(trainer.optimizer.variables):
        yield f"optimizer/{index}/{re.sub(r'_[0-9]+', '', variable.path)}", variable
    yield "sums", trainer.sums


def _tensor(variable: keras.Variable | tf.Variable) -> tf.Variable:
    return variable.value if isinstance(variable, keras.Variable) else variable


def _all(folder: Path) -> list[Path]:
    """Checkpoints, the oldest first."""
    return sorted(folder.glob("step-*.npz"), key=lambda path: int(path.stem.removeprefix("step-")))
