"""The one preprocessing, as plain numbers: it goes into training's end, evaluation, prediction and the SavedModel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    import tensorflow as tf

    from keras_imagenet.settings.data import DataSettings

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class Preset(BaseModel):
    """Everything that turns a decoded image into the network's input.

    size: (height, width) in pixels. channels: 1 or 3. fit: crop, pad or squash. crop_fraction: share of the
    resized short side that a centre crop keeps. kernel, antialias: the resampling. mean, std: one number a
    channel, on the scale 0-1: input = (pixel / 255 - mean) / std.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: tuple[int, int] = (224, 224)
    channels: Literal[1, 3] = 3
    fit: Literal["crop", "pad", "squash"] = "crop"
    crop_fraction: float = 0.875
    kernel: Literal["area", "bilinear", "bicubic"] = "area"
    antialias: bool = True
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Shape of one network input: (height, width, channels)."""
        return (*self.size, self.channels)


def normalise(images: tf.Tensor, preset: Preset) -> tf.Tensor:
    """Pixels 0-255, uint8 or float [..., channels], to float32 network input (pixel / 255 - mean) / std."""
    import tensorflow as tf

    scale = [1 / (255 * s) for s in preset.std]
    shift = [-m / s for m, s in zip(preset.mean, preset.std, strict=True)]
    return tf.cast(images, tf.float32) * tf.constant(scale) + tf.constant(shift)
