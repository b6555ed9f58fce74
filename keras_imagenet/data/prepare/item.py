"""What a preparation reads, whatever it lies in: images by number, and the label order that they get."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from keras_imagenet.labels import ClassList, label_of, read_classes, spelt
from keras_imagenet.settings.prepare import PrepareSettings


@dataclass(frozen=True)
class Item:
    """An image as found. label: its class's, -1 if that class is not wanted. fault: why its bytes could not be had."""

    name: str
    label: int
    encoded: bytes
    fault: str | None = None


def item_of(name: str, label: int, read: Callable[[], bytes]) -> Item:
    """The image that read returns; one that the disk does not give is a fault of that image, not of the preparation."""
    try:
        return Item(name, label, read())
    except OSError as error:
        return Item(name, label, b"", f"cannot be read: {error.strerror}")


@dataclass(frozen=True)
class Split:
    """The images of one split. read: number in [0, count) -> Item; thread-safe.

    fingerprint: changes when the images do. refused: name and reason of what is not even read. skipped: counts by reason.
    """

    name: str
    count: int
    read: Callable[[int], Item]
    fingerprint: str
    refused: Sequence[tuple[str, str]] = ()
    skipped: Mapping[str, int] = field(default_factory=dict)


def order_of_labels(settings: PrepareSettings, found: ClassList) -> tuple[ClassList, set[str]]:
    """The label order, and the classes to keep: classes before subset before what was found, sorted."""
    subset = None if settings.subset is None else read_classes(settings.subset)
    classes = found if subset is None else _renamed(subset, found)
    if settings.classes is not None:
        classes = read_classes(settings.classes)
    if subset is not None:
        label_of(subset.identifiers, found, "the images", f"{settings.subset}: the class")
        label_of(subset.identifiers, classes, settings.classes or "", f"{settings.subset}: the class")
    return classes, set(map(spelt, (subset or classes).identifiers))


def _renamed(subset: ClassList, found: ClassList) -> ClassList:
    names = dict(zip(found.identifiers, found.names, strict=True))
    given = zip(subset.identifiers, subset.names, strict=True)
    return ClassList(subset.identifiers, tuple(name if name != key else names.get(key, key) for key, name in given))
