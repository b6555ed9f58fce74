"""How training images are varied; every operation is off unless it is named."""

import re
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    field_validator,
    model_validator,
)

from keras_imagenet.settings.group import Group, Pixels

Share = Annotated[float, Field(gt=0, le=1)]
Operations = Annotated[int, Field(gt=0, le=100)]
PartialShare = Annotated[float, Field(gt=0, lt=1)]


GoogleOperation = Literal[
    "auto_contrast",
    "equalize",
    "invert",
    "rotate",
    "posterize",
    "solarize",
    "saturation",
    "contrast",
    "brightness",
    "sharpness",
    "shear_x",
    "shear_y",
    "translate_x",
    "translate_y",
    "cutout",
    "solarize_add",
]

Number = TypeVar("Number", int, float)


def _rising(value: tuple[float, float]) -> tuple[float, float]:
    if value[0] > value[1]:
        raise ValueError(f"the range starts at {value[0]:g} and ends before it, at {value[1]:g}")
    return value


Range = Annotated[tuple[Number, Number], AfterValidator(_rising)]
"""(low, high), the lower one first."""


class RandomResizedCrop(Group):
    """A crop of random area and aspect, resized to the network's input (arXiv:1409.4842 section 6)."""

    scale: Range[Share] = (0.08, 1.0)
    """Range of the crop's share of the image's area."""
    ratio: Range[PositiveFloat] = (3 / 4, 4 / 3)
    """Range of the crop's width / height."""
    form: Literal["torchvision", "pycls", "tensorflow"] = "torchvision"
    """How it is drawn. torchvision: aspect log-uniform; pycls: uniform, and upside down half the time; tensorflow: uniform, and then
    the height, as tf.image.sample_distorted_bounding_box; they differ too in what is taken where ten draws fail."""
    min_object_covered: Annotated[float, Field(ge=0, le=1)] | None = None
    """form tensorflow's least share of the area, beside scale's; 0.1 if not given."""

    @model_validator(mode="after")
    def _only_what_the_form_knows(self):
        if self.min_object_covered is not None and self.form != "tensorflow":
            raise ValueError(
                f"min_object_covered: belongs to form tensorflow and does nothing in form {self.form}; leave it out"
            )
        return self


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

    @model_validator(mode="after")
    def _jitters(self):
        if not (self.brightness or self.contrast or self.saturation or self.hue):
            raise ValueError("jitters nothing; give brightness, contrast, saturation or hue above 0, or leave it out")
        return self


class RandAugment(Group):
    """A few operations drawn at random for each image (arXiv:1909.13719), in one of the parameterisations in use."""

    form: Literal["timm", "torchvision", "google", "garden"] = "timm"
    """timm: strengths 0-10 from a normal distribution, filled with the mean's colour; torchvision: 31 fixed strengths, filled with
    black; google: big_vision's and automl's, filled with grey; garden: TensorFlow Model Garden's, which may also choose nothing."""
    count: Operations = 2
    """Operations for each image."""
    magnitude: Annotated[float, Field(ge=0, le=30)] = 9.0
    """Strength: 0 to 10 for timm, 0 to 30 for torchvision, google and garden, of which 10 is google's and garden's full one."""
    deviation: NonNegativeFloat = 0.0
    """timm's mstd: standard deviation of the strength; from 100 on the strength is uniform from 0 to the magnitude."""
    increasing: bool = False
    """timm's inc: every operation grows stronger with its strength."""
    probability: Share | None = None
    """timm's p and garden's prob_to_apply: how often an operation acts; 0.5 and 1 if not given."""
    exclude: tuple[GoogleOperation, ...] = ()
    """garden's exclude_ops: operations that are not chosen."""
    translate: NonNegativeFloat | None = None
    """google's and garden's pixels of a shift at strength 10; 100 if not given."""
    cutout: NonNegativeFloat | None = None
    """google's and garden's half side of a cut-out square at strength 10, in pixels; 40 if not given."""

    @model_validator(mode="after")
    def _only_what_the_form_knows(self):
        if self.form == "timm" and self.magnitude > 10:
            raise ValueError(f"magnitude = {self.magnitude:g}: form timm knows 0 to 10; form torchvision goes to 30")
        if self.form == "torchvision" and self.magnitude % 1:
            raise ValueError(f"magnitude = {self.magnitude:g}: form torchvision knows whole numbers only")
        for name, forms in _FORMS_THAT_KNOW.items():
            if self.form not in forms and getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(
                    f"{name}: belongs to form {' and '.join(forms)} and does nothing in form {self.form}; leave it out"
                )
        return self


