"""Batches that survive unreadable images: each is named, counted, given weight 0, and the stream goes on where it was."""

import errno
import os
import re
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import tensorflow as tf

from keras_imagenet.data import images
from keras_imagenet.data.order import Plan
from keras_imagenet.data.sources import Source
from keras_imagenet.errors import DataError, DataUnavailable

UNREADABLE_ERRORS = (
    tf.errors.OpError,
    OSError,  # of a source that reads in Python, when it is called without a graph
    UnicodeDecodeError,  # TensorFlow's, where it quotes a record that it cannot parse, or a file's name that is not UTF-8
)
DAMAGED = os.strerror(errno.EIO)
"""What a disk says of one place that it cannot read, and a network of all."""
PASSING = (
    DAMAGED,
    *map(os.strerror, (errno.ESTALE, errno.ETIMEDOUT, errno.EAGAIN, errno.EINTR, errno.EBUSY, errno.ENOTCONN)),
    *map(os.strerror, (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.ENOLCK)),
    *map(os.strerror, (errno.ECONNRESET, errno.ECONNABORTED, errno.ECONNREFUSED, errno.EHOSTDOWN)),
    *map(os.strerror, (errno.EHOSTUNREACH, errno.ENETDOWN, errno.ENETUNREACH, errno.ENETRESET)),
)
"""What is said of an image where it is not the image's fault, and may be over in a moment."""
PAUSES = (0.1, 0.5, 2.0)
"""Seconds before a batch is tried again."""


