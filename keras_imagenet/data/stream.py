"""Batches that survive unreadable images: each is named, counted, given weight 0, and the stream goes on where it was."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import tensorflow as tf

from keras_imagenet.data import images
from keras_imagenet.data.order import Plan
from keras_imagenet.data.sources import Source
from keras_imagenet.errors import DataError

UNREADABLE_ERRORS = (
    tf.errors.InvalidArgumentError,
    tf.errors.NotFoundError,
    tf.errors.UnknownError,
    tf.errors.PermissionDeniedError,
)


class Stream:
    """An iterator over global batches from a step on, that can be sought.

    opened(step, unreadable): a dataset of each replica's batches. indices_of(step): which examples stand in a batch.
    report(name, reason): told of every unreadable example, once; it may raise.
    """

    def __init__(
        self,
        source: Source,
        opened: Callable[[int, Mapping[int, str]], tf.data.Dataset],
        indices_of: Callable[[int], np.ndarray],
        strategy: tf.distribute.Strategy,
        report: Callable[[str, str], None],
        *,
        step: int = 0,
        unreadable: Mapping[int, str] | None = None,
    ) -> None:
        self.source = source
        self.unreadable = dict(unreadable or {})
        self._opened = opened
        self._indices_of = indices_of
        self._strategy = strategy
        self._report = report
        self.seek(step)

    def seek(self, step: int) -> None:
        """Go on from a step, in constant time."""
        self.step = step
        unreadable = dict(self.unreadable)  # The pipeline's threads read it while this one adds to its own.
        dataset = self._strategy.distribute_datasets_from_function(lambda context: self._opened(step, unreadable))
        self._batches = iter(dataset)

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        return self

    def __next__(self) -> Mapping[str, Any]:
        """The next global batch. Raises DataError where no example at all is readable."""
        while True:
            try:
                batch = next(self._batches)
            except UNREADABLE_ERRORS as error:
                if not self._find_unreadable():
                    raise DataError(
                        f"an image of step {self.step} cannot be read: {str(error).splitlines()[0]}"
                    ) from error
                self.seek(self.step)
            else:
                self.step += 1
                return batch

    def _find_unreadable(self) -> bool:
        """Examine the examples of the batch that failed; whether new unreadable ones were found."""
        found = False
        for index in map(int, self._indices_of(self.step)):
            if index not in self.unreadable and (reason := examine(self.source, index)) is not None:
                self.unreadable[index] = reason
                self._report(self.source.names[index], reason)
                found = True
        if len(self.unreadable) == len(self.source.labels):
            raise DataError(
                f"none of the {len(self.source.labels)} images can be read; the last is {self.source.names[index]}: {reason}"
            )
        return found


def examine(source: Source, index: int) -> str | None:
    """Why an example cannot be read or decoded; None if it can."""
    try:
        encoded = source.read(tf.constant(index, tf.int64))
    except UNREADABLE_ERRORS as error:
        return f"cannot be read: {str(error).splitlines()[0]}"
    return images.fault(encoded.numpy()) if encoded.dtype == tf.string else None


def without(plan: Plan, unreadable: Mapping[int, str], examples: int, *, keep_total: bool) -> Plan:
    """A plan whose unreadable examples have weight 0 and another example's image; `examples` is how many there are.

    keep_total: whether the other rows' weights grow so that they sum to what they did, as the mean loss over the readable
    examples wants it. Without unreadable rows the plan itself.
    """
    if not unreadable:
        return plan
    bad = np.isin(plan.indices, list(unreadable))
    if not bad.any():
        return plan
    stand_in = next(index for index in range(examples) if index not in unreadable)
    weights = np.where(bad, 0, plan.weights).astype(np.float32)
    if keep_total and weights.any():
        weights *= plan.weights.sum() / weights.sum()
    return replace(plan, indices=np.where(bad, stand_in, plan.indices), weights=weights)
