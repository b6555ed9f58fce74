"""The one preprocessing, as plain numbers: it goes into training's end, evaluation, prediction and the SavedModel."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, ValidationError

from keras_imagenet import files
from keras_imagenet.errors import DataError, nearest

MAXIMUM_BYTES = 2**20
"""Of a preset's file, which has some hundred."""
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

Byte = Annotated[int, Field(ge=0, le=255)]
Colour = tuple[Byte, Byte, Byte]
"""Red, green, blue."""
Depth = Annotated[int, Field(ge=1, le=16)]


class Preset(BaseModel):
    """Everything that turns a decoded image into the network's input.

    size: (height, width) in pixels, in training. evaluation_size: where evaluation, prediction and serving have another.
    channels: 1 or 3. fit: crop, centre, pad or squash. crop_fraction: share of the resized short side that a centre crop keeps,
    or of the short side with fit=centre. kernel, antialias: the resampling. evaluation_kernel: where evaluation, prediction
    and serving have another. flip_average: whether those average the logits of an image and its mirror image. mean, std:
    one number a channel, on the scale 0-1: input = (pixel / 255 - mean) / std.
    depth: bits that 16-bit PNGs use. background: the colour on which transparency is laid; None drops it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    size: tuple[PositiveInt, PositiveInt] = (224, 224)
    evaluation_size: tuple[PositiveInt, PositiveInt] | None = None
    channels: Literal[1, 3] = 3
    fit: Literal["crop", "centre", "pad", "squash"] = "crop"
    crop_fraction: Annotated[float, Field(gt=0, le=1)] = 0.875
    kernel: Literal["area", "bilinear", "bicubic"] = "area"
    evaluation_kernel: Literal["area", "bilinear", "bicubic"] | None = None
    antialias: bool = True
    flip_average: bool = False
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[PositiveFloat, ...] = IMAGENET_STD
    depth: Depth = 16
    background: Colour | None = None

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Shape of one network input: (height, width, channels)."""
        return (*self.size, self.channels)

    @property
    def evaluation(self) -> Preset:
        """The preset with evaluation's size and kernel as its own: what acts everywhere but in training."""
        own = {"size": self.evaluation_size or self.size, "kernel": self.evaluation_kernel or self.kernel}
        return self.model_copy(update={**own, "evaluation_size": None, "evaluation_kernel": None})


def read(file: Path) -> Preset:
    """A run's preset.json. Raises DataError if it is none."""
    try:
        return Preset.model_validate_json(files.read_text(file, MAXIMUM_BYTES))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "its text"
        raise DataError(f"{file}: no preset: {where}: {first['msg'].splitlines()[0]:.200}") from error
    except (OSError, ValueError) as error:
        raise DataError(f"{file}: cannot be read: {error}") from error


def colour_of(name: str) -> Colour | None:
    """The colour that CSS calls so; None for 'none'. Raises ValueError for other names."""
    from PIL import ImageColor

    if name == "none":
        return None
    if name.lower() not in ImageColor.colormap:
        raise ValueError(
            f"{name:.80}: no such colour{nearest(name, list(ImageColor.colormap))}; give [red, green, blue], each 0-255, a name "
            "such as white, or none"
        )
    return ImageColor.getrgb(name)
