"""The last layer solved before the first step: softmax regression on what the other layers, still as they came, see."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from scipy.optimize import minimize
from threadpoolctl import threadpool_limits

from keras_imagenet.data import order
from keras_imagenet.data.images.normalise import normalise
from keras_imagenet.data.pipeline import evaluation_stream
from keras_imagenet.data.sources import Source
from keras_imagenet.data.sources.source import subset
from keras_imagenet.errors import SettingsError
from keras_imagenet.evaluation import count_correct
from keras_imagenet.models import folding
from keras_imagenet.models.head import before_head, dense_head
from keras_imagenet.preset import Preset

DECAY = 12.8
"""Coefficient of half the squared kernel, times the number of features: 0.01 for 1,280. It did best, or nearly, for 14 to
100 photos a class, on two data sets; what is best hardly moves with their number where the loss is a mean."""
ROWS = 8192
"""Examples, mirror images included, of which features are kept; 16 a class where that is more. Training sees the others."""
BATCH = 16
"""Few photos are over before a graph for larger groups is traced."""
ITERATIONS = 300
BALANCE = 0.5
"""Share of the classes' log frequencies that is taken off the answers (logit adjustment, arXiv:2007.07314): a kernel that
fits every one of a few photos answers the larger classes too often. Classes of one size are left as they are."""
LEAST_DEVIATION = 0.1
"""Of a feature, as a share of the root mean square of all deviations: it is scaled up no further."""


@dataclass(frozen=True)
class Probe:
    """What became of it. sums: of loss, top-1, top-5 and examples over the photos it was solved on, float64 [4], as
    `State.sums`. seconds: that it took. unreadable: training examples that cannot be read, with the reason. line: for people.
    """

    sums: np.ndarray
    seconds: float
    unreadable: dict[int, str]
    line: str


def solve_head(
    network: keras.Model,
    evaluated: keras.Model,
    preset: Preset,
    training: Source,
    *,
    mirrored: bool,
    seed: int,
    threads: int,
    report: Callable[[str, str], None],
    doing: Callable[[str], None],
) -> Probe:
    """Give the layer `logits` of a network the weights that fit the training examples best while all others stand still.

    evaluated: the network at evaluation's size, `network` itself where there is one size; features are those of
    evaluation's crop. mirrored: whether mirror images count too, where there is room for them. The training that follows
    starts where its gradients no longer tear at what was learned before (linear probing, then fine-tuning,
    arXiv:2202.10054). report: is told of images that cannot be read, and why; doing: of how far this is.
    Raises SettingsError where the answers are not those of one dense layer.
    """
    started = time.perf_counter()
    try:
        head = dense_head(network)
    except SettingsError as error:
        raise SettingsError(f"model.head = probe: {error}; leave head out") from error
    if evaluated is not network:
        for variable, value in zip(evaluated.variables, network.variables, strict=True):
            variable.assign(value)
    rows = max(ROWS, 16 * len(training.classes))
    drawn = np.sort(order.examples(np.arange(min(len(training), rows)), len(training), seed)[1])
    mirrored = mirrored and 2 * len(drawn) <= rows
    examples = subset(training, drawn)
    stream = evaluation_stream(
        examples, preset.evaluation, tf.distribute.get_strategy(), batch_size=BATCH, threads=threads, report=report
    )
    told = _told(stream, len(drawn), doing)
    features, labels = _features(evaluated, preset.evaluation, told, mirrored)
    doing("solving the head")
    kernel, bias = regression(features, labels, len(training.classes))
    head.kernel.assign(kernel)
    head.bias.assign(bias)
    sums = count_correct(labels, features @ kernel + bias, np.ones(len(labels), np.float32)).numpy()
    sums /= 1 + mirrored  # of an image and its mirror image the mean
    unreadable = {int(drawn[index]): reason for index, reason in stream.unreadable.items()}
    images = f"{len(drawn) - len(unreadable):,} photos{' and their mirror images' if mirrored else ''}"
    seconds = time.perf_counter() - started
    right = sums[1] / sums[3]
    line = f"head: solved on frozen features of {images} in {seconds:.0f} s; right for {right:.1%} of them"
    return Probe(sums, seconds, unreadable, line)


def regression(features: np.ndarray, labels: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Kernel [features, classes] and bias [classes] of the softmax regression on standardised features, float32.

    It minimises the mean cross-entropy plus DECAY / features times half the sum of the squared kernel (on the scale of
    the standardised features), by L-BFGS from zero; then the bias is moved by BALANCE. features: float32 [n, features];
    labels: int [n].
    """
    mean, deviation = features.mean(0, dtype=np.float64), features.std(0, dtype=np.float64)
    # What hardly moves among the training photos may move in others, and would count for much.
    deviation = np.maximum(deviation, max(LEAST_DEVIATION * np.sqrt(np.mean(deviation**2)), 1e-6))
    inputs = ((features - mean) / deviation).astype(np.float32)
    targets = np.eye(classes, dtype=np.float32)[labels]
    count, size = inputs.shape
    decay = DECAY / size

    def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
        kernel, bias = np.split(flat.reshape(size + 1, classes), [size])
        logits = inputs @ kernel.astype(np.float32) + bias.astype(np.float32)
        logits -= logits.max(1, keepdims=True)
        losses = logits - np.log(np.exp(logits).sum(1, keepdims=True))
        errors = (np.exp(losses) - targets) / count
        gradient = np.concatenate([inputs.T @ errors + decay * kernel, errors.sum(0, keepdims=True)])
        return -float((targets * losses).sum(dtype=np.float64)) / count + decay / 2 * (
            kernel**2
        ).sum(), gradient.ravel()

    start = np.zeros((size + 1) * classes)
    # Most calls are too small to be shared out: threads would wait, and they spin while they do.
    with threadpool_limits(1, user_api="blas"):
        found = minimize(objective, start, jac=True, method="L-BFGS-B", options={"maxiter": ITERATIONS, "maxcor": 20}).x
    kernel, bias = np.split(found.reshape(size + 1, classes), [size])
    kernel = kernel / deviation[:, None]
    frequencies = np.maximum(np.bincount(labels, minlength=classes), 1) / count
    return kernel.astype(np.float32), (bias[0] - mean @ kernel - BALANCE * np.log(frequencies)).astype(np.float32)


def _told(stream: Iterable[Any], count: int, doing: Callable[[str], None]) -> Iterator[Any]:
    """The stream's batches, while it is told how many of `count` photos are seen."""
    doing(f"looking at the training photos: 0 of {count:,}")
    for number, batch in enumerate(stream, 1):
        yield batch
        doing(f"looking at the training photos: {min(number * BATCH, count):,} of {count:,}")


def _features(
    network: keras.Model, preset: Preset, stream: Iterable[Any], mirrored: bool
) -> tuple[np.ndarray, np.ndarray]:
    """What goes into the last layer, float32 [n, features], and labels [n], of all that can be read."""
    inner = folding.inference(before_head(network))
    seen = tf.function(lambda images: inner(normalise(images, preset)), reduce_retracing=True, autograph=False)
    features, labels = [], []
    for batch in stream:
        there = batch["weights"].numpy() > 0
        for images in (batch["images"], tf.reverse(batch["images"], [2]))[: 1 + mirrored]:
            features.append(tf.cast(seen(images), tf.float32).numpy()[there])
            labels.append(batch["labels"].numpy()[there])
    return np.concatenate(features), np.concatenate(labels)
