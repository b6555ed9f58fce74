"""Settings to a finished run folder."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_imagenet import files, labels, recipes, report, run_folder, runtime
from keras_imagenet.console import Console
from keras_imagenet.data import pipeline, sources
from keras_imagenet.data.images import decode
from keras_imagenet.data.images.rendering import rendering_of
from keras_imagenet.data.sources import Source
from keras_imagenet.data.stream import Stream, examine
from keras_imagenet.data.summary import odd_lines
from keras_imagenet.errors import DataError, SettingsError
from keras_imagenet.evaluation import Answers, Metrics, evaluator
from keras_imagenet.preset import Preset
from keras_imagenet.run_folder import RunFolder
from keras_imagenet.settings import Settings
from keras_imagenet.training import checkpoints, loop, monitors
from keras_imagenet.training.announcement import announcement
from keras_imagenet.training.assembly import Run, assemble, open_data
from keras_imagenet.training.callbacks import KerasCallbacks
from keras_imagenet.training.guards import Deadline
from keras_imagenet.training.state import BEST_OF


def fit(
    settings: Settings,
    splits: sources.Splits,
    strategy: tf.distribute.Strategy,
    folder: RunFolder,
    console: Console,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> dict[str, Any] | None:
    """Train as the settings say, into a run folder; return what metrics.json holds, or None at the time limit.

    Goes on from the folder's last checkpoint. Raises SettingsError or DataError where the folder holds another run.
    """
    console.doing("building the network")
    begins = _checkpoint(folder) is None and folder.metrics is None
    run = assemble(settings, splits, strategy, console if begins else None)
    _resume(run, folder)
    if folder.metrics is not None:
        console.say(f"{folder.path} is finished already; give another runtime.run_folder to train again")
        return folder.metrics
    _write_beginnings(run, folder)
    for line in (*sources.left_out_lines(splits), *odd_lines(run.training, run.preset), *announcement(run)):
        console.say(line)
    state = run.state
    console.say(f"run folder: {folder.path}" + (f", going on from step {state.step}" if state.step else ""))
    batches, validation = open_data(run, console)
    state.unreadable = batches.unreadable
    evaluate = _evaluation(run, validation) if validation is not None else None
    watching = [
        monitors.TensorBoard(folder.tensorboard, settings.train.summary_steps, _classes(run)),
        monitors.progress(console),
        *([KerasCallbacks(callbacks)] if callbacks else []),
    ]
    if not loop.train(run, batches, evaluate, folder, watching, Deadline(settings.train.time_limit)):
        console.say(
            f"the time limit of {settings.train.time_limit:g} minutes is reached at step {state.step} of {run.course.steps}; "
            f"the state is saved. To go on: {folder.resume_command}"
        )
        return None
    if state.unreadable:
        console.say(
            f"{len(state.unreadable)} of {len(run.training)} training images could not be read and were left out"
        )
    console.doing("measuring what was trained, and drawing the report")
    return _finish(run, folder, evaluate, validation)


def _classes(run: Run) -> labels.ClassList:
    return labels.ClassList(run.training.classes, run.training.class_names)


def _checkpoint(folder: RunFolder) -> Path | None:
    """The one to go on from, if the folder holds a run."""
    return checkpoints.latest(folder.checkpoints) if folder.settings_file.exists() else None


def _resume(run: Run, folder: RunFolder) -> None:
    """Set the run's state to the folder's last checkpoint, if it holds one of the same settings and data."""
    if not folder.settings_file.exists():
        return
    if keys := recipes.differing(folder.settings, run.settings):
        raise SettingsError(
            f"{folder.path}: holds a run of other settings ({', '.join(keys)}); give another runtime.run_folder, or the settings it has"
        )
    path = _checkpoint(folder)
    if path is None:
        return
    if checkpoints.fingerprint_of(path) != run.fingerprint:
        raise DataError(
            f"{folder.path}: the data has changed since this run began; give another runtime.run_folder, or the data it had"
        )
    checkpoints.restore(path, run.state)


def _write_beginnings(run: Run, folder: RunFolder) -> None:
    """What is known before the first step, and the history so far, which a killed process may not have got to."""
    for place in (folder.path, folder.checkpoints):
        files.sweep(place)
    # The folder is found by where it is: it may be moved.
    kept = run.settings.model_copy(update={"runtime": run.settings.runtime.model_copy(update={"run_folder": None})})
    files.write(folder.preset_file, run.preset.model_dump_json(indent=2) + "\n")
    _write_example(run.validation or run.training, run.preset, folder)
    labels.write_classes(folder.classes_file, _classes(run))
    files.write_json(
        folder.environment_file, runtime.environment(run.strategy, pipeline.describe_exactness(run.settings.augment))
    )
    # Last of what makes it a run folder: with settings alone it would be taken for a recipe.
    files.write(folder.settings_file, recipes.to_yaml(kept))
    if run.state.rows:
        run_folder.write_history(folder.history_file, run.state.rows)


def _write_example(source: Source, preset: Preset, folder: RunFolder) -> None:
    """The first readable image as a PNG, for `predict` to be tried on."""
    index = next((index for index in range(len(source)) if examine(source, index) is None), None)
    if index is not None:
        image = source.read(tf.constant(index, tf.int64))
        rendering = rendering_of(preset)._replace(smooth_chroma=True)
        pixels = decode(image, rendering) if image.dtype == tf.string else image
        files.write(folder.example_file, tf.io.encode_png(pixels).numpy())


def _evaluation(run: Run, validation: Stream) -> loop.Evaluate:
    """What measures the network on the validation examples, traced once."""
    measure = evaluator(
        run.evaluated, run.preset.evaluation, run.strategy, weights_of=run.state.network, xla=run.compiled.on
    )

    def evaluate(noted: list[tf.Tensor] | None = None) -> tuple[Metrics, np.ndarray | None]:
        validation.seek(0)
        return measure(validation, noted)

    return evaluate


def _finish(run: Run, folder: RunFolder, evaluate: loop.Evaluate | None, validation: Stream | None) -> dict[str, Any]:
    """Write model.keras, the report and, last, metrics.json; return the latter's content."""
    state, keep = run.state, run.settings.train.keep
    of = BEST_OF.get(keep, "validation")
    best = state.best_row(of)
    kept = state.values(averaged=True) if keep == "average" else state.best
    if kept is not None:
        for variable, value in zip(state.network.variables, kept, strict=True):
            variable.assign(value)
    files.write_with(folder.model_file, lambda path: _saved(run, path))
    report.write_curves(folder.report, state.rows)
    if evaluate is not None:
        noted: list[tf.Tensor] = []
        measured = evaluate(noted)[0].as_dict()  # Of the weights that are kept, as `evaluate` will measure them.
        answers, unreadable = Answers.of_rows(run.validation, noted), validation.unreadable
        report.write(folder.report, run.validation, run.preset.evaluation, answers, unreadable)
    else:
        measured = {name: state.rows[-1][name] for name in ("loss", "top1", "top5", "examples")}
    content = {
        **measured,
        "unreadable": len(validation.unreadable) if validation else 0,
        "measured_on": "validation examples" if validation else "training examples, while training",
        "best": {"epoch": best["epoch"], "top1": best[f"{of}_top1"]} if best else None,
        "epochs": len(state.rows),
        "steps": state.step,
        "training_seconds": round(state.seconds, 1),
    }
    files.write_json(folder.metrics_file, content)
    return content


def _saved(run: Run, path: Path) -> None:
    """The network alone, at evaluation's size, as Keras loads it."""
    if run.evaluated is not run.state.network:
        for variable, value in zip(run.evaluated.variables, run.state.network.variables, strict=True):
            variable.assign(value)
    run.evaluated.save(path)
