"""A step for stretches whose images have other sizes or are mixed otherwise: other networks over the same weights."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any

import keras

from keras_imagenet.data.stretches import Stretch
from keras_imagenet.models import assembly as networks
from keras_imagenet.models.weights import Origin
from keras_imagenet.settings import Settings
from keras_imagenet.training.state import State

Step = Callable[..., Any]


def networks_by_size(
    network: keras.Model, settings: Settings, stretches: Sequence[Stretch], origin: Origin | None
) -> dict[Any, keras.Model]:
    """A network for each size (height, width), whose variables have the shapes of `network`'s. Call under the strategy's scope.

    Raises SettingsError for one whose variables depend on the size of its images.
    """
    found = {stretches[0].preset.size: network}
    for number, stretch in enumerate(stretches[1:]):
        if stretch.preset.size not in found:
            where = f"phases.{number}.size"
            found[stretch.preset.size] = networks.at_size(network, settings, stretch.preset, origin, where)
    return found


def step_by_stretch(state: State, stretches: Sequence[Stretch], build: Callable[[Stretch], Step]) -> Step:
    """A step that is that of the stretch in which the state stands; each kind is traced once."""
    kinds = {kind: build(stretch) for kind, stretch in {stretch.on_device: stretch for stretch in stretches}.items()}
    if len(kinds) == 1:
        return next(iter(kinds.values()))
    starts = [stretch.step for stretch in stretches]

    def step(*arguments: Any) -> Any:
        return kinds[stretches[bisect_right(starts, state.step) - 1].on_device](*arguments)

    return step
