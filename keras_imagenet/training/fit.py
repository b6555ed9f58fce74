"""Settings to a finished run folder."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_imagenet import files, labels, recipes, runtime
from keras_imagenet.console import Console as Output
from keras_imagenet.data import pipeline, sources
from keras_imagenet.data.images import decode
from keras_imagenet.data.sources import Source
from keras_imagenet.data.stream import Stream, examine
from keras_imagenet.errors import DataError, SettingsError
from keras_imagenet.evaluation import Evaluator, Metrics
from keras_imagenet.run_folder import RunFolder
from keras_imagenet.settings import Settings
from keras_imagenet.training import checkpoints, loop, monitors
from keras_imagenet.training.facts import facts
from keras_imagenet.training.guards import Deadline
from keras_imagenet.training.run import Run, open_data, prepare


def fit(
    settings: Settings,
    splits: sources.Splits,
    strategy: tf.distribute.Strategy,
    folder: RunFolder,
    output: Output,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> dict[str, Any] | None:
    """Train as the settings say, into a run folder; return what metrics.json holds, or None at the time limit.

    Goes on from the folder's last checkpoint. Raises SettingsError or DataError where the folder holds another run.
    """
    run = prepare(settings, splits, strategy)
    progress = _resume(run, folder)
    if folder.metrics is not None:
        output.say(f"{folder.path} is finished already; give another runtime.run_folder to train again")
        return folder.metrics
    _write_beginnings(run, folder)
    for line in facts(run):
        output.say(line)
    output.say(f"run folder: {folder.path}" + (f", going on from step {progress.step}" if progress.step else ""))
    batches, validation = open_data(run, progress, output)
    evaluate = _evaluation(run, validation)
    shown = [
        monitors.TensorBoard(folder.tensorboard, settings.train.summary_steps),
        monitors.progress(output, run.course.total_steps),
    ]
    state = loop.State(
        rows=[_numbers(row) for row in folder.history if int(row["step"]) <= progress.step],
        seconds=progress.seconds,
        progress_of_data=lambda: {"fingerprint": run.training.fingerprint, "unreadable": batches.unreadable},
    )
    callback_list = keras.callbacks.CallbackList([*shown, *callbacks], model=run.trainer)
    if not loop.train(
        run.trainer, batches, evaluate, run.course, state, folder, callback_list, Deadline(settings.train.time_limit)
    ):
        output.say(
            f"the time limit of {settings.train.time_limit:g} minutes is reached at step {run.trainer.step_number} "
            f"of {run.course.total_steps}; the state is saved. To go on: {resume_command(folder)}"
        )
        return None
    if batches.unreadable:
        output.say(
            f"{len(batches.unreadable)} of {len(run.training.labels)} training images could not be read and were left out"
        )
    return _finish(run, folder, state, evaluate, validation)


def resume_command(folder: RunFolder) -> str:
    """The command that goes on with a run."""
    return f"keras-imagenet fit --config {folder.settings_file} --runtime.run_folder {folder.path}"


def _resume(run: Run, folder: RunFolder) -> checkpoints.Progress:
    """Set the trainer to the folder's last checkpoint, if it holds one of the same settings and data."""
    start = checkpoints.Progress(0, 0.0, run.training.fingerprint)
    if not folder.settings_file.exists():
        return start
    if keys := recipes.differing(folder.settings, run.settings):
        raise SettingsError(
            f"{folder.path}: holds a run of other settings ({', '.join(keys)}); give another runtime.run_folder, or the settings it has"
        )
    path = checkpoints.latest(folder.checkpoints)
    if path is None:
        return start
    if checkpoints.peek(path).fingerprint != run.training.fingerprint:
        raise DataError(
            f"{folder.path}: the training data has changed since this run began; give another runtime.run_folder, or the data it had"
        )
    return checkpoints.restore(path, run.trainer)


def _write_beginnings(run: Run, folder: RunFolder) -> None:
    """What is known before the first step."""
    files.write(folder.settings_file, recipes.to_yaml(run.settings))
    files.write(folder.preset_file, run.preset.model_dump_json(indent=2) + "\n")
    _write_example(run.validation or run.training, folder.example_file)
    labels.write_classes(folder.classes_file, labels.ClassList(run.training.classes, run.training.class_names))
    files.write_json(
        folder.environment_file, runtime.environment(run.strategy, pipeline.describe_exactness(run.settings.augment))
    )


def _write_example(source: Source, path: Path) -> None:
    """The first readable image as a PNG, for `predict` to be tried on."""
    index = next((index for index in range(len(source.labels)) if examine(source, index) is None), None)
    if index is not None:
        image = source.read(tf.constant(index, tf.int64))
        pixels = decode(image) if image.dtype == tf.string else image
        files.write(path, tf.io.encode_png(pixels).numpy())


def _evaluation(run: Run, validation: Stream | None) -> loop.Evaluate:
    """What measures the network on the validation examples, traced once."""
    if validation is None:
        return lambda: None
    evaluator = Evaluator(run.trainer.network, run.preset, run.strategy)

    def evaluate() -> tuple[Metrics, np.ndarray]:
        validation.seek(0)
        return evaluator.measure(validation)

    return evaluate


def _finish(
    run: Run, folder: RunFolder, state: loop.State, evaluate: loop.Evaluate, validation: Stream | None
) -> dict[str, Any]:
    """Write model.keras and metrics.json; return the latter's content."""
    best = loop.best_row(state.rows)
    if run.settings.train.keep == "best" and best is not None and best is not state.rows[-1]:
        checkpoints.restore_best(folder.checkpoints, run.trainer)
        state.last_validation = None
    measured = state.last_validation
    if measured is None and (evaluated := evaluate()) is not None:
        measured = evaluated[0]
    last = state.rows[-1]
    content = {
        **(measured.as_dict() if measured else {name: last[name] for name in ("loss", "top1", "top5", "examples")}),
        "unreadable": len(validation.unreadable) if validation else 0,
        "measured_on": "validation examples" if measured else "training examples, while training",
        "best": {"epoch": best["epoch"], "top1": best["validation_top1"]} if best else None,
        "epochs": len(state.rows),
        "steps": run.trainer.step_number,
        "training_seconds": round(state.seconds, 1),
    }
    files.write_with(folder.model_file, run.trainer.network.save)
    files.write_json(folder.metrics_file, content)
    return content


def _numbers(row: dict[str, str]) -> dict[str, float | int]:
    return {name: int(value) if name in ("epoch", "step", "examples") else float(value) for name, value in row.items()}
