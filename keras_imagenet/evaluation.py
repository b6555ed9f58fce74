"""Metrics of a network on examples: sums over examples divided by their number, whatever the batches and replicas."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_imagenet.data.images.logits import logits_of
from keras_imagenet.data.pipeline import evaluation_stream
from keras_imagenet.data.sources import Source
from keras_imagenet.models import folding
from keras_imagenet.preset import Preset

MOST_CONFUSED = 2000
"""Classes up to which a confusion matrix is counted: it takes 8 bytes times their square, 32 MB here."""

Batch = Mapping[str, tf.Tensor]


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


@dataclass(frozen=True)
class Answers:
    """A network's answer to each of n examples, in a source's order; what could not be read has the answer -1.

    labels, answers: int32 [n]. right: bool [n]. probabilities, label_probabilities: float32 [n], of the answer and of the
    label.
    """

    labels: np.ndarray
    answers: np.ndarray
    right: np.ndarray
    probabilities: np.ndarray
    label_probabilities: np.ndarray

    @classmethod
    def of_rows(cls, source: Source, rows: Sequence[tf.Tensor]) -> "Answers":
        """Out of what `measure` notes of each batch of the source."""
        answers, probabilities, label_probabilities, weights = np.concatenate(rows)[: len(source)].T
        answers = np.where(weights > 0, answers, -1).astype(np.int32)
        right_ones = source.labels[:, None] if source.answers is None else source.answers
        right = ((right_ones == answers[:, None]) & (right_ones >= 0)).any(axis=1)
        return cls(source.labels, answers, right, probabilities, label_probabilities)


def evaluator(
    network: keras.Model,
    preset: Preset,
    strategy: tf.distribute.Strategy,
    *,
    present: np.ndarray | None = None,
    weights_of: keras.Model | None = None,
    xla: bool = False,
) -> Callable[..., tuple[Metrics, np.ndarray | None]]:
    """A function of batches: metrics over all of them and, for up to 2,000 classes, the confusion matrix int64 [label, answer].

    It counts on the devices and reads what they counted once. Rows of weight 0 do not count. present: bool [classes],
    which classes occur, where those alone are to be counted with too. weights_of: the network whose weights are measured,
    where it is another of the same shapes. A list given to the function as `noted` gets what Answers are made of, float32
    [rows, 4] a batch: answer, its probability, the label's, and the weight.
    """
    classes = network.output_shape[-1]
    with strategy.scope():
        sums = _counter((2, 4))
        confusion = _counter((classes, classes)) if classes <= MOST_CONFUSED else None

    source, answer = weights_of or network, folding.inference(network)

    def forward(variables: list[tf.Tensor], images: tf.Tensor) -> tf.Tensor:
        learned = len(network.trainable_variables)
        with folding.holding(network, variables[:learned], variables[learned:]):
            return answer(images)

    compute = tf.function(forward, jit_compile=True, autograph=False) if xla else forward

    def count(batch: Batch) -> tf.Tensor:
        variables = [*source.trainable_variables, *source.non_trainable_variables]
        values = [tf.convert_to_tensor(v.value) for v in variables]
        logits = logits_of(lambda images: compute(values, images), batch["images"], preset)
        labels, weights, answers = batch["labels"], batch["weights"], batch.get("answers")
        parts = [logits] if present is None else [logits, tf.where(present, logits, tf.float32.min)]
        counted = tf.stack([count_correct(labels, part, weights, answers) for part in parts])
        sums.assign_add(tf.pad(counted, [[0, 2 - len(parts)], [0, 0]]))
        answered = tf.argmax(logits, axis=1, output_type=tf.int32)
        if confusion is not None:
            seen = tf.cast(weights > 0, tf.float64)
            confusion.assign_add(tf.math.confusion_matrix(labels, answered, classes, weights=seen, dtype=tf.float64))
        shares = tf.nn.softmax(logits)
        own = [tf.gather(shares, label, batch_dims=1) for label in (answered, labels)]
        return tf.stack([tf.cast(answered, tf.float32), *own, tf.cast(weights, tf.float32)], axis=1)

    @tf.function(reduce_retracing=True, autograph=False)
    def count_everywhere(batch: Batch) -> tf.Tensor:
        return strategy.run(count, args=(batch,))

    def measure(batches: Iterable[Batch], noted: list[tf.Tensor] | None = None) -> tuple[Metrics, np.ndarray | None]:
        for counter in (sums, confusion):
            if counter is not None:
                counter.assign(tf.zeros_like(counter))
        for batch in batches:
            rows = count_everywhere(batch)
            if noted is not None:
                noted.append(strategy.gather(rows, axis=0))
        everyone, among = (Metrics.from_sums(row) for row in sums.numpy())
        metrics = everyone if present is None else replace(everyone, among_present=among)
        return metrics, None if confusion is None else np.rint(confusion.numpy()).astype(np.int64)

    return measure


def _counter(shape: tuple[int, ...]) -> tf.Variable:
    """Zeros that each replica adds to by itself; read, they are everybody's together. float64 counts 2 ** 53 exactly."""
    return tf.Variable(
        tf.zeros(shape, tf.float64),
        trainable=False,
        synchronization=tf.VariableSynchronization.ON_READ,
        aggregation=tf.VariableAggregation.SUM,
    )


def measure_source(
    network: keras.Model,
    preset: Preset,
    source: Source,
    strategy: tf.distribute.Strategy,
    *,
    batch_size: int,
    threads: int,
    report: Callable[[str, str], object],
    reached: Callable[[int], object] = lambda examples: None,
    xla: bool = False,
) -> tuple[Metrics, Answers, dict[int, str]]:
    """Metrics of a network on all examples of a source, its answers, and unreadable examples with the reason.

    `report` is told name and fault of each unreadable one, `reached` how many examples have been measured, batch by batch.
    """
    batches = evaluation_stream(source, preset, strategy, batch_size=batch_size, threads=threads, report=report)
    noted: list[tf.Tensor] = []

    def counted() -> Iterator[Batch]:
        for number, batch in enumerate(batches):
            reached(number * batch_size)
            yield batch

    metrics, _ = evaluator(network, preset, strategy, present=present_classes(source), xla=xla)(counted(), noted)
    return metrics, Answers.of_rows(source, noted), batches.unreadable


def present_classes(source: Source) -> np.ndarray | None:
    """Which classes some example is labelled with, bool [classes]; None where that is every class."""
    present = np.bincount(source.labels, minlength=len(source.classes)) > 0
    if source.answers is not None:
        present[source.answers[source.answers >= 0]] = True
    return None if present.all() else present


def count_correct(
    labels: tf.Tensor, logits: tf.Tensor, weights: tf.Tensor, answers: tf.Tensor | None = None
) -> tf.Tensor:
    """Sums float64 [4] of loss, top-1, top-5 and examples of a batch.

    labels int32 [batch], logits float32 [batch, classes], weights float32 [batch] of 0 and 1. answers: int32 [batch, m], all
    that counts as right instead of the label, -1 for none; the loss is the label's in any case.
    """
    seen = tf.cast(weights > 0, tf.float64)
    loss = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
    loss = tf.where(weights > 0, loss, 0.0)
    top1, top5 = (correct(labels, logits, k) if answers is None else any_correct(answers, logits, k) for k in (1, 5))
    sums = [tf.reduce_sum(tf.cast(values, tf.float64) * seen) for values in (loss, top1, top5)]
    return tf.stack([*sums, tf.reduce_sum(seen)])


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
