"""Settings to a finished run folder."""

import resource
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_imagenet import networks, recipes, run_folder, runtime
from keras_imagenet.data import mixing, order, pipeline, sources
from keras_imagenet.data.images import decode
from keras_imagenet.data.preset import Preset
from keras_imagenet.data.sources import Source
from keras_imagenet.data.stream import Stream, examine
from keras_imagenet.errors import DataError, SettingsError
from keras_imagenet.models import freezing
from keras_imagenet.models.weights import Origin
from keras_imagenet.models.weights.fitting import Fitted
from keras_imagenet.output import Output
from keras_imagenet.run_folder import RunFolder
from keras_imagenet.serving.evaluate import Evaluator, Metrics
from keras_imagenet.settings import Settings
from keras_imagenet.training import checkpoints, loop, monitors, optimizers, schedules
from keras_imagenet.training.guards import Deadline
from keras_imagenet.training.trainer import Trainer, seed_replicas


@dataclass(frozen=True)
class Run:
    """What a run is made of, before its first step."""

    settings: Settings
    preset: Preset
    training: Source
    validation: Source | None
    strategy: tf.distribute.Strategy
    trainer: Trainer
    course: loop.Course
    started_from: str


@dataclass(frozen=True)
class Memory:
    """Bytes. weights: the network's. optimizer: its state. process: the most that this process has held, step included."""

    weights: int
    optimizer: int
    process: int

    @classmethod
    def now(cls, run: Run) -> "Memory":
        """Measured after a step."""
        sizes = [
            sum(int(np.prod(v.shape)) * 4 for v in owner.variables)
            for owner in (run.trainer.network, run.trainer.optimizer)
        ]
        # Linux counts the peak in units of 1,024 bytes.
        return cls(*sizes, process=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)

    @property
    def line(self) -> str:
        """In words."""
        weights, state, process = (f"{size / 2**20:,.0f} MiB" for size in (self.weights, self.optimizer, self.process))
        return f"memory: weights {weights}, optimizer {state}, this process at most {process} with one step at this batch size"


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
    batches, validation = _open_data(run, progress, output)
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


def prepare(settings: Settings, splits: sources.Splits, strategy: tf.distribute.Strategy) -> Run:
    """Network, optimizer and the run's length, checked against data and devices. Raises SettingsError or DataError."""
    training = splits.train
    if training is None or len(training.labels) == 0:
        raise DataError(
            "data.source: there are no training examples, only a validation split; `keras-imagenet evaluate` measures on it"
        )
    batch_size, replicas = settings.train.batch_size, strategy.num_replicas_in_sync
    for key in ("batch_size", "evaluation_batch_size"):
        size = getattr(settings.train, key) or batch_size
        if size % replicas:
            raise SettingsError(f"train.{key} = {size}: must be divisible by the number of replicas ({replicas})")
    share = settings.train.batch_size // replicas
    if settings.augment.mixing is not None and share % mixing.GROUP:
        raise SettingsError(
            f"train.batch_size: each replica's {share} examples must be a multiple of {mixing.GROUP} for augment.mixing"
        )
    origin = networks.origin_of(settings)
    image_preset = networks.preset_of(settings, origin)
    settings = settings.model_copy(update={"data": settings.data.model_copy(update=dict(image_preset))})
    course = _course(settings, len(training.labels))
    schedule = schedules.build(
        settings.schedule,
        settings.optimizer.learning_rate,
        batch_size=batch_size,
        steps_per_epoch=len(training.labels) / batch_size,
        total_steps=course.total_steps,
    )
    with strategy.scope():
        network, fitted = networks.build(settings, image_preset, origin, training.classes)
        trainer = Trainer(
            network,
            image_preset,
            schedule=schedule,
            label_smoothing=settings.loss.label_smoothing,
            mix=mixing.on_device(settings.augment),
            xla=settings.runtime.xla,
        )
        factor = settings.optimizer.depth_factor
        trainer.compile(
            optimizers.build(
                settings.optimizer,
                network.trainable_variables,
                clip_norm=settings.train.clip_norm,
                rate_factors=freezing.depth_factors(network, factor) if factor < 1 else None,
                precision=settings.runtime.precision,
            )
        )
        seed_replicas(network, strategy)
    return Run(
        settings, image_preset, training, splits.validation, strategy, trainer, course, _started_from(origin, fitted)
    )


def try_one_batch(
    settings: Settings, splits: sources.Splits, strategy: tf.distribute.Strategy, output: Output
) -> tuple[Run, Memory]:
    """Prepare a run and make one step of it, for what that shows: whether it works, and the memory it takes."""
    run = prepare(settings, splits, strategy)
    start = checkpoints.Progress(0, 0.0, run.training.fingerprint)
    batches, validation = _open_data(run, start, output)
    run.trainer.make_train_function()(batches)
    if validation is not None:
        next(validation)
    return run, Memory.now(run)


