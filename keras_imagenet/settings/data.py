"""Where images come from, and the preset: what turns a decoded image into the network's input."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, field_validator, model_validator

from keras_imagenet.preset import Colour, Depth, colour_of
from keras_imagenet.settings.group import Group, Pixels, Place


def _number(value: object) -> object:
    """A flag's text as the number it is; pydantic does this for int, but not for a literal."""
    return int(value) if isinstance(value, str) and value.isdecimal() else value


Fraction = Annotated[float, Field(gt=0, lt=1)]
Size = Annotated[
    Annotated[Pixels, Tag("side")] | Annotated[tuple[Pixels, Pixels], Tag("sides")],
    Discriminator(lambda value: "sides" if isinstance(value, list | tuple) else "side"),
]


def _known(name: str) -> str:
    colour_of(name)
    return name


Background = Annotated[
    Annotated[Colour, Tag("numbers")] | Annotated[str, AfterValidator(_known), Tag("name")],
    Discriminator(lambda value: "numbers" if isinstance(value, list | tuple) else "name"),
]


class _Split(Group):
    """Fields of every source that can hold examples out for validation."""

    classes: Place | None = None
    """A file that fixes the label order: one name a line, or a TSV with a `wnid` column."""
    validation_fraction: Fraction | None = None
    """Share of the training examples held out, of every class some, by hashes of names; where there is no validation split."""
    folds: Annotated[int, Field(ge=2, le=10_000)] | None = None
    """Number of folds for cross-validation, by a hash of each example's name; instead of validation_fraction."""
    fold: Annotated[int, Field(ge=0)] = 0
    """Which of the folds is held out, from 0."""
    unreadable: Literal["skip", "stop"] = "skip"
    """What to do with an image that cannot be decoded: name it, count it and give it weight 0, or stop with exit code 3."""

    @model_validator(mode="after")
    def _one_way_to_split(self):
        if self.folds is not None and self.validation_fraction is not None:
            raise ValueError("give validation_fraction or folds, not both")
        if self.folds is not None and self.fold >= self.folds:
            raise ValueError(f"fold must be below folds ({self.folds})")
        if self.folds is None and self.fold:
            raise ValueError(f"fold = {self.fold}: is one of several; give folds, too")
        return self


class DigitsSource(_Split):
    """scikit-learn's 1,797 handwritten digits, 8x8, built in."""

    name: Literal["digits"] = "digits"
    validation_fraction: Fraction | None = 0.2
    """Share of the training examples held out, of every class some, by hashes of names; where there is no validation split."""


class ArraysSource(_Split):
    """An .npz file in the layout of keras.datasets: x_train, y_train and, if there, x_test, y_test."""

    name: Literal["arrays"]
    file: Place
    """The .npz file: x uint8 [n, height, width] or [n, height, width, channels], y integers [n]."""


class FolderSource(_Split):
    """Image files in class folders: SPLIT/CLASS/FILE, or CLASS/FILE."""

    name: Literal["folder"]
    directory: Place
    """The folder that holds train/ and val/ (or validation/, test/), or the class folders themselves."""


class CsvSource(_Split):
    """A manifest with the columns path, label and, if there, split and group."""

    name: Literal["csv"]
    file: Place
    """The manifest, with a header line."""
    directory: Place | None = None
    """What relative paths start from; the manifest's own folder if not given."""


class RecordsSource(_Split):
    """Seekable shards (ArrayRecord) that `keras-imagenet prepare` wrote."""

    name: Literal["records"]
    directory: Place
    """The folder that holds dataset_info.json and the shards."""


class TfdsSource(_Split):
    """A classification set of TensorFlow Datasets, in ArrayRecord."""

    name: Literal["tfds"]
    dataset: str
    """The set's name, with a config or version where there are several: cifar10, imagenet2012:5.1.0."""
    directory: Place | None = None
    """TensorFlow Datasets' data_dir; its own default if not given."""
    train_split: str = "train"
    """Split trained on."""
    validation_split: str | None = None
    """Split evaluated on; validation, else test, if not given."""


