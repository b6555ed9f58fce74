"""What the settings say of preprocessing, over what comes with weights: the Preset that acts."""

from typing import Any

from keras_imagenet.errors import SettingsError
from keras_imagenet.preset import Preset, colour_of
from keras_imagenet.settings.data import DataSettings


def resolve(settings: DataSettings, origin: Preset | None = None) -> Preset:
    """The preset of a run: what the settings say, else what the weights' origin says, else the defaults.

    Raises SettingsError where mean or std has another number of entries than there are channels, and for what does nothing
    beside the others.
    """
    given: dict[str, Any] = {name: getattr(settings, name) for name in Preset.model_fields}
    given = {name: value for name, value in given.items() if value is not None}
    for name in ("size", "evaluation_size"):
        if isinstance(given.get(name), int):
            given[name] = (given[name], given[name])
    if "background" in given:
        background = given["background"]
        given["background"] = colour_of(background) if isinstance(background, str) else background
    preset = (origin or Preset()).model_copy(update=given)
    greyscale = {"mean": (0.5,), "std": (0.5,)} if origin is None else _averaged(origin)
    if preset.channels == 1:
        preset = preset.model_copy(update={name: value for name, value in greyscale.items() if name not in given})
    for name in ("mean", "std"):
        if len(getattr(preset, name)) != preset.channels:
            raise SettingsError(
                f"data.{name} = {list(getattr(preset, name))}: must have one number a channel, and data.channels is {preset.channels}"
            )
    _require_effect(settings, preset)
    return preset


def _require_effect(settings: DataSettings, preset: Preset) -> None:
    """Raise SettingsError for a setting that does nothing beside the others."""
    useless = {
        "crop_fraction": preset.fit in ("pad", "squash") and f"does nothing with data.fit {preset.fit}",
        "antialias": {preset.kernel, preset.evaluation.kernel} == {"area"} and "does nothing with data.kernel area",
    }
    for name, why in useless.items():
        if why and getattr(settings, name) is not None:
            raise SettingsError(f"data.{name} = {getattr(settings, name)}: {why}; leave it out, or give null")


def _averaged(preset: Preset) -> dict[str, tuple[float, ...]]:
    return {name: (sum(values) / len(values),) for name, values in (("mean", preset.mean), ("std", preset.std))}
