"""A run's phases as stretches of steps, and what is said of them. No TensorFlow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from keras_imagenet.data.stretches import Stretch
from keras_imagenet.errors import SettingsError
from keras_imagenet.preset import Preset
from keras_imagenet.settings import Settings
from keras_imagenet.settings.phases import augments
from keras_imagenet.training.course import Course


def stretches(settings: Settings, preset: Preset, course: Course) -> list[Stretch]:
    """The whole run: from its first step, and then a stretch for each phase.

    A phase begins with the first global batch whose first example is at or after its epoch's beginning, so that no batch has
    two sizes; steps, positions, order and seeds go on. Raises SettingsError for a phase that begins after the run's last
    step, and for two that begin with the same.
    """
    found = [Stretch(0, preset, settings.augment)]
    for number, (phase, augment) in enumerate(
        zip(settings.phases, augments(settings.augment, settings.phases), strict=True)
    ):
        step = course.batches.steps(phase.from_epoch, course.examples)
        where = f"phases.{number}.from_epoch = {phase.from_epoch:g}"
        if step >= course.steps:
            raise SettingsError(f"{where}: is step {step}, and the run has {course.steps}; leave the phase out")
        if step == found[-1].step:
            raise SettingsError(f"{where}: begins at step {step}, as what is before it; leave one of them out")
        size = phase.size or found[-1].preset.size
        sides = (size, size) if isinstance(size, int) else tuple(size)
        found.append(Stretch(step, found[-1].preset.model_copy(update={"size": sides}), augment))
    return found


def lines(settings: Settings, course: Course) -> list[str]:
    """A line for each phase: when it begins, and what it changes."""
    starts = [course.batches.steps(phase.from_epoch, course.examples) for phase in settings.phases]
    return [
        f"phase from epoch {phase.from_epoch:g}, step {step:,}: {', '.join(_changes(phase.model_dump()))}"
        for phase, step in zip(settings.phases, starts, strict=True)
    ]


def _changes(phase: dict[str, Any]) -> Iterator[str]:
    size = phase["size"]
    if size is not None:
        sides = (size, size) if isinstance(size, int) else size
        yield f"images of {sides[0]} x {sides[1]}"
    yield from _leaves("", phase["augment"])


def _leaves(prefix: str, tree: dict[str, Any]) -> Iterator[str]:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _leaves(f"{prefix}{key}.", value)
        else:
            yield f"{prefix}{key} {'off' if value is None else value}"
