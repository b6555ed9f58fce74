"""What the workers of a cluster tell each other besides gradients; alone, a process is its own and only worker."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import tensorflow as tf

from keras_imagenet import errors
from keras_imagenet.cluster import Cluster
from keras_imagenet.errors import KerasImagenetError, WorkerLost

CHUNK = 2**24
"""Numbers of 4 bytes that go through one collective."""
GONE = re.compile(r"[Cc]ollective ops is aborted|CoordinationService|Connection reset|Socket closed")
LOST = (tf.errors.UnavailableError, tf.errors.DeadlineExceededError, tf.errors.AbortedError, tf.errors.CancelledError)
"""What a collective says where a worker is gone: in words, or by its kind."""


def index(strategy: tf.distribute.Strategy) -> int:
    """This worker's place among all; worker 0 alone writes."""
    resolver = strategy.cluster_resolver
    return resolver.task_id or 0 if resolver else 0


def addresses(strategy: tf.distribute.Strategy) -> list[str]:
    """Of all workers, in their order; none where there is one process."""
    resolver = strategy.cluster_resolver
    return resolver.cluster_spec().as_dict().get("worker", []) if resolver else []


def count(strategy: tf.distribute.Strategy) -> int:
    """How many workers there are."""
    return len(addresses(strategy)) or 1


def summed(strategy: tf.distribute.Strategy, values: np.ndarray) -> np.ndarray:
    """Every worker's values added up, of one shape; all workers call it at the same place of the program."""
    if count(strategy) == 1:
        return values

    def of_worker(own: tf.Tensor) -> tf.Tensor:
        context = tf.distribute.get_replica_context()
        number = tf.cast(context.replica_id_in_sync_group, tf.int32) % (
            strategy.num_replicas_in_sync // count(strategy)
        )
        return context.all_reduce("SUM", own * tf.cast(number == 0, own.dtype))

    total = tf.function(lambda own: strategy.run(of_worker, args=(own,)), autograph=False)(tf.constant(values))
    return strategy.experimental_local_results(total)[0].numpy()


def from_first(strategy: tf.distribute.Strategy, make: Callable[[], bytes]) -> bytes:
    """What worker 0 makes, on every worker; a mistake that it meets is every worker's."""
    if count(strategy) == 1:
        return make()
    failed: KerasImagenetError | None = None
    content, kind = b"", 0
    if index(strategy) == 0:
        try:
            content, kind = make(), 0
        except KerasImagenetError as error:
            failed, kind = error, 1
            content = json.dumps([type(error).__name__, str(error)]).encode()
    length, kind = (int(value) for value in summed(strategy, np.array([len(content), kind], np.int64)))
    numbers = np.zeros(-(-length // 4), np.int32)
    numbers.view(np.uint8)[: len(content)] = np.frombuffer(content, np.uint8)
    parts = [summed(strategy, numbers[place : place + CHUNK]) for place in range(0, len(numbers), CHUNK)]
    content = np.concatenate([*parts, numbers[:0]]).tobytes()[:length]
    if kind:
        name, text = json.loads(content)
        raise failed or getattr(errors, name)(text)
    return content


def require_alike(strategy: tf.distribute.Strategy, what: Sequence[tuple[str, str]]) -> None:
    """Raise SettingsError on every worker where one has another value than worker 0 for one of (name, value)."""
    theirs = json.loads(from_first(strategy, lambda: json.dumps(what).encode()))
    differ = np.array([value != known for (_, value), (_, known) in zip(what, theirs, strict=True)], np.int64)
    others = np.zeros((count(strategy), len(what)), np.int64)
    others[index(strategy)] = differ
    found = summed(strategy, others)
    if found.any():
        worker, place = (int(number[0]) for number in found.nonzero())
        raise errors.SettingsError(
            f"{what[place][0]}: worker {worker} has another than worker 0; all need the same settings and data"
        )


@contextmanager
def missed(cluster: Cluster | None) -> Iterator[None]:
    """Name the worker that is gone, where a collective finds that one is."""
    try:
        yield
    except (tf.errors.OpError, RuntimeError) as error:
        if cluster is None or not (isinstance(error, LOST) or GONE.search(str(error))):
            raise
        tasks = [int(number) for number in re.findall(r"/task:(\d+)", str(error))]
        # The service by which workers know of each other is worker 0's.
        others = [task for task in tasks if task != cluster.index] or [0] * (cluster.index > 0)
        who = f"worker {others[0]} ({cluster.addresses[others[0]]})" if others else "another worker"
        raise WorkerLost(f"{who} does not answer any more, so the run has stopped") from error
