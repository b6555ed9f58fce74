"""Which network, and how it is regularised."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from keras_imagenet.settings.group import Group

Rate = Annotated[float, Field(ge=0, lt=1)]


class ModelSettings(Group):
    """The network by its registered name; `keras-imagenet models` lists them."""

    name: str = "simple_cnn"
    """Registered name of the architecture."""
    weights: Path | None = None
    """A run folder or a weights file to start from."""
    dropout: Rate | None = None
    """Dropout rate before the classifier; the family's own default if not given."""
