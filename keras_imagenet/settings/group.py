"""The base of every group of settings: frozen, and strict about names and types; and numbers that someone can mean."""

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag

Epochs = Annotated[float, Field(gt=0, le=100_000)]
Steps = Annotated[int, Field(gt=0, le=1_000_000_000)]
BatchSize = Annotated[int, Field(gt=0, le=2**20)]
_AUTO = Discriminator(lambda value: "auto" if value == "auto" else "number")
Length = Annotated[float, Field(ge=0, le=100_000)]
AutoEpochs = Annotated[Annotated[Length, Tag("number")] | Annotated[Literal["auto"], Tag("auto")], _AUTO]
AutoBatchSize = Annotated[Annotated[BatchSize, Tag("number")] | Annotated[Literal["auto"], Tag("auto")], _AUTO]
Pixels = Annotated[int, Field(gt=0, le=2**14)]


def _place(path: Path) -> Path:
    if "\0" in str(path):
        raise ValueError("no file can be called so")
    return Path(os.path.expanduser(path))


Place = Annotated[Path, AfterValidator(_place)]
"""A file or folder; ~ is the user's home, also where no shell has said so: in recipes, and in --key=~/photos."""
Threads = Annotated[int, Field(gt=0, le=1024)]


class Group(BaseModel):
    """A group of settings; an unknown key or a value of another type is an error."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False, use_attribute_docstrings=True
    )
