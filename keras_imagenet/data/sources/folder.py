"""Image files in class folders: SPLIT/CLASS/FILE, or CLASS/FILE; and ILSVRC2012 as Kaggle hands it out."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from keras_imagenet.data.sources import kaggle
from keras_imagenet.data.sources.contents import contents
from keras_imagenet.data.sources.left_out import some
from keras_imagenet.data.sources.listing import OTHER_PHOTOS, Listing, images_in, list_images, subfolders
from keras_imagenet.data.sources.names import class_folder
from keras_imagenet.data.sources.source import Source, Splits, fingerprint, held
from keras_imagenet.data.sources.splits import split
from keras_imagenet.errors import DataError
from keras_imagenet.labels import ClassList, from_identifiers, label_of, read_classes, spelt
from keras_imagenet.settings.data import FolderSource

if TYPE_CHECKING:
    import tensorflow as tf

TRAIN = ("train", "training")
VALIDATION = ("validation", "val", "valid", "eval", "evaluation", "test", "testing")
LAYOUT = "expected train/CLASS/FILE and val/CLASS/FILE, or CLASS/FILE"


def open_folder(settings: FolderSource) -> Splits:
    """The folder's splits, whatever the case of their names; of several for validation, the first of VALIDATION.

    Labels follow settings.classes, or else the names of all splits' class folders together in code-point order, so that
    a class that one split lacks shifts no other. Raises DataError if the folder is missing, empty, or laid out otherwise,
    if a class has no image in any split, or if a class folder is not in settings.classes.
    """
    directory = settings.directory
    if archive := kaggle.archive_of(directory):
        return _open_kaggle(settings, archive)
    listings = list_splits(directory)
    classes = _classes(settings, listings)
    sources = {
        name: _source(directory / name, name, listing, list(map(class_folder, listing.paths)), classes)
        for name, listing in listings.items()
    }
    train = next((name for name in sources if side_of(name) != "validation"), None)
    validation = next((name for name in sources if side_of(name) == "validation"), None)
    keys = listings[train].paths if train is not None else None  # without train/: the same held out in either layout
    splits = split(settings, sources.get(train), sources.get(validation), keys)
    unused = [] if "" in listings else [name for name in subfolders(directory) if name not in listings]
    remark = f"left out: what lies beside {' and '.join(listings)}: {some(unused, len(unused))}"
    return replace(splits, remarks=(*splits.remarks, remark)) if unused else splits


def _open_kaggle(settings: FolderSource, archive: Path) -> Splits:
    classes, splits = kaggle.labelled(archive)
    if settings.classes is not None:
        found, classes = classes, read_classes(settings.classes)
        label_of(found.identifiers, classes, settings.classes, f"{archive}: the class")
    sources = {
        name: _source(found.folder, name, found.listing, found.classes, classes) for name, found in splits.items()
    }
    return split(settings, sources.get("train"), sources.get("val"))


def side_of(name: str) -> str | None:
    """train or validation, where a folder, or a manifest's split, is named as one of them is; None for any other name."""
    word = name.casefold()
    return "train" if word in TRAIN else "validation" if word in VALIDATION else None


def split_folders(directory: Path) -> list[str]:
    """Which folders hold the class folders: one for each side, train's first, either alone, or "", the directory itself.

    A folder is taken as split if it holds one for training, or nothing but folders named as splits are.
    """
    names = subfolders(directory)
    if not names:
        raise DataError(f"{directory}: {_no_class_folders(directory)}")
    train = [name for name in names if side_of(name) == "train"][:1]
    validation = [name for word in VALIDATION for name in names if name.casefold() == word]
    return [*train, *validation[:1]] if train or len(validation) == len(names) else [""]


def list_splits(directory: Path) -> dict[str, Listing]:
    """The images of each split folder by its name; DataError where the layout is not as open_folder says."""
    listings = {name: list_images(directory / name) for name in split_folders(directory)}
    for name, listing in listings.items():
        if not listing.folders:
            raise DataError(_no_split(directory, name))
    filled = {class_folder(path) for listing in listings.values() for path in listing.paths}
    folders = [directory / name / folder for name, listing in listings.items() for folder in listing.folders]
    if not filled and len(deeper := [folder for folder in folders if _holds_classes(folder)]) == 1:
        raise DataError(f"{directory}: the classes seem to be in {deeper[0]}; give that folder")
    for name, listing in listings.items():
        for folder in listing.folders:
            if class_folder(folder) not in filled:
                raise DataError(f"{directory / name / folder}: {_what_is_there(directory / name / folder)}")
        if not listing.paths:
            raise DataError(f"{directory / name}: no class folder there holds an image")
    return listings


