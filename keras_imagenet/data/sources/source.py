"""What a source of images is, whatever kind of storage stands behind it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import tensorflow as tf


@dataclass(frozen=True)
class Source:
    """n labelled images, each to be had by its index in any order, by any number of threads; it holds no state.

    classes: identifiers in label order (folder names, wnids). class_names: what people call them, in the same order;
    equal to classes where nothing better is known. labels: int32 [n]. names: n strings, what messages call an example.
    fingerprint: changes when images, labels or their order change, and not when they are moved elsewhere.
    read: int64 scalar tensor -> string scalar of encoded bytes, or uint8 [height, width, channels]; a TensorFlow op.
    skipped: how many files were passed over, by reason; first_skipped: the first names of them.
    answers: where several labels count as right, all of each image,
    int32 [n, m], with -1 where it has fewer; `labels` then holds one for the loss.
    """

    classes: tuple[str, ...]
    class_names: tuple[str, ...]
    labels: np.ndarray
    names: Sequence[str]
    fingerprint: str
    read: Callable[[tf.Tensor], tf.Tensor] = field(repr=False)
    skipped: dict[str, int] = field(default_factory=dict)
    first_skipped: dict[str, tuple[str, ...]] = field(default_factory=dict)
    answers: np.ndarray | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Splits:
    """The examples to learn from and those to measure on; they share classes. Either may be missing.

    remarks: what whoever trains on them should know of how they were found, a line each. also: by name, further sets to
    measure on, of the same classes.
    """

    train: Source | None
    validation: Source | None
    remarks: tuple[str, ...] = ()
    also: Mapping[str, Source] = field(default_factory=dict)

    @property
    def classes(self) -> tuple[str, ...]:
        """Identifiers of the classes, in label order."""
        return self._any.classes

    @property
    def class_names(self) -> tuple[str, ...]:
        """What people call the classes, in label order."""
        return self._any.class_names

    @property
    def fingerprint(self) -> str:
        """Of all, not of train alone: rows, patience and the best compare what was measured on the same examples."""
        sources = (self.train, self.validation, *self.also.values())
        return " ".join(source.fingerprint for source in sources if source is not None)

    @property
    def _any(self) -> Source:
        return self.train if self.train is not None else self.validation


def subset(source: Source, indices: np.ndarray) -> Source:
    """The examples of a source at indices, int64 [k], in that order."""
    chosen = held(np.asarray(indices, np.int64))
    return Source(
        classes=source.classes,
        class_names=source.class_names,
        labels=source.labels[indices],
        names=[source.names[index] for index in indices],
        fingerprint=fingerprint(source.fingerprint, np.asarray(indices, np.int64)),
        read=lambda index: source.read(chosen(index)),
        skipped=source.skipped,
        first_skipped=source.first_skipped,
        answers=None if source.answers is None else source.answers[indices],
    )


def held(values: np.ndarray) -> Callable[[tf.Tensor], tf.Tensor]:
    """Looks up rows of an array from inside TensorFlow's graphs: int64 scalar -> values[index].

    The array becomes a tensor on the first call. It is created outside the graph that is being traced, so that
    graphs capture it as an input: as a constant it would count against the 2 GB that a graph may have.
    """

    @cache
    def tensor() -> tf.Tensor:
        import tensorflow as tf

        with tf.init_scope(), tf.device("CPU"):
            return tf.convert_to_tensor(values)

    def look_up(index: tf.Tensor) -> tf.Tensor:
        import tensorflow as tf

        return tf.gather(tensor(), index)

    return look_up


def fingerprint(*parts: str | bytes | np.ndarray | Sequence[str]) -> str:
    """32 hexadecimal digits that depend on every part, and on where one part ends and the next begins."""
    digest = blake2b(digest_size=16)
    for part in parts:
        if isinstance(part, np.ndarray):
            part = f"{part.dtype.str}{part.shape}".encode() + np.ascontiguousarray(part).tobytes()
        elif not isinstance(part, str | bytes):
            part = "\0".join(part)
        part = part.encode("utf-8", "surrogateescape") if isinstance(part, str) else part
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.hexdigest()
