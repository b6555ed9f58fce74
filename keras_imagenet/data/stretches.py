"""A part of a run with images of its own: data, apart from TensorFlow."""

from typing import NamedTuple

from keras_imagenet.preset import Preset
from keras_imagenet.settings import AugmentSettings


class Stretch(NamedTuple):
    """Training images from a step on. step: the first, counted over the whole run."""

    step: int
    preset: Preset
    augment: AugmentSettings

    @property
    def on_device(self) -> tuple[object, ...]:
        """What a step computes otherwise than a step of another stretch: stretches that agree here share their trace."""
        mixing, erasing = self.augment.mixing, self.augment.random_erasing
        return self.preset.size, mixing and mixing.partner, erasing and erasing.mode, self.augment.lighting > 0
