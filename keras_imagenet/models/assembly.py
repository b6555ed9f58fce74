"""A network as the settings say: architecture, weights, and the preset and label order that come along with them."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_imagenet.errors import SettingsError, nearest
from keras_imagenet.models import freezing, registry, weights, whitening
from keras_imagenet.models.weights import Origin
from keras_imagenet.preset import Preset
from keras_imagenet.settings import Settings
from keras_imagenet.settings.model import ModelSettings
from keras_imagenet.settings.resolution import resolve

if TYPE_CHECKING:
    import keras

    from keras_imagenet.models.weights.fitting import Fitted


def require_known(name: str) -> None:
    """Raise SettingsError, with the nearest name, where no network is called so. Needs no TensorFlow."""
    if name not in registry.names():
        hint = nearest(name, registry.names()) or "; `keras-imagenet models` lists them"
        raise SettingsError(f"model.name = {name}: no such model{hint}")


def origin_of(settings: Settings) -> Origin | None:
    """Where the settings' weights come from and what belongs to them; None for fresh ones. Reads no weights yet."""
    return weights.find(settings.model.weights, settings.model.name) if settings.model.weights else None


def preset_of(settings: Settings, origin: Origin | None) -> Preset:
    """The settings' preset, over that of the weights' origin, over the defaults; evaluated at the size that phases end with."""
    known, data = origin.preset if origin else None, settings.data
    sizes = [phase.size for phase in settings.phases if phase.size]
    if sizes and data.evaluation_size is None:
        data = data.model_copy(update={"evaluation_size": sizes[-1]})
    return resolve(data, Preset(**known) if known else None)


def resolved(settings: Settings, origin: Origin | None) -> Settings:
    """Settings that say of the network what the weights say of it, too, so that it can be built without them."""
    model = ModelSettings.model_validate({**settings.model.model_dump(), **_options(settings, origin)})
    return settings.model_copy(update={"model": model})


def classes_file_of(origin: Origin | None) -> Path | None:
    """A file that holds the label order of published ImageNet weights; None where another is known or none."""
    imagenet = tuple(identifier for identifier, _ in weights.imagenet_classes())
    return Path(weights.__file__).with_name("imagenet_classes.tsv") if origin and origin.classes == imagenet else None


def build(
    settings: Settings, preset: Preset, origin: Origin | None, classes: Sequence[str]
) -> tuple["keras.Model", "Fitted | None"]:
    """The network, and how its weights fitted where it has some. Call under the strategy's scope.

    Raises SettingsError where options, input or weights do not fit the architecture.
    """
    network = fresh(settings, preset.input_shape, len(classes), origin)
    fitted = origin.give(network) if origin else None
    freeze(network, settings.model)
    return network, fitted


def fresh(
    settings: Settings, input_shape: tuple[int, int, int], classes: int, origin: Origin | None = None
) -> "keras.Model":
    """The network before it has weights; of an origin it has the options that its weights were trained with.

    With head_bias log_classes each sigmoid answers 1 / classes at first, about (arXiv:1708.02002 section 3.3).
    """
    options = _options(settings, origin)
    if options.get("head_bias") == "log_classes":
        options["head_bias"] = -math.log(classes)
    return registry.build(settings.model.name, input_shape=input_shape, classes=classes, **options)


def at_evaluation_size(
    network: "keras.Model", settings: Settings, preset: Preset, origin: Origin | None
) -> "keras.Model":
    """The same network for images of evaluation's size, whose variables have the same shapes; often `network` itself.

    Raises SettingsError where its variables depend on the size of its images.
    """
    if preset.evaluation.size == preset.size:
        return network
    return at_size(network, settings, preset.evaluation, origin, "data.evaluation_size")


def at_size(
    network: "keras.Model", settings: Settings, preset: Preset, origin: Origin | None, asked: str
) -> "keras.Model":
    """The same network for images of another preset's size, whose variables have the same shapes; asked: by which setting.

    Raises SettingsError where its variables depend on the size of its images.
    """
    other = fresh(settings, preset.input_shape, network.output_shape[-1], origin)
    for one, another in zip(network.variables, other.variables, strict=True):
        if one.shape != another.shape:
            raise SettingsError(
                f"{asked}: {settings.model.name}'s weights depend on the size of its images "
                f"({one.path} has {tuple(one.shape)} and {tuple(another.shape)}); leave it out"
            )
    freeze(other, settings.model)
    return other


def freeze(network: "keras.Model", settings: ModelSettings) -> None:
    """Let stand still what the settings name. Raises SettingsError for what the network has not."""
    freezing.freeze(network, settings.freeze)
    if settings.whiten:
        whitening.freeze(network)


def _options(settings: Settings, origin: Origin | None) -> dict[str, Any]:
    """The settings' options over those that the weights were trained with."""
    options = dict(settings.model.options)
    for name, value in (origin.options if origin else {}).items():
        options[name] = {**value, **options.get(name, {})} if isinstance(value, dict) else options.get(name, value)
    return options
