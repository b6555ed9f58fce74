"""Averages of the weights over the steps: a twin of each variable, moved towards it by a share that follows from the step.

average = decay * average + (1 - decay) * weights, after each step; decay 0 copies, decay 1 leaves the average alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import tensorflow as tf

from keras_imagenet.settings.average import (
    AverageSettings,
    ConstantAverage,
    LookaheadAverage,
    SWAAverage,
    TensorFlowAverage,
    TimmAverage,
    TorchvisionAverage,
)
from keras_imagenet.training.course import Course

Decay = Callable[[tf.Tensor], tf.Tensor]
"""(steps made before this one, int64 []) -> decay, float64 []."""


@dataclass(frozen=True)
class Average:
    """decay: by the step; None where epochs' ends alone move it. statistics: whether batch norm's moving statistics have twins, too.

    leads: whether the weights go on from the average after each step that moves it.
    """

    decay: Decay | None
    statistics: bool
    leads: bool = False


def build(settings: AverageSettings, course: Course, warmup_epochs: float) -> Average:
    """The average that the settings ask for, in a run of this length. warmup_epochs: of the schedule."""
    match settings.name:
        case "constant":
            decay = constant(settings)
        case "tensorflow":
            decay = tensorflow(settings)
        case "timm":
            decay = timm(settings)
        case "torchvision":
            decay = torchvision(settings, course, warmup_epochs)
        case "swa":
            decay = swa(settings, course)
        case "lookahead":
            decay = lookahead(settings, course)
        case "best":
            decay = None
    return Average(decay, settings.statistics, leads=settings.name == "lookahead")


def constant(settings: ConstantAverage) -> Decay:
    """The same decay, every so many steps."""

    def decay(step: tf.Tensor) -> tf.Tensor:
        count = step + 1
        return _where(count < settings.from_step, 0.0, _where(count % settings.every == 0, settings.decay, 1.0))

    return decay


def tensorflow(settings: TensorFlowAverage) -> Decay:
    """min(decay, (1 + s) / (10 + s)), s the updates made with this one (tf.train.ExponentialMovingAverage, num_updates)."""

    def decay(step: tf.Tensor) -> tf.Tensor:
        updates = tf.cast(step + 1 - settings.from_step, tf.float64)
        return _where(updates < 0, 0.0, tf.minimum((1 + updates) / (10 + updates), settings.decay))

    return decay


def timm(settings: TimmAverage) -> Decay:
    """min(decay, 1 - (1 + s / gamma) ** -power), s the updates made before (timm.utils.ModelEmaV3, use_warmup)."""

    def decay(step: tf.Tensor) -> tf.Tensor:
        updates = tf.cast(tf.maximum(step - settings.from_step, 0), tf.float64)
        return tf.minimum(1 - (1 + updates / settings.gamma) ** -settings.power, settings.decay)

    return decay


def torchvision(settings: TorchvisionAverage, course: Course, warmup_epochs: float) -> Decay:
    """Torchvision's reference training: 1 - min(1, (1 - decay) * batch * every / epochs), every so many steps of an epoch.

    Epochs of warm-up copy, and so does the first update after them (references/classification/train.py, ExponentialMovingAverage).
    """
    batch, examples = course.batches.size, course.examples
    adjusted = 1 - min(1.0, (1 - settings.decay) * batch * settings.every / float(course.epochs))

    def decay(step: tf.Tensor) -> tf.Tensor:
        epoch = step * batch // examples
        within = step - -(-epoch * examples // batch)
        copies = (epoch < int(warmup_epochs)) | ((epoch == int(warmup_epochs)) & (within == 0))
        return _where(within % settings.every == 0, _where(copies, 0.0, adjusted), 1.0)

    return decay


def swa(settings: SWAAverage, course: Course) -> Decay:
    """The plain mean of the weights at the ends of epochs: k / (k + 1) where k have counted before (arXiv:1803.05407)."""
    batch, examples = course.batches.size, course.examples

    def decay(step: tf.Tensor) -> tf.Tensor:
        before, over = step * batch // examples, (step + 1) * batch // examples
        since = over - settings.from_epoch
        counts = (over > before) & (since % settings.every == 0)
        counted = tf.cast(since // settings.every, tf.float64)
        return _where(since < 0, 0.0, _where(counts, counted / (counted + 1), 1.0))

    return decay


def lookahead(settings: LookaheadAverage, course: Course) -> Decay:
    """decay * (steps made / steps of the run) ** 3, every so many steps (cifar10-airbench, legacy/airbench94.py)."""

    def decay(step: tf.Tensor) -> tf.Tensor:
        count = step + 1
        progress = tf.cast(count, tf.float64) / course.steps
        return _where(count % settings.every == 0, settings.decay * progress**3, 1.0)

    return decay


def moved(average: tf.Tensor, value: tf.Tensor, decay: tf.Tensor) -> tf.Tensor:
    """The average after an update; exactly the value where the decay is 0, exactly the average where it is 1."""
    return tf.cast(decay, value.dtype) * average + tf.cast(1 - decay, value.dtype) * value


def _where(condition: tf.Tensor, one: tf.Tensor | float, other: tf.Tensor | float) -> tf.Tensor:
    """float64; tf.cast would round numbers of Python to float32 before."""
    return tf.where(condition, *(tf.convert_to_tensor(value, tf.float64) for value in (one, other)))
