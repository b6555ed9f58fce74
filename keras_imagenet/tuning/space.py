"""What a search varies: settings by their dotted names, each over a range or a few values. No TensorFlow."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

from keras_imagenet import recipes
from keras_imagenet.errors import SettingsError
from keras_imagenet.recipes import Layer
from keras_imagenet.settings import Settings

RANGE = re.compile(r"(log:)?([^:,]+):([^:,]+)")
MOST_CHECKED = 256
"""Combinations of ends and values that are checked before the first trial."""

Over = Mapping[str, str | Sequence[Any]]
"""By a setting's dotted name a range, 0:0.2 or log:0.001:1, or values, none,horizontal; a list of values where it is no text."""


@dataclass(frozen=True)
class Range:
    """All numbers from low to high, both included; whole ones where the setting takes no others. log: evenly over the logarithm."""

    low: float
    high: float
    log: bool = False

    @property
    def ends(self) -> tuple[Any, ...]:
        """What is checked of it."""
        return self.low, self.high


@dataclass(frozen=True)
class Values:
    """A few values, as text of the command line."""

    ends: tuple[str, ...]


Space = dict[str, Range | Values]


def asked(words: Sequence[str]) -> dict[str, str]:
    """NAME=RANGE or NAME=A,B,..., each name once. Raises SettingsError for another word."""
    found: dict[str, str] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals or name in found:
            problem = (
                "is given twice" if equals else "needs a range, such as 0:0.2 or log:0.001:1, or values, such as a,b"
            )
            raise SettingsError(f"--over {word}: {name} {problem}")
        found[name] = text
    return found


def read(over: Over, settings: Settings) -> Space:
    """What varies, as the types of the settings have it. Raises SettingsError for what no run can take.

    settings: those that the search acts on. The source of the data, and what changes no result, do not vary.
    """
    if not over:
        raise SettingsError("tune: needs something to vary; such as --over optimizer.learning_rate=log:0.001:1")
    space = {name: _read(name, given, settings) for name, given in over.items()}
    for _ in candidates(space, settings):
        pass
    return space


def candidates(space: Space, settings: Settings) -> Iterator[Settings]:
    """Settings with the ends of all ranges, and all values, combined; of more than MOST_CHECKED the first."""
    combined = itertools.product(*(varied.ends for varied in space.values()))
    for values in itertools.islice(combined, MOST_CHECKED):
        yield applied(settings, dict(zip(space, values, strict=True)))


def applied(settings: Settings, values: Mapping[str, Any]) -> Settings:
    """Settings under others by their dotted names. Raises SettingsError where they do not go together."""
    above = reduce(recipes.merge, (recipes.override_tree(name, value) for name, value in values.items()), {})
    layers = [Layer("settings", settings.model_dump(mode="json")), Layer("--over", above)]
    return recipes.validate(layers)


def _read(name: str, given: str | Sequence[Any], settings: Settings) -> Range | Values:
    if name.startswith("data.source."):
        raise SettingsError(f"--over {name}: other examples would be measured, so trials could not be compared")
    if name == "data.also" or name.startswith("data.also."):
        raise SettingsError(f"--over {name}: nothing in a run goes by further sets; leave it out")
    if isinstance(given, str) and (found := RANGE.fullmatch(given.strip())):
        low, high = (_number(name, text, settings) for text in found.groups()[1:])
        varied = Range(low, high, log=found[1] is not None)
        if not low < high or (varied.log and low <= 0):
            raise SettingsError(f"--over {name}={given}: must rise{', from above 0' if varied.log else ''}")
    else:
        listed = given if isinstance(given, Sequence) else [given]
        values = [value.strip() for value in given.split(",")] if isinstance(given, str) else listed
        varied = Values(tuple(value if isinstance(value, str) else json.dumps(value) for value in values))
        if len(varied.ends) < 2:
            raise SettingsError(f"--over {name}={given}: needs a range LOW:HIGH, or several values")
    acting = {recipes.acting(applied(settings, {name: value})) for value in varied.ends}
    if len(acting) < len(varied.ends):
        raise SettingsError(f"--over {name}={given}: not every value makes another run; leave out what changes nothing")
    return varied


def _number(name: str, text: str, settings: Settings) -> float:
    """The end of a range, as the setting takes it: a whole number or any."""
    value: Any = applied(settings, {name: text.strip()})
    for part in name.split("."):
        value = getattr(value, part)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise SettingsError(f"--over {name}: is no number, so it has no range; give values, such as {text},...")
    return value
