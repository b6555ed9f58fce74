"""What a run is made of before its first step: network, objective, optimizer, length and data, checked against each other."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import keras
import tensorflow as tf

from keras_imagenet import runtime
from keras_imagenet.console import Console
from keras_imagenet.data import mixing, pipeline, sources
from keras_imagenet.data.sources import Source
from keras_imagenet.data.stream import Stream
from keras_imagenet.data.stretches import Stretch
from keras_imagenet.errors import DataError, SettingsError
from keras_imagenet.models import assembly as networks
from keras_imagenet.models import folding, freezing
from keras_imagenet.models.weights import Origin
from keras_imagenet.models.weights.fitting import Fitted
from keras_imagenet.preset import Preset
from keras_imagenet.settings import Settings
from keras_imagenet.settings.data import SourceSettings
from keras_imagenet.training import (
    averages,
    clipping,
    fused_norm,
    norms,
    objectives,
    optimizers,
    phases,
    probe,
    recomputation,
    resizing,
    schedules,
    teachers,
    whitening,
    workers,
)
from keras_imagenet.training import state as states
from keras_imagenet.training import step as steps
from keras_imagenet.training.course import Course, course_of
from keras_imagenet.training.state import State


@dataclass(frozen=True)
class Run:
    """What a run is made of.

    evaluated: the network at evaluation's size, of weights of the same shapes; most often the state's own. step: makes a
    step, see `training.step`. norms: what steps note where they are asked to. compiled: whether XLA compiles it, and why or why
    not. stretches: the run's parts, whose images have a size and augmentation of their own.
    """

    settings: Settings
    preset: Preset
    training: Source
    validation: Source | None
    also: Mapping[str, Source]
    strategy: tf.distribute.Strategy
    course: Course
    state: State
    evaluated: keras.Model
    objective: objectives.Objective
    optimizer: optimizers.Optimizer
    step: Callable[..., tf.Tensor]
    norms: norms.Norms | None
    compiled: runtime.Compiled
    started_from: str
    stretches: tuple[Stretch, ...]

    @property
    def fingerprint(self) -> str:
        """Of its data; see Splits."""
        return sources.Splits(self.training, self.validation, also=self.also).fingerprint


def assemble(
    settings: Settings,
    splits: sources.Splits,
    strategy: tf.distribute.Strategy,
    kept: Preset | None = None,
    begin: Console | None = None,
) -> Run:
    """Everything of a run, checked against data and devices. Raises SettingsError or DataError.

    kept: the preset of a run that goes on, whose checkpoint holds all weights: those that it began with are not read again.
    begin: where the head's probe is told of; without, it is left out, since a checkpoint or nothing follows.
    """
    training = splits.train
    if training is None or len(training) == 0:
        raise DataError(
            "data.source: there are no training examples, only a validation split; `keras-imagenet evaluate` measures on it"
        )
    course = course_of(settings, len(training), strategy.num_replicas_in_sync, workers.count(strategy))
    origin = networks.origin_of(settings) if kept is None else None
    settings = networks.resolved(settings, origin)
    preset = kept or networks.preset_of(settings, origin)
    stretches = phases.stretches(settings, preset, course)
    objective = _objective(settings, preset, training)
    with strategy.scope():
        network, fitted = networks.build(settings, preset, origin, training.classes)
        resized = resizing.networks_by_size(network, settings, stretches, origin)
        evaluated = networks.at_evaluation_size(network, settings, preset, origin)
    objective = replace(objective, teacher=teachers.build(settings.teacher, training, preset, strategy))
    if settings.model.whiten and begin:
        _whiten(settings, preset, training, strategy, network, begin)
    solved = _probe(settings, preset, training, strategy, network, evaluated, begin) if begin else None
    with strategy.scope():
        optimizer = optimizer_of(settings, network, course.batches.size, course)
        average = _average(settings, course)
        state = states.start(network, optimizer, settings.runtime.precision, average)
    if solved is not None:
        state.sums.assign(solved.sums)
        state.seconds = state.epoch_seconds = solved.seconds
        state.unreadable.update(solved.unreadable)
    if not network.trainable_variables:
        raise SettingsError(
            f"model.name = {settings.model.name}: has no weight that learns, so there is nothing to train"
        )
    for one in resized.values():
        fused_norm.fuse(one)
    compiled = runtime.compiled(settings, steps.communicates(network, strategy))
    clip = clipping.build(settings.train, network.trainable_variables, network.weights)
    plan = steps.Plan(course.batches.size, course.batches.accumulate, clip, settings.train.sam, compiled.on)
    with strategy.scope():
        watched = norms.build(network) if settings.train.summary_norms else None

    def step_of(stretch: Stretch) -> Callable[..., None]:
        forward = _forward(resized[stretch.preset.size], settings)
        own = replace(objective, preset=stretch.preset, mix=mixing.on_device(stretch.augment))
        return steps.build(state, own, optimizer, strategy, plan, forward, average, watched)

    return Run(
        settings=settings,
        preset=preset,
        training=training,
        validation=splits.validation,
        also=splits.also,
        strategy=strategy,
        course=course,
        state=state,
        evaluated=evaluated,
        objective=objective,
        optimizer=optimizer,
        stretches=tuple(stretches),
        step=resizing.step_by_stretch(state, stretches, step_of),
        norms=watched,
        compiled=compiled,
        started_from="from its checkpoint" if kept else _started_from(origin, fitted),
    )


def optimizer_of(
    settings: Settings, network: keras.Model, batch_size: int, course: Course | None = None
) -> optimizers.Optimizer:
    """The optimizer, and what decay and rates act on in this network. Raises SettingsError for a pattern that fits nothing.

    course: without one, nothing says when weights come to stand still, and none does.
    """
    factor = settings.optimizer.depth_factor
    factors = freezing.depth_factors(network, factor) if factor < 1 else None
    peak = schedules.scaled(settings.optimizer.learning_rate, batch_size, settings.schedule.reference_batch)
    steps_until = None if course is None else partial(course.batches.steps, n=course.examples)
    return optimizers.build(
        settings.optimizer, network.trainable_variables, factors, peak, network.weights, steps_until
    )


def open_data(run: Run, console: Console) -> tuple[Stream, Stream | None]:
    """Training batches from where the run's state stands, and validation's."""
    settings, threads = run.settings, runtime.threads(run.settings.runtime)
    report = partial(_report_unreadable, settings.data.source.unreadable, console)
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
        first_step=run.state.step,
        later=run.stretches[1:],
        unreadable=run.state.unreadable,
    )
    validation = run.validation
    return batches, None if validation is None else _measured_stream(
        run, "data.source", settings.data.source, validation, console
    )


def open_also(run: Run, console: Console) -> dict[str, Stream]:
    """The further sets' batches, by name."""
    asked = run.settings.data.also
    return {
        name: _measured_stream(run, f"data.also.{name}", asked[name], source, console)
        for name, source in run.also.items()
    }


