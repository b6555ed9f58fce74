"""Stretches of a run that differ in their images' size or in how images are varied."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import Field, ValidationError, model_validator

from keras_imagenet.settings.augment import AugmentSettings
from keras_imagenet.settings.data import Size
from keras_imagenet.settings.group import Epochs, Group


class Phase(Group):
    """What changes from a time on; what a phase leaves out stays as it was before."""

    from_epoch: Epochs
    """Passes over the data after which the phase begins, fractions too: with the first batch that begins at or after them."""
    size: Size | None = None
    """Height and width of training images, for networks whose weights fit any size; as before if not given."""
    augment: dict[str, Any] = Field(default_factory=dict)
    """Settings of augment that change, such as {rand_augment: {magnitude: 12}}; null switches an operation off."""

    @model_validator(mode="after")
    def _changes_something(self):
        if self.size is None and not self.augment:
            raise ValueError("changes nothing; give size or augment, or leave the phase out")
        return self


class PhaseError(ValueError):
    """What is wrong with a phase's augment. number: the phase's, from 0. problem: pydantic's error, inside augment."""

    def __init__(self, number: int, problem: Mapping[str, Any]) -> None:
        where = ".".join(map(str, ("phases", number, "augment", *problem["loc"])))
        super().__init__(f"{where}: {problem['msg'].removeprefix('Value error, ')}")
        self.number, self.problem = number, problem


def augments(first: AugmentSettings, phases: Sequence[Phase]) -> Iterator[AugmentSettings]:
    """What holds in each phase, each laid over the one before it. Raises PhaseError for what cannot be set."""
    now = first
    for number, phase in enumerate(phases):
        try:
            now = AugmentSettings.model_validate(_over(now.model_dump(), phase.augment))
        except ValidationError as error:
            raise PhaseError(number, error.errors()[0]) from None
        yield now


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, Mapping) and isinstance(below.get(key), Mapping)
        merged[key] = _over(below[key], value) if both else value
    return merged
