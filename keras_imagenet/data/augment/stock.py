"""Stock KerasCV layers by name. They draw their own randomness, so a run that uses one is not exact."""

import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING

from keras_imagenet.errors import SettingsError, nearest
from keras_imagenet.settings.augment import KerasCVLayer

if TYPE_CHECKING:
    import keras


def build(settings: Sequence[KerasCVLayer]) -> list["keras.layers.Layer"]:
    """The layers, each a function of image batches float32 [batch, height, width, channels], 0-255.

    Raises SettingsError for an unknown name, and for arguments that the layer refuses.
    """
    return [_layer(index, setting) for index, setting in enumerate(settings)]


def _layer(index: int, setting: KerasCVLayer) -> "keras.layers.Layer":
    import keras_cv

    base = keras_cv.layers.BaseImageAugmentationLayer
    vectorised = keras_cv.layers.VectorizedBaseImageAugmentationLayer
    names = [
        name
        for name, kind in vars(keras_cv.layers).items()
        if inspect.isclass(kind) and issubclass(kind, (base, vectorised)) and kind not in (base, vectorised)
    ]
    where = f"augment.keras_cv.{index}"
    if setting.name not in names:
        hint = nearest(setting.name, names) or f": {', '.join(sorted(names))}"
        raise SettingsError(f"{where}.name = {setting.name}: no augmentation layer of KerasCV{hint}")
    if setting.name in ("MixUp", "CutMix", "FourierMix"):
        raise SettingsError(f"{where}.name = {setting.name}: mixes labels too; use augment.mixing")
    try:
        return getattr(keras_cv.layers, setting.name)(**setting.arguments)
    except (TypeError, ValueError) as error:
        raise SettingsError(f"{where}: {setting.name} refuses its arguments {setting.arguments}: {error}") from error
