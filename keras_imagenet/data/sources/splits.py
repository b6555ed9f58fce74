"""Holding examples out for validation: by a hash of each one's name or group, so that adding files moves no other."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np

from keras_imagenet.data.sources.source import Source, Splits, subset
from keras_imagenet.errors import DataError, SettingsError
from keras_imagenet.settings import Settings
from keras_imagenet.settings.data import SourceSettings


def split(
    settings: SourceSettings, train: Source | None, validation: Source | None, keys: Sequence[str] | None = None
) -> Splits:
    """Holds out what the settings say. keys: what is hashed for each example of train; its name if not given.

    Examples with one key stay together. A validation split that the data has already wins over validation_fraction, with a
    remark. Raises SettingsError if folds are asked for beside one, and DataError if nothing would be held out, or everything.
    """
    if settings.validation_fraction is not None and validation is not None:
        own = f"data.source.validation_fraction = {settings.validation_fraction:g} is not used: the data has a validation split"
        return Splits(train, validation, (own,))
    asked = "validation_fraction" if settings.validation_fraction is not None else "folds"
    if settings.validation_fraction is None and settings.folds is None:
        return Splits(train, validation)
    if train is None or validation is not None:
        there = "has a validation split already" if train is not None else "has no training split"
        raise SettingsError(f"data.source.{asked}: the data {there}; leave {asked} out")
    hashes = hash_fractions(train.names if keys is None else keys)
    if settings.folds is not None:
        held_out = np.minimum((hashes * settings.folds).astype(int), settings.folds - 1) == settings.fold
    else:
        held_out = _of_every_class(hashes, train.labels, settings.validation_fraction)
    if held_out.all() or not held_out.any():
        extent = "all" if held_out.all() else "none"
        raise DataError(f"data.source.{asked}: would hold out {extent} of {len(train)} examples; choose another value")
    return Splits(subset(train, np.flatnonzero(~held_out)), subset(train, np.flatnonzero(held_out)))


def _of_every_class(hashes: np.ndarray, labels: np.ndarray, fraction: float) -> np.ndarray:
    """Which examples are held out, bool [n]: those whose hash is below the fraction, and of every class some and not all.

    Of a class with two keys or more, where none is below, the least is held out for as long; where all are, the greatest is
    left to train on. Adding examples moves no other, but for such a class' one: it goes back once the class has its own.
    """
    held_out = hashes < fraction
    counts = np.bincount(labels)
    for wanted, choose in ((False, np.min), (True, np.max)):
        held = np.bincount(labels, weights=held_out)
        for label in np.flatnonzero((counts > 0) & (held == (counts if wanted else 0))):
            keys = hashes[labels == label]
            if keys.min() < keys.max():
                held_out[hashes == choose(keys)] = not wanted
    return held_out


def require_validation(settings: Settings, splits: Splits) -> None:
    """Raises SettingsError where a run is to go by its validation, and there is nothing to validate on."""
    train = settings.train
    asked = {
        f"train.keep {train.keep}": "best" in train.keep,
        "train.patience": train.patience is not None,
        "average.name best": settings.average is not None and settings.average.name == "best",
        "schedule.name plateau": settings.schedule.name == "plateau",
    }
    for option in (name for name, is_asked in asked.items() if is_asked and splits.validation is None):
        without = "take train.keep last" if "keep" in option else "leave it out"
        raise SettingsError(
            f"{option}: goes by validation, and the data has no validation split; hold examples out with "
            f"data.source.validation_fraction, or {without}"
        )


def hash_fractions(keys: Sequence[str]) -> np.ndarray:
    """A number in [0, 1) for each key, float64 [n], evenly spread and the same on every machine."""
    digests = b"".join(blake2b(key.encode("utf-8", "surrogateescape"), digest_size=8).digest() for key in keys)
    return (np.frombuffer(digests, "<u8") >> np.uint64(11)) * 2.0**-53
