"""How long a run is, and its rates, as the settings and the number of examples fix them. No TensorFlow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from keras_imagenet.data.batches import Batches, EpochEnd
from keras_imagenet.settings import Settings
from keras_imagenet.settings.phases import augments
from keras_imagenet.training import schedules


@dataclass(frozen=True)
class Course:
    """How long a run is: batches, epochs in passes over so many examples. schedule: the rate of each of its steps."""

    batches: Batches
    epochs: float | Fraction
    examples: int
    schedule: schedules.Schedule

    @property
    def steps(self) -> int:
        """Steps of the whole run."""
        return self.batches.steps(self.epochs, self.examples)

    @property
    def steps_per_epoch(self) -> float:
        """Steps of an epoch; batches run over the borders of epochs."""
        return self.examples / self.batches.size

    def epoch_ends(self, after: int = 0) -> Iterator[EpochEnd]:
        """(epoch, step) at which each epoch is over that is not over after so many steps; the last is the run's end."""
        return self.batches.epoch_ends(self.epochs, self.examples, after)


def course_of(settings: Settings, examples: int, replicas: int = 1, workers: int = 1) -> Course:
    """The course of a run on so many training examples. Raises SettingsError for a batch that cannot be cut so."""
    train = settings.train
    batches = Batches(
        train.batch_size,
        replicas=replicas,
        workers=workers,
        repeats=train.repeats,
        accumulate=train.accumulate,
        mixed=any(augment.mixing for augment in (settings.augment, *augments(settings.augment, settings.phases))),
    )
    epochs = train.length_in_epochs if train.steps is None else batches.epochs(train.steps, examples)
    schedule = schedules.build(
        settings.schedule,
        settings.optimizer.learning_rate,
        batch_size=batches.size,
        steps_per_epoch=Fraction(examples, batches.size),
        total_steps=batches.steps(epochs, examples),
    )
    return Course(batches, epochs, examples, schedule)
