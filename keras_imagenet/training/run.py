"""What a run is made of before its first step: network, trainer, length and data, checked against each other."""

from dataclasses import dataclass
from functools import partial

import tensorflow as tf

from keras_imagenet import runtime
from keras_imagenet.console import Console as Output
from keras_imagenet.data import mixing, order, pipeline, sources
from keras_imagenet.data.sources import Source
from keras_imagenet.data.stream import Stream
from keras_imagenet.errors import DataError, SettingsError
from keras_imagenet.models import assembly as networks
from keras_imagenet.models import freezing
from keras_imagenet.models.weights import Origin
from keras_imagenet.models.weights.fitting import Fitted
from keras_imagenet.preset import Preset
from keras_imagenet.settings import Settings
from keras_imagenet.training import checkpoints, loop, losses, optimizers, schedules
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


def prepare(settings: Settings, splits: sources.Splits, strategy: tf.distribute.Strategy) -> Run:
    """Network, optimizer and the run's length, checked against data and devices. Raises SettingsError or DataError."""
    training = splits.train
    if training is None or len(training.labels) == 0:
        raise DataError(
            "data.source: there are no training examples, only a validation split; `keras-imagenet evaluate` measures on it"
        )
    _check_batches(settings, strategy.num_replicas_in_sync)
    origin = networks.origin_of(settings)
    image_preset = networks.preset_of(settings, origin)
    settings = settings.model_copy(update={"data": settings.data.model_copy(update=dict(image_preset))})
    course = _course(settings, len(training.labels))
    schedule = schedules.build(
        settings.schedule,
        settings.optimizer.learning_rate,
        batch_size=settings.train.batch_size,
        steps_per_epoch=len(training.labels) / settings.train.batch_size,
        total_steps=course.total_steps,
    )
    with strategy.scope():
        network, fitted = networks.build(settings, image_preset, origin, training.classes)
        trainer = Trainer(
            network,
            image_preset,
            schedule=schedule,
            label_smoothing=settings.loss.label_smoothing,
            class_weights=losses.class_weights(settings.loss, training),
            mix=mixing.on_device(settings.augment),
            consistency=settings.augment.augmix.consistency if settings.augment.augmix else 0.0,
            xla=settings.runtime.xla,
            gradient_checkpointing=settings.train.gradient_checkpointing,
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


def _check_batches(settings: Settings, replicas: int) -> None:
    """Raises SettingsError where a batch cannot be shared out among replicas, repetitions or groups that are mixed."""
    batch_size = settings.train.batch_size
    for key in ("batch_size", "evaluation_batch_size"):
        size = getattr(settings.train, key) or batch_size
        if size % replicas:
            raise SettingsError(f"train.{key} = {size}: must be divisible by the number of replicas ({replicas})")
    share, different = batch_size // replicas, batch_size // settings.train.repeats
    if batch_size % settings.train.repeats:
        raise SettingsError(
            f"train.batch_size = {batch_size}: must be divisible by train.repeats ({settings.train.repeats})"
        )
    if settings.augment.mixing is not None and settings.train.repeats > 1 and different < mixing.GROUP:
        raise SettingsError(
            f"train.repeats: leaves a batch {different} different examples; augment.mixing needs {mixing.GROUP} or more"
        )
    if settings.augment.mixing is not None and share % mixing.GROUP:
        raise SettingsError(
            f"train.batch_size: each replica's {share} examples must be a multiple of {mixing.GROUP} for augment.mixing"
        )


def open_data(run: Run, progress: checkpoints.Progress, output: Output) -> tuple[Stream, Stream | None]:
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
        repeats=settings.train.repeats,
        balance=settings.train.balance,
        first_step=progress.step,
        unreadable=progress.unreadable,
    )
    if run.validation is None:
        return batches, None
    batch_size = settings.train.evaluation_batch_size or settings.train.batch_size
    return batches, pipeline.evaluation_stream(
        run.validation, run.preset, run.strategy, batch_size=batch_size, threads=threads, report=report
    )


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
    return f"from {origin.whence} ({origin.origin})" + (f" with {', '.join(made)}" if made else "")


def _course(settings: Settings, n: int) -> loop.Course:
    """Steps at which epochs end; the last may be shorter."""
    batch_size, epochs = settings.train.batch_size, settings.train.length_in_epochs
    total = settings.train.steps if epochs is None else order.steps_until(epochs, n, batch_size)
    ends: list[int] = []
    while not ends or ends[-1] < total:
        ends.append(min(order.steps_until(len(ends) + 1, n, batch_size), total))
    return loop.Course(ends, settings.train.checkpoint_steps, settings.train.patience)


def _report_unreadable(policy: str, output: Output, name: str, reason: str) -> None:
    if policy == "stop":
        raise DataError(f"{name}: {reason}; data.source.unreadable skip leaves such images out")
    output.say(f"left out: {name}: {reason}")
