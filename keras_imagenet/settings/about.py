"""What a recipe says of itself: `about`, beside its settings. None of it acts on a run, and a run's settings hold none of it."""

from typing import Annotated

from pydantic import Field

from keras_imagenet.settings.group import Group

Percent = Annotated[float, Field(gt=0, le=100)]


class Published(Group):
    """A result on ImageNet's validation photos that the recipe's source states."""

    top1: Percent
    """Top-1 in percent."""
    top5: Percent | None = None
    """Top-5 in percent, where it is stated."""
    of: str = ""
    """Which weights reached it, and under which conditions, where that needs saying."""


class About(Group):
    """Where a recipe comes from, what it reached there, and what is otherwise here."""

    source: str
    """Repository@commit: files, or a paper and its table."""
    published: Published | None = None
    """The result that its source states; none if not given."""
    differs: tuple[str, ...] = ()
    """What this file does otherwise than its source, and why, a sentence each."""