def _measured_stream(run: Run, where: str, asked: SourceSettings, source: Source, console: Console) -> Stream:
    settings = run.settings
    return pipeline.evaluation_stream(
        source,
        run.preset.evaluation,
        run.strategy,
        batch_size=settings.train.evaluation_batch_size or settings.train.batch_size,
        threads=runtime.threads(settings.runtime),
        report=partial(_report_unreadable, asked.unreadable, console, where=where),
    )


def _whiten(
    settings: Settings,
    preset: Preset,
    training: Source,
    strategy: tf.distribute.Strategy,
    network: keras.Model,
    console: Console,
) -> None:
    """Let the first layer's filters whiten the training images."""
    console.doing("whitening")
    line = whitening.whiten(
        network,
        preset,
        training,
        strategy,
        seed=settings.runtime.seed,
        threads=runtime.threads(settings.runtime),
        report=partial(_report_unreadable, settings.data.source.unreadable, console),
    )
    console.say(line)


def _probe(
    settings: Settings,
    preset: Preset,
    training: Source,
    strategy: tf.distribute.Strategy,
    network: keras.Model,
    evaluated: keras.Model,
    console: Console,
) -> probe.Probe | None:
    """Solve the head where the settings say so."""
    if settings.model.head != "probe":
        return None
    if workers.count(strategy) > 1:
        raise SettingsError("model.head = probe: is solved on one machine; train on one, or leave head out")
    console.say(f"head: looking at the training photos with {settings.model.name} as it is")
    found = probe.solve_head(
        network,
        evaluated,
        preset,
        training,
        mirrored=settings.augment.flip in ("horizontal", "alternating"),
        seed=settings.runtime.seed,
        threads=runtime.threads(settings.runtime),
        report=partial(_report_unreadable, settings.data.source.unreadable, console),
        doing=console.doing,
    )
    console.say(found.line)
    console.doing("building the network")
    return found


def _objective(settings: Settings, preset: Preset, training: Source) -> objectives.Objective:
    augmix = settings.augment.augmix
    return objectives.Objective(
        preset,
        len(training.classes),
        loss=objectives.loss_of(settings.loss),
        label_smoothing=settings.loss.label_smoothing,
        class_weights=objectives.class_weights(settings.loss, training),
        mix=mixing.on_device(settings.augment),
        consistency=augmix.consistency if augmix else 0.0,
    )


def _forward(network: keras.Model, settings: Settings) -> steps.Forward:
    """The training pass of a network."""
    if settings.teacher is not None and settings.teacher.token:
        return teachers.two_headed(network)
    if settings.train.gradient_checkpointing:
        return recomputation.checkpointed(network)
    return folding.training(network)


def _average(settings: Settings, course: Course) -> averages.Average | None:
    if settings.average is None:
        return None
    return averages.build(settings.average, course, getattr(settings.schedule, "warmup_epochs", 0.0))


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
    licence = f", {origin.licence}" if origin.licence else ""
    return f"from {origin.whence} ({origin.origin}{licence})" + (f" with {', '.join(made)}" if made else "")


def _report_unreadable(policy: str, console: Console, name: str, reason: str, where: str = "data.source") -> None:
    if policy == "stop":
        raise DataError(f"{name}: {reason}; {where}.unreadable skip leaves such images out")
    console.say(f"left out: {name}: {reason}")