class Stream:
    """An iterator over global batches from a step on, that can be sought.

    plan_of(step, worker, workers): the rows of a batch that a worker reads. opened(step, plan_of, rows): a dataset of
    batches of `rows` rows, as plan_of(step) and those after it say; it ends where the next of `borders` is, steps from which
    batches may be of another kind. report(name, reason): told of every unreadable example,
    once; it may raise.
    """

    def __init__(
        self,
        source: Source,
        batch_size: int,
        plan_of: Callable[[int, int, int], Plan],
        opened: Callable[[int, Callable[[int], Plan], int], tf.data.Dataset],
        strategy: tf.distribute.Strategy,
        report: Callable[[str, str], None],
        *,
        step: int = 0,
        borders: Sequence[int] = (),
        unreadable: Mapping[int, str] | None = None,
    ) -> None:
        self.source = source
        self.batch_size = batch_size
        self.unreadable = dict(unreadable or {})
        self._borders = frozenset(borders)
        self._plan_of = plan_of
        self._opened = opened
        self._strategy = strategy
        self._report = report
        self._worker = (0, 1)
        # While Python shuts down, a thread of the pipeline that calls it waits for ever, and the iterator's end for that thread.
        self._open: list[Iterator[Mapping[str, Any]]] = []
        weakref.finalize(self, self._open.clear)
        self.seek(step)

    def seek(self, step: int) -> None:
        """Go on from a step, in constant time."""
        self.step = step
        self._open.clear()  # opened when the first batch is asked for

    def of_worker(self, context: tf.distribute.InputContext) -> tf.data.Dataset:
        """What the replicas of one worker get from the current step on, one replica's batch after the other.

        A worker reads its contiguous slice of every global batch and nothing else; the slices of all, in their order, are
        the global batch.
        """
        self._worker = worker, workers = context.input_pipeline_id, context.num_input_pipelines
        unreadable = dict(self.unreadable)  # The pipeline's threads read it while this one adds to its own.

        def plan(step: int) -> Plan:
            return without(self._plan_of(step, worker, workers), unreadable, len(self.source))

        replicas = context.num_replicas_in_sync
        return self._opened(self.step, plan, self.batch_size // replicas).prefetch(2 * replicas // workers)

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        return self

    def __next__(self) -> Mapping[str, Any]:
        """The next global batch.

        Raises DataError where no example at all is readable, DataUnavailable where the disk or the network does not give
        one, also when asked again after PAUSES.
        """
        pauses = iter(PAUSES)
        while True:
            try:
                if not self._open:
                    self._open.append(iter(self._strategy.distribute_datasets_from_function(self.of_worker)))
                batch = next(self._open[0])
            except UNREADABLE_ERRORS as error:
                self._mend(error, next(pauses, None))
                self.seek(self.step)
            else:
                self.step += 1
                if self.step in self._borders:
                    self.seek(self.step)
                return batch

    def _mend(self, error: Exception, pause: float | None) -> None:
        """Leave the unreadable examples of the batch that failed out; or, if that may be over then, wait for `pause` seconds."""
        faults = self._find_unreadable()
        passing = [index for index, reason in faults.items() if _passes(reason)]
        if pause is not None and (passing or not faults):
            time.sleep(pause)
            return
        if not faults:
            kind = DataUnavailable if _passes(_said(error)) else DataError
            raise kind(f"an image of step {self.step} cannot be read: {_said(error)}") from error
        # A disk may be damaged in one place; where it is in all of them, or says something else, it is no image's fault.
        elsewhere = [index for index in passing if DAMAGED not in faults[index]]
        if elsewhere or len(passing) == len(self._examined()):
            lost = (elsewhere or passing)[0]
            raise DataUnavailable(f"{self.source.names[lost]}: {faults[lost]}, also when tried again") from error
        for index, reason in faults.items():
            self.unreadable[index] = reason
            self._report(self.source.names[index], reason)
        if len(self.unreadable) == len(self.source.labels):
            raise DataError(
                f"none of the {len(self.source.labels)} images can be read; the last is {self.source.names[index]}: {reason}"
            )

    def _examined(self) -> list[int]:
        """The examples of this worker's slice of the batch, what stands in for others included, but for the unreadable."""
        plan = self._plan_of(self.step, *self._worker)
        acting = without(plan, self.unreadable, len(self.source))
        indices = dict.fromkeys([*plan.indices.tolist(), *acting.indices.tolist()])
        return [index for index in indices if index not in self.unreadable]

    def _find_unreadable(self) -> dict[int, str]:
        """Which of the batch's examples cannot be read, and why; of a network that is gone one will do, each takes a minute."""
        faults: dict[int, str] = {}
        for index in self._examined():
            if (reason := examine(self.source, index)) is not None:
                faults[index] = reason
                if _passes(reason) and DAMAGED not in reason:
                    break
        return faults


def examine(source: Source, index: int) -> str | None:
    """Why an example cannot be read or decoded; None if it can."""
    try:
        encoded = source.read(tf.constant(index, tf.int64))
    except UNREADABLE_ERRORS as error:
        return f"cannot be read: {_said(error)}"
    return images.fault(encoded.numpy()) if encoded.dtype == tf.string else None


def _said(error: Exception) -> str:
    """What the disk says, out of an error: the words without TensorFlow's operations and paths."""
    text = error.object.decode(errors="replace") if isinstance(error, UnicodeDecodeError) else str(error)
    if known := next((words for words in PASSING if words in text), None):
        return known
    if isinstance(error, UnicodeDecodeError) and "parse" in text:
        return "its record is damaged"
    first = next(iter(text.splitlines()), "") or type(error).__name__
    words = re.sub(r"\{\{.*?\}\} ?| ?\[Op:.*", "", first).rpartition("; ")[2]
    return getattr(error, "strerror", None) or words


def _passes(reason: str) -> bool:
    return any(words in reason for words in PASSING)


def without(plan: Plan, unreadable: Mapping[int, str], examples: int) -> Plan:
    """A plan whose unreadable examples have weight 0 and another example's image; `examples` is how many there are."""
    if not unreadable:
        return plan
    bad = np.isin(plan.indices, list(unreadable))
    if not bad.any():
        return plan
    stand_in = next(index for index in range(examples) if index not in unreadable)
    weights = np.where(bad, 0, plan.weights).astype(np.float32)
    return replace(plan, indices=np.where(bad, stand_in, plan.indices), weights=weights)
