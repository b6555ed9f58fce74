"""What `keras-imagenet prepare` turns into seekable shards, and how."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, ValidationError, model_validator

from keras_imagenet.errors import SettingsError
from keras_imagenet.settings.group import Group, Pixels, Place, Threads


class PrepareSettings(Group):
    """Where the images are, where the shards go, and what is done to images on the way."""

    output: Place
    """Folder for the shards; a command that was interrupted goes on where it stopped."""
    train_tar: Place | None = None
    """A tar of tars, one a class (ILSVRC2012_img_train.tar), or a tar of CLASS/FILE."""
    validation_tar: Place | None = None
    """A tar of images (ILSVRC2012_img_val.tar), whose classes come from devkit, or a tar of CLASS/FILE."""
    devkit: Place | None = None
    """ILSVRC2012_devkit_t12.tar.gz, or unpacked, or a text file with the class of each validation image, a line each."""
    folder: Place | None = None
    """A folder of train/CLASS/FILE and val/CLASS/FILE, or of CLASS/FILE; instead of the tars."""
    tfds: str | None = None
    """A prepared set of TensorFlow Datasets, in any file format, by name; instead of the tars."""
    tfds_directory: Place | None = None
    """TensorFlow Datasets' data_dir; its own default if not given."""
    name: Annotated[str, Field(pattern="^[a-z][a-z0-9_]*$")] = "images"
    """Name of the data set in the shards' file names: small letters, digits and underscores."""
    classes: Place | None = None
    """A file that fixes the label order: one name a line, or a TSV with a `wnid` column."""
    subset: Place | None = None
    """A file like classes that names the classes to keep; labels follow it unless classes is given."""
    max_side: Pixels | None = None
    """Longest side in pixels; larger images are shrunk (Lanczos) and stored as JPEG."""
    quality: Annotated[int, Field(ge=1, le=100)] | None = None
    """JPEG quality of images stored anew, 90 if not given; without max_side, every image is stored anew where that is smaller."""
    shard_size: Annotated[int, Field(gt=0, le=10_000_000)] = 4096
    """Images per shard."""
    shuffle: bool = True
    """Whether images are stored in random order; false keeps the order found, which reads faster from a spinning disk."""
    threads: Threads | None = None
    """Images checked at once; as many as there are processors if not given."""

    @model_validator(mode="after")
    def _one_input(self):
        tars = self.train_tar is not None or self.validation_tar is not None
        if tars + (self.folder is not None) + (self.tfds is not None) != 1:
            raise ValueError("give train_tar and/or validation_tar, or folder, or tfds")
        if self.devkit is not None and self.validation_tar is None:
            raise ValueError("devkit names the classes of validation_tar; give that, or leave devkit out")
        if self.tfds_directory is not None and self.tfds is None:
            raise ValueError("tfds_directory is where tfds is; give that, or leave tfds_directory out")
        return self


def read(arguments: Mapping[str, Any]) -> PrepareSettings:
    """The settings among a command's arguments, None where not given. Raises SettingsError, one line, for a mistake."""
    given = {
        key: value for key, value in arguments.items() if key in PrepareSettings.model_fields and value is not None
    }
    try:
        return PrepareSettings.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        message = first["msg"].removeprefix("Value error, ")
        where = f"--{first['loc'][0]} = {first['input']}: " if first["loc"] else "prepare: "
        raise SettingsError(f"command line: {where}{message[:1].lower()}{message[1:]}") from None