def file_reader(directory: Path, paths: Sequence[str]) -> Callable[[tf.Tensor], tf.Tensor]:
    """index -> the bytes of directory/paths[index], a path of its own if it is absolute; names are never globbed."""
    path_of = held(np.array([os.fsencode(path) for path in paths], dtype=object))
    root = os.fsencode(f"{directory}/")
    some_absolute = any(path.startswith("/") for path in paths)

    def read(index: tf.Tensor) -> tf.Tensor:
        import tensorflow as tf

        path = path_of(index)
        start = tf.where(tf.strings.substr(path, 0, 1) == b"/", b"", root) if some_absolute else root
        return tf.io.read_file(start + path)

    return read


def _classes(settings: FolderSource, listings: dict[str, Listing]) -> ClassList:
    directory = settings.directory
    filled = {class_folder(path) for listing in listings.values() for path in listing.paths}
    if settings.classes is None:
        return from_identifiers(sorted(filled))
    classes = read_classes(settings.classes)
    label_of(sorted(filled), classes, settings.classes, f"{directory}: the class folder")
    return classes


def _no_split(directory: Path, name: str) -> str:
    """What is wrong with a split's folder in which there is none of a class."""
    beside = [other for other in subfolders(directory) if side_of(other) is None]
    if side_of(name) != "train" or not beside:
        return f"{directory / name}: {_no_class_folders(directory / name)}"
    return (
        f"{directory}: {name} is taken for the training split, but holds no class folders; if it is a class as "
        f"{some(beside, len(beside))}, move all of them into a folder {directory / 'train'}, or call it otherwise"
    )


def _holds_classes(folder: Path) -> bool:
    """Whether a folder is laid out as a data set: it holds folders of images, or those of splits that do."""
    inner = [folder / name for name in subfolders(folder)]
    return any(images_in(path) for path in inner) or any(
        images_in(path / name) for path in inner if side_of(path.name) for name in subfolders(path)
    )


def _no_class_folders(directory: Path) -> str:
    images = images_in(directory)
    hint = f"; sort its {len(images):,} images into a folder for each class, or, if they are one class, give the folder above"
    return f"holds no class folders; {LAYOUT}" + (hint if images else "")


def _what_is_there(folder: Path) -> str:
    if deeper := [name for name in subfolders(folder) if images_in(folder / name)]:
        return (
            f"holds no image itself; they lie one level deeper, in {some(deeper, len(deeper))}, and only CLASS/FILE is read: "
            f"move them up, or, if those are the classes, give {folder}"
        )
    endings = sorted({Path(name).suffix.lower() or "no ending" for name in os.listdir(folder) if name[0] != "."})
    found = f"only files with {', '.join(endings[:4])}" if endings else "it is empty"
    mend = (
        "save them as JPEG or PNG"
        if set(endings) & set(OTHER_PHOTOS)
        else "put JPEG, PNG, BMP, GIF or WebP files there"
    )
    return f"holds no image ({found}); {mend}, or remove the folder"


def _source(folder: Path, name: str, listing: Listing, of_each: Sequence[str], classes: ClassList) -> Source:
    """The images of a folder, which is called `name` in messages, of the class that is given of each."""
    label = {spelt(identifier): index for index, identifier in enumerate(classes.identifiers)}
    sums = contents(folder, listing.paths, listing.sizes, listing.times)
    return Source(
        classes=classes.identifiers,
        class_names=classes.names,
        labels=np.array([label[identifier] for identifier in of_each], np.int32),
        names=[f"{name}/{path}" for path in listing.paths] if name else listing.paths,
        fingerprint=fingerprint("folder", listing.paths, listing.sizes, sums, classes.identifiers),
        read=file_reader(folder, listing.paths),
        skipped=listing.skipped,
        first_skipped=listing.first_skipped,
    )
