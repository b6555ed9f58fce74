"""Settings to a finished run folder."""

import io
import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from pydantic import BaseModel

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
from keras_imagenet.settings.model import ModelSettings
from keras_imagenet.training import checkpoints, loop, monitors, schedules, workers
from keras_imagenet.training.announcement import announcement
from keras_imagenet.training.assembly import Run, assemble, open_also, open_data
from keras_imagenet.training.callbacks import KerasCallbacks
from keras_imagenet.training.guards import Deadline

LENGTH = {"train.epochs", "train.steps"}


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
    workers.require_alike(strategy, [("settings", recipes.acting(settings)), ("devices", str(_devices_here(strategy)))])
    content = workers.from_first(strategy, lambda: _beginning(settings, splits, folder).model_dump_json().encode())
    beginning, writes, own = _Beginning.model_validate_json(content), workers.index(strategy) == 0, console
    if not writes:  # It says which of its images cannot be read, and nothing that worker 0 says.
        console = Console(open(os.devnull, "w"))  # noqa: SIM115  as long as the run
    if beginning.metrics is not None:
        console.say(f"{folder.path} is finished already; give another runtime.run_folder to train again")
        return beginning.metrics
    settings = settings.model_copy(update={"model": beginning.model})
    run = assemble(settings, splits, strategy, beginning.preset, begin=console if beginning.preset is None else None)
    workers.require_alike(strategy, [("data", run.fingerprint)])
    if beginning.preset is not None:
        _restore(run, folder, longer=beginning.longer)
    if writes:
        _write_beginnings(run, folder)
    for line in (*sources.left_out_lines(splits), *odd_lines(run.training, run.preset), *announcement(run)):
        console.say(line)
    settings, state = run.settings, run.state
    console.say(f"run folder: {folder.path}" + (f", going on from step {state.step}" if state.step else ""))
    batches, validation = open_data(run, own)
    state.unreadable = batches.unreadable
    also = open_also(run, own)
    evaluate, *evaluate_also = _evaluations(run, [validation, *also.values()])
    evaluate_also = dict(zip(also, evaluate_also, strict=True))
    shown = [
        monitors.TensorBoard(folder.tensorboard, _classes(run)),
        monitors.progress(console),
    ]
    watching = [*(shown if writes else []), *([KerasCallbacks(callbacks)] if callbacks else [])]
    if not loop.train(run, batches, evaluate, evaluate_also, folder, watching, Deadline(settings.train.time_limit)):
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
    further = {name: (stream, evaluate_also[name]) for name, stream in also.items()}
    return _finish(run, folder if writes else None, evaluate, validation, further)


def _classes(run: Run) -> labels.ClassList:
    return labels.ClassList(run.training.classes, run.training.class_names)


class _Beginning(BaseModel):
    """What a run folder says of the run that is to begin, or to go on, in it.

    model: with what is known of its network already. metrics: of a run that is finished. longer: whether nothing changes but the
    length. preset: of a run that goes on from a checkpoint.
    """

    model: ModelSettings
    longer: bool = False
    metrics: dict[str, Any] | None = None
    preset: Preset | None = None


def _beginning(settings: Settings, splits: sources.Splits, folder: RunFolder) -> _Beginning:
    """Raises SettingsError where the folder holds a run of other settings, DataError where it holds one of other data."""
    if not folder.settings_file.exists():
        return _Beginning(model=settings.model, metrics=folder.metrics)
    known = folder.settings
    settings = _filled(settings, known)
    keys = recipes.differing(known, settings)
    if keys and not set(keys) <= LENGTH:
        raise SettingsError(
            f"{folder.path}: holds a run of other settings ({', '.join(keys)}); give another runtime.run_folder, or the settings it has"
        )
    ending = [f"{settings.schedule.name} schedule ends"] if schedules.ends_with_the_run(settings.schedule) else []
    if settings.average is not None and settings.average.name in ("torchvision", "lookahead"):
        ending.append(f"{settings.average.name} average's decay goes")
    if keys and ending:
        raise SettingsError(
            f"{folder.path}: its {ending[0]} with the run, so with another {' and '.join(keys)} it is another run; "
            f"to train on from its weights, give --model.weights {shlex.quote(str(folder.path))} and another runtime.run_folder"
        )
    last = checkpoints.latest(folder.checkpoints)
    if folder.metrics is not None and not keys:
        if last is not None and checkpoints.fingerprint_of(last) not in (None, splits.fingerprint):
            raise DataError(_other_data(folder))
        return _Beginning(model=settings.model, metrics=folder.metrics)
    preset = folder.preset if last else None
    return _Beginning(model=settings.model, longer=bool(keys), preset=preset)


def _filled(settings: Settings, known: Settings) -> Settings:
    """Settings with what a run's say of the network where these leave it to the weights."""
    if settings.model.weights is None:
        return settings
    given = settings.model.model_dump(exclude_none=True)
    return settings.model_copy(
        update={"model": ModelSettings.model_validate(recipes.merge(known.model.model_dump(), given))}
    )


