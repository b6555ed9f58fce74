"""What the data calls a class: one name for each, in every split."""

from __future__ import annotations

import numpy as np

from keras_imagenet.data.sources.source import Splits
from keras_imagenet.errors import DataError
from keras_imagenet.labels import spelt


def class_folder(path: str) -> str:
    """The class of CLASS/FILE."""
    return spelt(path.split("/", 1)[0])


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
