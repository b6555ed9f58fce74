"""How a global batch is cut, and how many batches make an epoch: checked once, then plain arithmetic."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil
from typing import NamedTuple

from keras_imagenet.data import order
from keras_imagenet.errors import SettingsError

MIXED_TOGETHER = 8
"""Consecutive examples that may be mixed with each other: a batch is never cut between them."""


class EpochEnd(NamedTuple):
    """The epoch, from 1, that is over after so many steps."""

    epoch: int
    step: int


@dataclass(frozen=True)
class Batches:
    """Global batches of `size` examples. Raises SettingsError, naming the setting, for a size that cannot be cut so.

    Each of the replicas, of which every worker has as many, takes an equal slice of the batch. It takes that slice in
    `accumulate` micro-batches of equal size. `repeats` is how often each example stands in a batch. If the examples are
    mixed, micro-batches are whole groups of MIXED_TOGETHER.
    """

    size: int
    replicas: int = 1
    workers: int = 1
    repeats: int = 1
    accumulate: int = 1
    mixed: bool = False

    def __post_init__(self) -> None:
        if self.replicas % self.workers:
            raise SettingsError(f"runtime.workers: {self.workers} cannot have as many of {self.replicas} replicas each")
        if self.size % self.replicas:
            raise SettingsError(
                f"train.batch_size = {self.size}: must be divisible by the number of replicas ({self.replicas})"
            )
        if self.repeats > self.size:
            raise SettingsError(f"train.repeats = {self.repeats}: is more than train.batch_size ({self.size})")
        if self.rows % self.accumulate:
            raise SettingsError(
                f"train.accumulate = {self.accumulate}: must divide each replica's {self.rows} examples"
            )
        if self.mixed:
            self._check_mixing()

    def _check_mixing(self) -> None:
        least = MIXED_TOGETHER + (self.size % self.repeats > 0)
        if self.repeats > 1 and self.different < least:
            raise SettingsError(
                f"train.repeats: leaves a batch {self.different} different examples; augment.mixing needs {least} or more"
            )
        if self.rows % MIXED_TOGETHER:
            raise SettingsError(
                f"train.batch_size: each replica's {self.rows} examples must be a multiple of {MIXED_TOGETHER} "
                "for augment.mixing"
            )
        if self.micro_rows % MIXED_TOGETHER:
            raise SettingsError(
                f"train.accumulate = {self.accumulate}: a micro-batch's {self.micro_rows} examples must be a multiple of "
                f"{MIXED_TOGETHER} for augment.mixing"
            )

    def fits(self, accumulate: int) -> bool:
        """Whether the batch can be taken in so many micro-batches."""
        try:
            replace(self, accumulate=accumulate)
        except SettingsError:
            return False
        return True

    @property
    def rows(self) -> int:
        """Examples of a batch on each replica."""
        return self.size // self.replicas

    @property
    def micro_rows(self) -> int:
        """Examples that go through the network at once on each replica."""
        return self.rows // self.accumulate

    @property
    def different(self) -> int:
        """Draws that a batch has room for, as often as each comes."""
        return self.size // self.repeats

    def steps(self, epochs: float | Fraction, n: int) -> int:
        """Steps of so many epochs of n examples; the last batch may reach past their end."""
        return order.steps_until(epochs, n, self.size)

    def epochs(self, steps: int, n: int) -> Fraction:
        """Epochs of n examples in so many steps, exactly."""
        return Fraction(steps * self.size, n)

    def epoch_ends(self, epochs: float | Fraction, n: int, step: int = 0) -> Iterator[EpochEnd]:
        """Where the epochs of a run are over that are not over after `step` steps; the last end is the run's.

        No two ends have the same step. Where one step ends several epochs, as in a batch larger than the data, the end has
        the number of the last of them, and the others have no end: 4 epochs of 1,435 examples in batches of 2,048 are 3
        steps, and after each of them one, two and four epochs are over. Where a run ends within an epoch, its last end has
        that epoch's number.
        """
        last = self.steps(epochs, n)
        while step < last:
            over = step * self.size // n
            step = min(self.steps(over + 1, n), last)
            reached = max(step * self.size // n, over + 1)
            yield EpochEnd(min(reached, ceil(Fraction(str(epochs)))), step)


def padded(size: int, replicas: int) -> int:
    """The smallest batch of `size` or more that replicas can share; in evaluation the rows too many have weight 0."""
    return -(-size // replicas) * replicas
