"""How training images are varied; every operation is off unless it is named."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, NonNegativeFloat, NonNegativeInt

from keras_imagenet.settings.group import Group

Probability = Annotated[float, Field(ge=0, le=1)]


class RandomResizedCrop(Group):
    """A crop of random area and aspect, resized to the network's input (arXiv:1409.4842 section 6)."""

    scale: tuple[Annotated[float, Field(gt=0, le=1)], Annotated[float, Field(gt=0, le=1)]] = (0.08, 1.0)
    """Range of the crop's share of the image's area."""
    ratio: tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]] = (3 / 4, 4 / 3)
    """Range of the crop's width / height."""


class ColorJitter(Group):
    """Random brightness, contrast, saturation and hue in random order, as torchvision's ColorJitter."""

    brightness: NonNegativeFloat = 0.0
    """Factor drawn from [max(0, 1 - b), 1 + b]."""
    contrast: NonNegativeFloat = 0.0
    """Factor drawn from [max(0, 1 - c), 1 + c]."""
    saturation: NonNegativeFloat = 0.0
    """Factor drawn from [max(0, 1 - s), 1 + s]."""
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    """Shift drawn from [-h, h], in turns of the colour circle."""


class KerasCVLayer(Group):
    """A stock KerasCV layer by its class name; further keys are its arguments. It switches exactness off."""

    model_config = ConfigDict(extra="allow")

    name: str
    """Class name in keras_cv.layers, such as GridMask."""

    @property
    def arguments(self) -> dict[str, Any]:
        """The layer's constructor arguments."""
        return dict(self.model_extra or {})


class AugmentSettings(Group):
    """Operations on training images, in the order in which they act."""

    random_resized_crop: RandomResizedCrop | None = None
    """Random crop of area and aspect; if not given, training images are fitted as evaluation's are."""
    pad_crop: NonNegativeInt = 0
    """Pixels of zero padding on each side before a random crop back to the size; the CIFAR augmentation."""
    flip: Literal["none", "horizontal", "vertical", "both"] = "none"
    """Flips with probability 1/2 along each named axis."""
    rotation: Annotated[float, Field(ge=0, le=180)] = 0.0
    """Largest rotation either way, in degrees."""
    color_jitter: ColorJitter | None = None
    """Random brightness, contrast, saturation and hue."""
    keras_cv: tuple[KerasCVLayer, ...] = ()
    """Stock KerasCV layers on whole batches, in this order."""