_FORMS_THAT_KNOW = {
    "deviation": ("timm",),
    "increasing": ("timm",),
    "probability": ("timm", "garden"),
    "exclude": ("garden",),
    "translate": ("google", "garden"),
    "cutout": ("google", "garden"),
}


class AugMix(Group):
    """Blends of an image with chains of operations on it (arXiv:1912.02781), in torchvision's parameterisation."""

    severity: Annotated[int, Field(ge=1, le=10)] = 3
    """Strengths are drawn from the this many lowest of ten."""
    width: Operations = 3
    """Chains."""
    depth: Operations | None = None
    """Operations in a chain; if not given, 1 to 3 drawn evenly."""
    alpha: Annotated[float, Field(gt=0)] = 1.0
    """Parameter of the Dirichlet and Beta distributions of the weights."""
    consistency: NonNegativeFloat = 0.0
    """Weight of the Jensen-Shannon loss between the image and two AugMixes of it, 12 in the paper; 0 trains on one AugMix alone."""


class GridMask(Group):
    """Squares of a regular grid filled with the mean's colour (arXiv:2001.04086)."""

    probability: Share = 0.8
    """How often an image gets a grid."""
    ratio: Annotated[float, Field(gt=0, lt=1)] = 0.6
    """Share of the grid's unit that is kept along each axis."""
    unit: Range[Pixels] = (96, 224)
    """Range of the grid's unit in pixels."""
    rotation: Annotated[float, Field(ge=0, le=360)] = 0.0
    """Largest angle in degrees by which the grid is turned about the centre."""


class RandomErasing(Group):
    """Random rectangles erased after normalising (arXiv:1708.04896)."""

    probability: Share = 0.25
    """How often an image is erased at all."""
    mode: Literal["zero", "const", "rand", "pixel"] = "pixel"
    """zero or const: the mean's colour; rand: one random colour a rectangle; pixel: noise."""
    area: Range[PartialShare] = (0.02, 1 / 3)
    """Range of the rectangle's share of the image's area."""
    aspect: Range[PositiveFloat] = (0.3, 1 / 0.3)
    """Range of the rectangle's height / width."""
    count: Operations = 1
    """Most rectangles; the area is divided by the number drawn."""


class Mixing(Group):
    """MixUp (arXiv:1710.09412) and CutMix (arXiv:1905.04899) within groups of 8 consecutive examples."""

    mixup: NonNegativeFloat = 0.0
    """Alpha of MixUp's Beta distribution; 0 is off."""
    cutmix: NonNegativeFloat = 0.0
    """Alpha of CutMix' Beta distribution; 0 is off."""
    probability: Share = 1.0
    """How often examples are mixed at all."""
    switch_probability: PartialShare = 0.5
    """Where both are on, the share of CutMix."""
    mode: Literal["batch", "group", "element"] = "batch"
    """One draw for the whole global batch, one for each group of 8, or one for each example."""
    choice: Literal["mode", "batch", "halves"] = "mode"
    """Where both are on, how often one is chosen: as mode draws, once for the global batch, or never: groups take turns."""
    partner: Literal["reversed", "rolled", "permuted"] = "reversed"
    """Within a group of 8: the first with the last and so on, each with the one before it, or in random order."""
    fold: bool = False
    """Whether MixUp's share is the larger one of l and 1 - l, so that an image outweighs its partner."""
    corrected: bool = True
    """Whether CutMix' share in the target is that of the pixels, or of the rectangle before the border cuts it off."""


class KerasCVLayer(Group):
    """A stock KerasCV layer by its class name; further keys are its arguments. It switches exactness off."""

    model_config = ConfigDict(extra="allow")

    name: str
    """Class name in keras_cv.layers, such as GridMask."""

    @property
    def arguments(self) -> dict[str, Any]:
        """The layer's constructor arguments."""
        return dict(self.model_extra or {})


def _policy(value: object) -> object:
    """true and false, which the setting was before there was a second policy."""
    named = {"true": "imagenet", "false": None}
    return named.get(str(value).lower(), value)