SourceSettings = Annotated[
    DigitsSource | ArraysSource | FolderSource | CsvSource | RecordsSource | TfdsSource, Field(discriminator="name")
]


OWN_COLUMNS = ("validation", "average")
"""What columns of history.csv begin with whose ends are loss, top1 and top5."""


class DataSettings(Group):
    """Images: source, and the preset. A preset field left out comes from the weights' origin, else from its default."""

    source: SourceSettings = DigitsSource()
    """Where the images come from."""
    also: dict[str, SourceSettings] = Field(default_factory=dict)
    """Further sets that `fit` measures on after each epoch, by the names that their columns begin with: {NAME: source}; classes go by
    name. Nothing in a run goes by them."""
    size: Size | None = None
    """Height and width of the network's input in pixels: one number, or [height, width]. 224 if not given."""
    evaluation_size: Size | None = None
    """Height and width in evaluation, prediction and serving, for networks whose weights fit any size.
    If not given, the size that the last phase trains with, or size."""
    channels: Annotated[Literal[1, 3] | None, BeforeValidator(_number)] = None
    """1 for greyscale, 3 for RGB. 3 if not given."""
    fit: Literal["crop", "centre", "pad", "squash"] | None = None
    """How evaluation makes an image fit: resize and cut the centre, cut the centre and resize it (TensorFlow's recipes, FFCV), add
    borders, or change its aspect. crop if not given."""
    crop_fraction: Annotated[float, Field(gt=0, le=1)] | None = None
    """For fit=crop: the centre crop's share of the resized short side; 0.875 resizes to 256 for a crop of 224. For fit=centre: its
    share of the short side. 0.875 if not given."""
    kernel: Literal["area", "bilinear", "bicubic"] | None = None
    """Resampling kernel; area averages when shrinking (a JPEG's colours as they are stored) and is bilinear when enlarging.
    area if not given."""
    evaluation_kernel: Literal["area", "bilinear", "bicubic"] | None = None
    """Resampling kernel in evaluation, prediction and serving. kernel if not given."""
    antialias: bool | None = None
    """Whether bilinear and bicubic widen their support when shrinking, as PIL does. true if not given."""
    flip_average: bool | None = None
    """Whether evaluation, prediction and serving average the logits of an image and its mirror image. false if not given."""
    mean: tuple[float, ...] | None = None
    """Mean of each channel on the scale 0-1, subtracted. ImageNet's for RGB and 0.5 for greyscale if not given."""
    std: tuple[Annotated[float, Field(gt=0)], ...] | None = None
    """Standard deviation of each channel on the scale 0-1, divided by. ImageNet's for RGB and 0.5 for greyscale if not given."""
    depth: Annotated[Depth | None, BeforeValidator(_number)] = None
    """Bits that the values of 16-bit PNGs use, of which the upper 8 are read: 12 for many scans and cameras. 16 if not given."""
    background: Background | None = None
    """Colour that transparent PNG and WebP images are laid on: [red, green, blue], 0-255, a name such as white, or none, which
    drops transparency. none if not given."""

    @field_validator("also")
    @classmethod
    def _columns_of_their_own(cls, value: dict[str, SourceSettings]) -> dict[str, SourceSettings]:
        for name in value:
            if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", name):
                raise ValueError(f"{name!r}: history.csv's columns begin so; letters, digits, _ and -, a letter first")
            if name in OWN_COLUMNS:
                raise ValueError(
                    f"{name!r}: history.csv has columns {name}_loss, {name}_top1, ... already; give another name"
                )
        return value

    @field_validator("mean", "std")
    @classmethod
    def _on_the_scale_of_shares(cls, value: tuple[float, ...] | None) -> tuple[float, ...] | None:
        if value is None or max(value, default=0) <= 1:
            return value
        divided = ", ".join(f"{number / 255:.4g}" for number in value)
        raise ValueError(
            f"the scale is 0-1, of pixel / 255; numbers on the scale 0-255 are divided by 255: [{divided}]"
        )
