"""What is to be prepared: every image of a split by number, wherever it lies."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from keras_imagenet.data.prepare.devkit import Devkit, read_devkit
from keras_imagenet.data.prepare.item import Item, Split, item_of, order_of_labels
from keras_imagenet.data.prepare.tars import Members, list_members, reader
from keras_imagenet.data.prepare.tfds_input import open_tfds
from keras_imagenet.data.sources.folder import list_splits, side_of
from keras_imagenet.data.sources.kaggle import Labelled, archive_of, labelled
from keras_imagenet.data.sources.names import class_folder
from keras_imagenet.data.sources.source import fingerprint
from keras_imagenet.errors import SettingsError
from keras_imagenet.labels import ClassList, from_identifiers, label_of, require_writable, spelt
from keras_imagenet.settings.prepare import PrepareSettings


def open_inputs(settings: PrepareSettings) -> tuple[ClassList, list[Split]]:
    """The label order and the splits. Raises DataError or SettingsError where they cannot be made out."""
    classes, splits = _open(settings)
    require_writable(classes, "prepare")
    return classes, splits


def _open(settings: PrepareSettings) -> tuple[ClassList, list[Split]]:
    if settings.tfds is not None:
        return open_tfds(settings)
    if settings.folder is not None:
        return _open_folder(settings, settings.folder)
    return _open_tars(settings)


def _open_folder(settings: PrepareSettings, directory: Path) -> tuple[ClassList, list[Split]]:
    found, given = _in_folder(directory)
    classes, wanted = order_of_labels(settings, found)
    if settings.subset is None:
        label_of(found.identifiers, classes, settings.classes, f"{directory}: the class folder")
    labels = {spelt(identifier): label for label, identifier in enumerate(classes.identifiers)}
    splits = []
    for name, images in given.items():
        kept = np.flatnonzero([identifier in wanted for identifier in images.classes])
        paths = [images.listing.paths[place] for place in kept]
        chosen = [labels[images.classes[place]] for place in kept]

        def read(number: int, root: Path = images.folder, paths=paths, chosen=chosen) -> Item:
            return item_of(paths[number], chosen[number], (root / paths[number]).read_bytes)

        print_of = fingerprint(paths, images.listing.sizes[kept])
        splits.append(Split(side_of(name) or "train", len(paths), read, print_of, skipped=images.listing.skipped))
    return classes, splits


def _in_folder(directory: Path) -> tuple[ClassList, dict[str, Labelled]]:
    """The classes found in a folder, and the images of each split."""
    if archive := archive_of(directory):
        return labelled(archive)
    listings = list_splits(directory)
    found = sorted({class_folder(folder) for listing in listings.values() for folder in listing.folders})
    return from_identifiers(found), {
        name: Labelled(directory / name, listing, list(map(class_folder, listing.paths)))
        for name, listing in listings.items()
    }


def _open_tars(settings: PrepareSettings) -> tuple[ClassList, list[Split]]:
    devkit = None if settings.devkit is None else read_devkit(settings.devkit)
    tars = {"train": settings.train_tar, "validation": settings.validation_tar}
    members = {name: list_members(tar) for name, tar in tars.items() if tar is not None}
    classes_of = {name: _labelled(tars[name], listed, devkit) for name, listed in members.items()}
    found = {identifier for identifiers in classes_of.values() for identifier in identifiers}
    if devkit is not None and "train" not in members:
        found |= set(devkit.names)  # a validation set alone may lack classes of which it is told
    known_names = {} if devkit is None else devkit.names
    identifiers = tuple(sorted(found))
    classes, wanted = order_of_labels(
        settings, ClassList(identifiers, tuple(known_names.get(key, key) for key in identifiers))
    )
    if settings.subset is None:
        label_of(sorted(set().union(*classes_of.values())), classes, settings.classes, "the tars' class")
    labels = {spelt(identifier): label for label, identifier in enumerate(classes.identifiers)}
    splits = []
    for name, listed in members.items():
        kept = np.flatnonzero([identifier in wanted for identifier in classes_of[name]])
        read_member = reader(tars[name], listed)
        chosen = [labels[classes_of[name][position]] for position in kept]

        def read(number: int, listed=listed, kept=kept, chosen=chosen, read_member=read_member) -> Item:
            position = int(kept[number])
            return item_of(listed.names[position], chosen[number], lambda: read_member(position))

        print_of = fingerprint([listed.names[position] for position in kept], listed.offsets[kept], listed.sizes[kept])
        splits.append(Split(name, len(kept), read, print_of, listed.refused, listed.skipped))
    return classes, splits


def _labelled(tar: Path, members: Members, devkit: Devkit | None) -> list[str]:
    """The class of each member: its folder or inner tar, else what the devkit says."""
    flat = [name for name, identifier in zip(members.names, members.classes, strict=True) if identifier is None]
    if not flat:
        return [spelt(identifier) for identifier in members.classes if identifier is not None]
    if devkit is None:
        raise SettingsError(
            f"{tar}: {flat[0]} is in no class folder: give devkit, which says the classes of such images"
        )
    of_flat = dict(zip(flat, devkit.classes_of(tar, flat), strict=True))
    return [
        of_flat[name] if identifier is None else spelt(identifier)
        for name, identifier in zip(members.names, members.classes, strict=True)
    ]
