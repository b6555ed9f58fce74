"""The base of every group of settings: frozen, and strict about names and types."""

from pydantic import BaseModel, ConfigDict


class Group(BaseModel):
    """A group of settings; an unknown key or a value of another type is an error."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False, use_attribute_docstrings=True
    )