def _restore(run: Run, folder: RunFolder, *, longer: bool) -> None:
    """Set the run's state to the last checkpoint, of the same data; one that ended goes on where it is to be longer.

    Worker 0 reads it for all.
    """
    if workers.count(run.strategy) == 1:
        checkpoint = checkpoints.latest(folder.checkpoints)
    else:
        content = workers.from_first(run.strategy, lambda: checkpoints.latest(folder.checkpoints).read_bytes())
        checkpoint = io.BytesIO(content)
        checkpoint.name = str(folder.checkpoints)
    if checkpoints.restore(checkpoint, run.state) != run.fingerprint:
        raise DataError(_other_data(folder))
    if longer:
        if run.course.steps <= run.state.step:
            raise SettingsError(
                f"train.epochs: {run.course.steps:,} steps are not more than the {run.state.step:,} that the run has made"
            )
        run.state.over = False


def _other_data(folder: RunFolder) -> str:
    return (
        f"{folder.path}: the data has changed since this run began; give another runtime.run_folder, or the data it had"
    )


def _devices_here(strategy: tf.distribute.Strategy) -> int:
    return strategy.num_replicas_in_sync // workers.count(strategy)


def _write_beginnings(run: Run, folder: RunFolder) -> None:
    """What is known before the first step, and the history so far, which a killed process may not have got to."""
    for place in (folder.path, folder.checkpoints):
        files.sweep(place)
    for outdated in (folder.metrics_file, folder.model_file):  # of a run that is made longer
        outdated.unlink(missing_ok=True)
    # The folder is found by where it is: it may be moved.
    elsewhere = {"run_folder": None, "workers": None, "worker_index": None}
    kept = run.settings.model_copy(update={"runtime": run.settings.runtime.model_copy(update=elsewhere)})
    files.write(folder.preset_file, run.preset.model_dump_json(indent=2) + "\n")
    _write_example(run.validation or run.training, run.preset, folder)
    labels.write_classes(folder.classes_file, _classes(run))
    files.write_json(
        folder.environment_file,
        runtime.environment(
            run.strategy, pipeline.describe_exactness(run.settings.augment), workers.addresses(run.strategy)
        ),
    )
    # Last of what makes it a run folder: with settings alone it would be taken for a recipe.
    files.write(folder.settings_file, recipes.to_yaml(recipes.anywhere(kept)))
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


def _evaluations(run: Run, streams: Sequence[Stream | None]) -> list[loop.Evaluate | None]:
    """What measures the network on the examples of each, traced once."""
    measure = evaluator(
        run.evaluated, run.preset.evaluation, run.strategy, weights_of=run.state.network, xla=run.compiled.on
    )

    def evaluate(
        stream: Stream, noted: list[tf.Tensor] | None = None, between: Callable[[], object] = lambda: None
    ) -> tuple[Metrics, np.ndarray | None]:
        stream.seek(0)
        return measure((batch for batch in stream if between() or True), noted)

    return [None if stream is None else partial(evaluate, stream) for stream in streams]


def _finish(
    run: Run,
    folder: RunFolder | None,
    evaluate: loop.Evaluate | None,
    validation: Stream | None,
    further: Mapping[str, tuple[Stream, loop.Evaluate]],
) -> dict[str, Any]:
    """Write model.keras, the report and, last, metrics.json, where there is a folder; return the latter's content."""
    state, keep = run.state, run.settings.train.keep
    of = "average" if "average" in keep else "validation"
    best = state.best_row(of)
    kept = state.values(averaged=True) if keep == "average" else state.best
    if kept is not None:
        for variable, value in zip(state.network.variables, kept, strict=True):
            variable.assign(value)
    if folder is not None:
        files.write_with(folder.model_file, lambda path: _saved(run, path))
        report.write_curves(folder.report, state.rows)
    if evaluate is not None:
        noted: list[tf.Tensor] = []
        measured = evaluate(noted)[0].as_dict()  # Of the weights that are kept, as `evaluate` will measure them.
        answers, unreadable = Answers.of_rows(run.validation, noted), validation.unreadable
        if folder is not None:
            report.write(folder.report, run.validation, run.preset.evaluation, answers, unreadable)
    else:
        measured = {name: state.rows[-1][name] for name in ("loss", "top1", "top5", "examples")}
    content = {
        **measured,
        "unreadable": _unreadable(run, validation) if validation else 0,
        "measured_on": "validation examples" if validation else "training examples, while training",
        "best": {"epoch": best["epoch"], "top1": best[f"{of}_top1"]} if best else None,
        "epochs": sum(row["epoch"] > 0 for row in state.rows),
        "steps": state.step,
        "training_seconds": round(state.seconds, 1),
    }
    if further:
        content["also"] = {
            name: {
                **measure()[0].as_dict(),
                "unreadable": _unreadable(run, stream),
                "measured_on": f"examples of {name}",
            }
            for name, (stream, measure) in further.items()
        }
    if folder is not None:
        files.write_json(folder.metrics_file, content)
    return content


def _unreadable(run: Run, stream: Stream) -> int:
    """How many of its images could not be read, by all workers."""
    return int(workers.summed(run.strategy, np.array(len(stream.unreadable))))


def _saved(run: Run, path: Path) -> None:
    """The network alone, at evaluation's size, as Keras loads it."""
    if run.evaluated is not run.state.network:
        for variable, value in zip(run.evaluated.variables, run.state.network.variables, strict=True):
            variable.assign(value)
    run.evaluated.save(path)