def facts(run: Run) -> list[str]:
    """The values that will act, in a few lines."""
    settings, trainer, n = run.settings, run.trainer, len(run.training.labels)
    batch_size, replicas = settings.train.batch_size, run.strategy.num_replicas_in_sync
    warmup = round(settings.schedule.warmup_epochs * n / batch_size)
    reference = settings.schedule.reference_batch
    peak = schedules.scaled(settings.optimizer.learning_rate, batch_size, reference)
    scaling = f" ({settings.optimizer.learning_rate:g} for a batch of {reference})" if reference else ""
    variables = trainer.network.trainable_variables
    decayed = len(variables) - len(optimizers.spared(variables, settings.optimizer.decay_norm_and_bias))
    sparing = "" if settings.optimizer.decay_norm_and_bias else "; biases and norms are spared"
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    device_names = ", ".join(device.name.rpartition("/device:")[2] for device in devices)
    validation = f"{len(run.validation.labels):,} to validate on" if run.validation else "none to validate on"
    return [
        f"data: {settings.data.source.name}, {n:,} examples to train on, {validation}, {len(run.training.classes):,} classes",
        f"model: {settings.model.name}, input {'x'.join(map(str, run.preset.input_shape))}, "
        f"{trainer.network.count_params():,} parameters, {run.started_from}",
        f"batches: {batch_size} examples, {batch_size // replicas} on each of {replicas} replica(s); "
        f"{n / batch_size:.1f} steps an epoch, {run.course.total_steps:,} in all",
        f"learning rate: {settings.optimizer.name}, peak {peak:g}{scaling}, {settings.schedule.name} "
        f"after {warmup} steps of warm-up",
        f"weight decay: {settings.optimizer.weight_decay:g} on {decayed} of {len(variables)} weights{sparing}",
        f"runtime: {settings.runtime.precision} on {device_names}, {runtime.threads(settings.runtime)} reading threads, "
        f"seed {settings.runtime.seed}; {pipeline.describe_exactness(settings.augment)}",
    ]


def resume_command(folder: RunFolder) -> str:
    """The command that goes on with a run."""
    return f"keras-imagenet fit --config {folder.settings_file} --runtime.run_folder {folder.path}"


def _started_from(origin: Origin | None, fitted: Fitted | None) -> str:
    """What the network's weights were before the first step, in words."""
    if origin is None or fitted is None:
        return "fresh"
    changes = {
        "a new head": fitted.new_head,
        "an adapted stem": fitted.channels,
        "interpolated positions": fitted.positions,
    }
    made = [what for what, done in changes.items() if done]
    return f"from {origin.location or 'keras.applications'} ({origin.origin})" + (
        f" with {', '.join(made)}" if made else ""
    )


def _course(settings: Settings, n: int) -> loop.Course:
    """Steps at which epochs end; the last may be shorter."""
    batch_size, epochs = settings.train.batch_size, settings.train.length_in_epochs
    total = settings.train.steps if epochs is None else order.steps_until(epochs, n, batch_size)
    ends: list[int] = []
    while not ends or ends[-1] < total:
        ends.append(min(order.steps_until(len(ends) + 1, n, batch_size), total))
    return loop.Course(ends, settings.train.checkpoint_steps, settings.train.patience)


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
    run_folder.write(folder.settings_file, recipes.to_yaml(run.settings))
    run_folder.write(folder.preset_file, run.preset.model_dump_json(indent=2) + "\n")
    _write_example(run.validation or run.training, folder.example_file)
    run_folder.write_classes(folder.classes_file, run.training.classes, run.training.class_names)
    run_folder.write_json(
        folder.environment_file, runtime.environment(run.strategy, pipeline.describe_exactness(run.settings.augment))
    )


def _write_example(source: Source, path: Path) -> None:
    """The first readable image as a PNG, for `predict` to be tried on."""
    index = next((index for index in range(len(source.labels)) if examine(source, index) is None), None)
    if index is not None:
        image = source.read(tf.constant(index, tf.int64))
        pixels = decode(image) if image.dtype == tf.string else image
        run_folder.write(path, tf.io.encode_png(pixels).numpy())


def _open_data(run: Run, progress: checkpoints.Progress, output: Output) -> tuple[Stream, Stream | None]:
    """Training batches from where the run stands, and validation's."""
    settings, threads = run.settings, runtime.threads(run.settings.runtime)
    report = partial(_report_unreadable, settings.data.source.unreadable, output)
    batches = pipeline.training_stream(
        run.training,
        run.preset,
        settings.augment,
        run.strategy,
        batch_size=settings.train.batch_size,
        seed=settings.runtime.seed,
        threads=threads,
        report=report,
        first_step=progress.step,
        unreadable=progress.unreadable,
    )
    if run.validation is None:
        return batches, None
    batch_size = settings.train.evaluation_batch_size or settings.train.batch_size
    return batches, pipeline.evaluation_stream(
        run.validation, run.preset, run.strategy, batch_size=batch_size, threads=threads, report=report
    )


def _report_unreadable(policy: str, output: Output, name: str, reason: str) -> None:
    if policy == "stop":
        raise DataError(f"{name}: {reason}; data.source.unreadable skip leaves such images out")
    output.say(f"left out: {name}: {reason}")


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
    metrics = measured.as_dict() if measured else {name: last[name] for name in ("loss", "top1", "top5")}
    content = {
        **metrics,
        "unreadable": len(validation.unreadable) if validation else 0,
        "measured_on": "validation examples" if measured else "training examples, while training",
        "best": {"epoch": best["epoch"], "top1": best["validation_top1"]} if best else None,
        "epochs": len(state.rows),
        "steps": run.trainer.step_number,
        "training_seconds": round(state.seconds, 1),
    }
    run_folder.write_with(folder.model_file, run.trainer.network.save)
    run_folder.write_json(folder.metrics_file, content)
    return content


def _numbers(row: dict[str, str]) -> dict[str, float | int]:
    return {name: int(value) if name in ("epoch", "step") else float(value) for name, value in row.items()}
