"""What classes may be called, so that a name comes back from a class file as it went in, and one class has one name."""

from __future__ import annotations

import unicodedata

import numpy as np

from keras_imagenet.data.sources.labels import ClassList
from keras_imagenet.data.sources.source import Splits
from keras_imagenet.errors import DataError


def spelt(name: str) -> str:
    """A name in Unicode's composed form (NFC): the accents of one name are stored in two ways, by macOS and by others."""
    return unicodedata.normalize("NFC", name)


def class_folder(path: str) -> str:
    """The class of CLASS/FILE."""
    return spelt(path.split("/", 1)[0])


def require_writable(classes: ClassList) -> None:
    """Raises DataError for a class whose name a class file, of one class a line, would not give back."""
    for name in (*classes.identifiers, *classes.names):
        if trouble := _trouble(name):
            raise DataError(f"data.source: the class {name!r} {trouble}, which no class file can hold; rename it")
    if classes.identifiers == classes.names and classes.identifiers[:1] == ("wnid",):
        raise DataError(
            "data.source: a class file that begins with the class wnid is read as a table; rename that class"
        )


def require_one_case(splits: Splits) -> None:
    """Raises DataError for a class of which training knows only another spelling: Cat for validation's cat."""
    if splits.train is None or splits.validation is None:
        return
    classes = np.array(splits.classes, dtype=object)
    trained, measured = (set(classes[np.unique(source.labels)]) for source in (splits.train, splits.validation))
    spellings = {name.casefold(): name for name in trained - measured}
    for name in sorted(measured - trained):
        if other := spellings.get(name.casefold()):
            raise DataError(
                f"data.source: the class is called {other} in training and {name} in validation; give it one name"
            )


def _trouble(name: str) -> str | None:
    if len(name.splitlines()) > 1 or set(name) & set("\t\n\r\0"):
        return "holds a tab or a line break"
    if name != name.strip() or name.startswith("\ufeff"):
        return "begins or ends with a blank"
    return None if name else "has no name"
