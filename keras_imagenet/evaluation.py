"""Metrics of a network on examples: sums over examples divided by their number, whatever the batches and replicas."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_imagenet.data.images.normalise import normalise
from keras_imagenet.data.pipeline import evaluation_stream
from keras_imagenet.data.sources import Source
from keras_imagenet.preset import Preset


@dataclass(frozen=True)
class Metrics:
    """loss: mean cross-entropy in nats. top1, top5: shares 0-1. examples: how many were counted.

    among_present: the same where only the classes that have an example may be answered; None where all have one.
    """

    loss: float
    top1: float
    top5: float
    examples: int
    among_present: "Metrics | None" = None

    @classmethod
    def from_sums(cls, sums: np.ndarray) -> "Metrics":
        """Out of sums of loss, top-1, top-5 and examples, float64 [4]."""
        loss, top1, top5, examples = (float(value) for value in sums)
        return cls(*(value / examples if examples else float("nan") for value in (loss, top1, top5)), round(examples))

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers by name."""
        among = {} if self.among_present is None else {"among_present": self.among_present.as_dict()}
        return {**{name: value for name, value in asdict(self).items() if name != "among_present"}, **among}


def evaluate_source(
    network: keras.Model,
    preset: Preset,
    source: Source,
    strategy: tf.distribute.Strategy,
    *,
    batch_size: int,
    threads: int,
    report: Callable[[str, str], object],
) -> Metrics:
    """Metrics of a network on all examples of a source; `report` is told name and fault of each unreadable one."""
    batches = evaluation_stream(source, preset, strategy, batch_size=batch_size, threads=threads, report=report)
    return Evaluator(network, preset, strategy, present_classes(source)).measure(batches)[0]


def present_classes(source: Source) -> np.ndarray | None:
    """Which classes some example is labelled with, bool [classes]; None where that is every class."""
    present = np.bincount(source.labels, minlength=len(source.classes)) > 0
    if source.answers is not None:
        present[source.answers[source.answers >= 0]] = True
    return None if present.all() else present


class Evaluator:
    """Counts a network's answers batch by batch, on one device or on many."""

    def __init__(
        self,
        network: keras.Model,
        preset: Preset,
        strategy: tf.distribute.Strategy,
        present: np.ndarray | None = None,
    ) -> None:
        self.network = network
        self.classes = network.output_shape[-1]
        self.present = present
        # Counting is a function made once, so that evaluating after every epoch traces nothing again.
        self._count = tf.function(lambda batch: self._sum_over_replicas(strategy, preset, batch))

    def measure(self, batches: Iterable[Mapping[str, tf.Tensor]]) -> tuple[Metrics, np.ndarray]:
        """Metrics over all batches, and the confusion matrix int64 [label, prediction]. Rows of weight 0 do not count."""
        sums, confusion = np.zeros([2, 4]), np.zeros((self.classes, self.classes), np.int64)
        for batch in batches:
            batch_sums, batch_confusion = self._count(batch)
            sums += batch_sums.numpy()
            confusion += batch_confusion.numpy()
        metrics = Metrics.from_sums(sums[0])
        among = None if self.present is None else Metrics.from_sums(sums[1])
        return replace(metrics, among_present=among), confusion

    def _sum_over_replicas(
        self, strategy: tf.distribute.Strategy, preset: Preset, batch
    ) -> tuple[tf.Tensor, tf.Tensor]:
        def count(batch: Mapping[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
            logits = self.network(normalise(batch["images"], preset), training=False)
            labels, weights, answers = batch["labels"], batch["weights"], batch.get("answers")
            sums, confusion = count_correct(labels, logits, weights, self.classes, answers)
            if self.present is None:
                return tf.stack([sums, tf.zeros_like(sums)]), confusion
            among = tf.where(self.present, logits, tf.float32.min)
            return tf.stack([sums, count_correct(labels, among, weights, self.classes, answers)[0]]), confusion

        return tuple(strategy.reduce("SUM", value, axis=None) for value in strategy.run(count, args=(batch,)))


def count_correct(
    labels: tf.Tensor, logits: tf.Tensor, weights: tf.Tensor, classes: int, answers: tf.Tensor | None = None
) -> tuple[tf.Tensor, tf.Tensor]:
    """Sums float64 [4] of loss, top-1, top-5 and examples, and the confusion matrix int32 [classes, classes] of a batch.

    labels int32 [batch], logits float32 [batch, classes], weights float32 [batch] of 0 and 1. answers: int32 [batch, m], all
    that counts as right instead of the label, -1 for none; the loss is the label's in any case.
    """
    seen = tf.cast(weights > 0, tf.float64)
    loss = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
    loss = tf.where(weights > 0, loss, 0.0)
    top1, top5 = (correct(labels, logits, k) if answers is None else any_correct(answers, logits, k) for k in (1, 5))
    sums = [tf.reduce_sum(tf.cast(values, tf.float64) * seen) for values in (loss, top1, top5)]
    predictions = tf.argmax(logits, axis=1, output_type=tf.int32)
    confusion = tf.math.confusion_matrix(labels, predictions, classes, weights=tf.cast(weights > 0, tf.int32))
    return tf.stack([*sums, tf.reduce_sum(seen)]), confusion


def any_correct(answers: tf.Tensor, logits: tf.Tensor, k: int) -> tf.Tensor:
    """Whether one of an example's labels is among the k largest logits, float32 [batch]; answers int32 [batch, m], -1 for none."""
    values, places = tf.math.top_k(
        logits, min(k, logits.shape[1])
    )  # of equal logits the lower index first, as in correct
    found = (places[:, :, None] == answers[:, None]) & tf.math.is_finite(values)[:, :, None]
    return tf.cast(tf.reduce_any(found, axis=(1, 2)), tf.float32)


def correct(labels: tf.Tensor, logits: tf.Tensor, k: int) -> tf.Tensor:
    """Whether the label is among the k largest logits, float32 [batch] of 0 and 1; of equal logits the lower index comes first.

    labels int32 [batch], logits float32 [batch, classes]. A row whose own logit is not finite is wrong.
    """
    own = tf.gather(logits, labels, batch_dims=1)[:, None]
    earlier = tf.range(tf.shape(logits)[1])[None] < labels[:, None]
    rank = tf.reduce_sum(tf.cast((logits > own) | ((logits == own) & earlier), tf.int32), axis=1)
    return tf.cast((rank < k) & tf.math.is_finite(own[:, 0]), tf.float32)
