"""The base of every group of settings: frozen, and strict about names and types; and numbers that someone can mean."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Epochs = Annotated[float, Field(gt=0, le=100_000)]
Steps = Annotated[int, Field(gt=0, le=1_000_000_000)]
BatchSize = Annotated[int, Field(gt=0, le=2**20)]
Pixels = Annotated[int, Field(gt=0, le=2**14)]
Threads = Annotated[int, Field(gt=0, le=1024)]


class Group(BaseModel):
    """A group of settings; an unknown key or a value of another type is an error."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False, use_attribute_docstrings=True
    )