class AugmentSettings(Group):
    """Operations on training images, in the order in which they act."""

    random_resized_crop: RandomResizedCrop | None = None
    """Random crop of area and aspect; if not given, training images are fitted as evaluation's are."""
    pad_crop: Annotated[int, Field(ge=0, le=2**14)] = 0
    """Pixels of border on each side before a random crop back to the size; the CIFAR augmentation."""
    pad_crop_border: Literal["zeros", "reflect"] = "zeros"
    """What the border holds: zeros, or the image mirrored at its edge."""
    flip: Literal["none", "horizontal", "vertical", "both", "alternating"] = "none"
    """Flips with probability 1/2 along each named axis; alternating: left to right each second time that an example comes."""
    rotation: Annotated[float, Field(ge=0, le=180)] = 0.0
    """Largest rotation either way, in degrees."""
    three_augment: bool = False
    """3-Augment (arXiv:2204.07118): each image grey, solarized or blurred; the paper adds a color_jitter of 0.3."""
    color_jitter: ColorJitter | None = None
    """Random brightness, contrast, saturation and hue."""
    rand_augment: RandAugment | None = None
    """RandAugment; also in timm's words, such as rand-m9-n2-mstd0.5-inc1."""
    trivial_augment: bool = False
    """TrivialAugment-wide (arXiv:2103.10158): one operation of any strength for each image."""
    auto_augment: Annotated[Literal["imagenet", "v0"] | None, BeforeValidator(_policy)] = None
    """AutoAugment (arXiv:1805.09501), one of 25 pairs of operations for each image: imagenet, the paper's policy as torchvision
    has it, also by the word true; v0, Google's of its EfficientNets."""
    augmix: AugMix | None = None
    """AugMix: blends with chains of operations."""
    grid_mask: GridMask | None = None
    """GridMask: squares of a grid filled."""
    lighting: NonNegativeFloat = 0.0
    """Deviation of AlexNet's shift along the principal colours of ImageNet; 0.1 in its paper, 0 is off."""
    random_erasing: RandomErasing | None = None
    """Rectangles erased after normalising."""
    mixing: Mixing | None = None
    """MixUp and CutMix, of erased images."""
    keras_cv: tuple[KerasCVLayer, ...] = ()
    """Stock KerasCV layers on whole batches, in this order."""

    @model_validator(mode="after")
    def _views_are_comparable(self):
        if self.augmix is not None and self.augmix.consistency:
            apart = ("grid_mask", "lighting", "random_erasing", "mixing", "keras_cv")
            others = [name for name in apart if getattr(self, name)]
            if others:
                raise ValueError(
                    f"augmix.consistency compares views of one image, which {others[0]} would part; leave one out"
                )
        return self

    @model_validator(mode="after")
    def _mixing_mixes(self):
        mixing = self.mixing
        if mixing is not None and not (mixing.mixup or mixing.cutmix):
            raise ValueError("mixing mixes nothing; give mixup or cutmix above 0, or leave it out")
        if mixing is not None and mixing.switch_probability != 0.5 and not (mixing.mixup and mixing.cutmix):
            raise ValueError(
                "mixing.switch_probability chooses between mixup and cutmix; give both above 0, or leave it out"
            )
        if mixing is not None and mixing.choice != "mode" and not (mixing.mixup and mixing.cutmix):
            raise ValueError("mixing.choice is between mixup and cutmix; give both above 0, or leave it out")
        if mixing is not None and mixing.choice == "halves" and mixing.switch_probability != 0.5:
            raise ValueError("mixing.switch_probability does nothing where choice is halves; leave one of them out")
        if mixing is not None and mixing.fold and not mixing.mixup:
            raise ValueError("mixing.fold is of mixup's share; give mixup above 0, or leave it out")
        if mixing is not None and not mixing.corrected and not mixing.cutmix:
            raise ValueError("mixing.corrected is of cutmix' share; give cutmix above 0, or leave it out")
        return self

    @field_validator("rand_augment", mode="before")
    @classmethod
    def _in_timm_words(cls, value: Any) -> Any:
        return _read_timm_words(value) if isinstance(value, str) else value


def _read_timm_words(words: str) -> dict[str, Any]:
    """The fields that timm's words such as rand-m9-n2-mstd0.5-inc1 name; raises ValueError for others."""
    kind, *parts = words.split("-")
    fields: dict[str, Any] = {"form": "timm", "magnitude": 10.0}
    keys = {"m": "magnitude", "n": "count", "mstd": "deviation", "p": "probability", "inc": "increasing"}
    for part in parts:
        found = re.fullmatch(r"(mstd|inc|m|n|p)(\d+(?:\.\d+)?)", part)
        if not found:
            raise ValueError(
                f"'{part}' in '{words}' is not understood; it takes m, n, mstd, inc and p: rand-m9-n2-mstd0.5-inc1"
            )
        number = float(found[2])
        fields[keys[found[1]]] = bool(number) if found[1] == "inc" else int(number) if found[1] == "n" else number
    if kind != "rand":
        raise ValueError(f"'{words}' is not understood; a timm policy starts with rand, as rand-m9-n2-mstd0.5-inc1")
    if fields["magnitude"] > 10:
        raise ValueError(f"the magnitude in '{words}' is above 10")
    return fields
