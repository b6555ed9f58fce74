"""What a step minimises: losses on logits, a number an example, and the weights of classes in them.

Evaluation reports cross-entropy whatever a run minimises (`evaluation`): its figures can be compared between runs.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import tensorflow as tf

from keras_imagenet.data.balance import counts_of
from keras_imagenet.data.images.normalise import denormalise, normalise
from keras_imagenet.data.sources import Source
from keras_imagenet.errors import SettingsError, nearest
from keras_imagenet.evaluation import correct
from keras_imagenet.labels import spelt
from keras_imagenet.preset import Preset
from keras_imagenet.settings.loss import LossSettings
from keras_imagenet.training.teachers import Teacher

EFFECTIVE_BETA = 0.999

Batch = Mapping[str, tf.Tensor]
Loss = Callable[[tf.Tensor, tf.Tensor, np.ndarray | None], tf.Tensor]
"""(targets [batch, classes], logits [batch, classes], class weights [classes]) -> losses [batch]."""
Mix = Callable[[tf.Tensor, tf.Tensor, Batch], tuple[tf.Tensor, tf.Tensor]]


def cross_entropy(targets: tf.Tensor, logits: tf.Tensor, class_weights: np.ndarray | None = None) -> tf.Tensor:
    """Softmax cross-entropy float32 [batch] of targets and logits [batch, classes], in nats: -sum_k w_k y_k ln p_k.

    class_weights: w float32 [classes], 1 each where there are none.
    """
    if class_weights is None:
        return tf.nn.softmax_cross_entropy_with_logits(targets, logits)
    weighted = targets * tf.cast(class_weights, targets.dtype)
    # The gradient of TensorFlow's function is that of the formula only where a row of targets adds up to 1.
    total = tf.reduce_sum(weighted, axis=1, keepdims=True)
    return total[:, 0] * tf.nn.softmax_cross_entropy_with_logits(weighted / total, logits)


@dataclass(frozen=True)
class Objective:
    """From a batch of images to what the network is given, and from its logits to what is minimised.

    loss: a number an example. mix: acts on normalised images and targets. consistency: the weight of the Jensen-Shannon
    divergence between the answers to an image and to two more views of it; 0 for none. class_weights: float32 [classes].
    teacher: whose answers are learned from, too.
    """

    preset: Preset
    classes: int
    loss: Loss = cross_entropy
    label_smoothing: float = 0.0
    class_weights: np.ndarray | None = None
    mix: Mix | None = None
    consistency: float = 0.0
    teacher: Teacher | None = None

    def inputs(self, batch: Batch, taught: Sequence[tf.Tensor] = ()) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor | None]:
        """Normalised images float32 [rows, height, width, channels], targets float32 [rows, classes], the teacher's logits if any.

        taught: the values of the teacher's variables.
        batch: images of pixels 0-255, labels int [rows], what `mix` wants, and for consistency views [rows, 2, ...]; then
        images are three times as many: all, one more of each, and another, in one batch for the batch norms.
        """
        targets = smooth(batch["labels"], self.classes, self.label_smoothing)
        images = normalise(batch["images"], self.preset)
        if self.mix is not None:
            images, targets = self.mix(images, targets, batch)
        answers = self.teacher and self.teacher.answers(taught, denormalise(images, self.preset))
        if self.consistency:
            views = normalise(batch["views"], self.preset)
            images = tf.concat((images, *tf.unstack(views, axis=1)), axis=0)
        return images, targets, answers

    def sums(
        self, batch: Batch, targets: tf.Tensor, logits: tf.Tensor, answers: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Sums over rows that count of loss, top-1, top-5 and examples, [4]; and the first of them, which is minimised.

        batch: labels int [rows], weights float [rows], which rows count 0 to 1 times in the loss. logits:
        [rows, classes], or below each other those of three views, or of the class's and the distillation token's heads.
        answers: the teacher's.
        """
        logits, *others = tf.split(logits, self._answers_an_image)
        weights = tf.cast(batch["weights"], logits.dtype)
        losses = self.loss(tf.cast(targets, logits.dtype), logits, self.class_weights)
        if self.teacher is not None:
            learning = others[0] if self.teacher.token else logits
            told = self.teacher.loss(tf.cast(answers, logits.dtype), learning)
            losses = (1 - self.teacher.weight) * losses + self.teacher.weight * told
            logits = (logits + learning) / 2  # what the network answers, of two heads or of one
        if self.consistency:
            losses += self.consistency * jensen_shannon((logits, *others))
        # A row that does not count may hold anything; 0 times an infinity would not be 0.
        loss = tf.reduce_sum(tf.where(weights > 0, losses * weights, 0))
        counts = tf.cast(weights > 0, logits.dtype)
        right = [tf.reduce_sum(tf.cast(correct(batch["labels"], logits, k), logits.dtype) * counts) for k in (1, 5)]
        return tf.stack([loss, *right, tf.reduce_sum(counts)]), loss

    @property
    def _answers_an_image(self) -> int:
        return 3 if self.consistency else 2 if self.teacher is not None and self.teacher.token else 1


def smooth(labels: tf.Tensor, classes: int, label_smoothing: float) -> tf.Tensor:
    """Targets float32 [batch, classes] of labels int [batch]: 1 - e + e / K for the class, e / K elsewhere.

    Source: arXiv:1512.00567 section 7.
    """
    return tf.one_hot(
        labels, classes, on_value=1 - label_smoothing + label_smoothing / classes, off_value=label_smoothing / classes
    )


def binary_cross_entropy(
    targets: tf.Tensor,
    logits: tf.Tensor,
    class_weights: np.ndarray | None = None,
    *,
    reduction: Literal["sum", "mean"] = "sum",
    target_threshold: float | None = None,
) -> tf.Tensor:
    """Sigmoid cross-entropy float32 [batch], in nats: over classes k the sum or mean of -w_k (y_k ln p_k + (1 - y_k) ln (1 - p_k)).

    target_threshold: targets above it count as 1, others as 0. Source: arXiv:2110.00476 section 3.1.
    """
    if target_threshold is not None:
        targets = tf.cast(targets > target_threshold, targets.dtype)
    return _over_classes(tf.nn.sigmoid_cross_entropy_with_logits(targets, logits), class_weights, reduction)


def focal(
    targets: tf.Tensor,
    logits: tf.Tensor,
    class_weights: np.ndarray | None = None,
    *,
    gamma: float = 2.0,
    alpha: float | None = None,
    reduction: Literal["sum", "mean"] = "sum",
) -> tf.Tensor:
    """Focal loss float32 [batch] of sigmoids: each class's cross-entropy times a_k (1 - q_k) ** gamma, summed or averaged.

    q_k = y_k p_k + (1 - y_k) (1 - p_k) is the probability given to what is right, a_k = alpha y_k + (1 - alpha) (1 - y_k).
    Source: arXiv:1708.02002 equation 5, for soft targets as torchvision.ops.sigmoid_focal_loss.
    """
    probabilities = tf.sigmoid(logits)
    wrong = targets + probabilities - 2 * targets * probabilities
    losses = tf.nn.sigmoid_cross_entropy_with_logits(targets, logits) * wrong**gamma
    if alpha is not None:
        losses *= alpha * targets + (1 - alpha) * (1 - targets)
    return _over_classes(losses, class_weights, reduction)


def _over_classes(losses: tf.Tensor, class_weights: np.ndarray | None, reduction: Literal["sum", "mean"]) -> tf.Tensor:
    weighted = losses if class_weights is None else losses * tf.cast(class_weights, losses.dtype)
    return tf.reduce_sum(weighted, axis=1) if reduction == "sum" else tf.reduce_mean(weighted, axis=1)


def loss_of(settings: LossSettings) -> Loss:
    """The loss that the settings name."""
    match settings.name:
        case "binary_cross_entropy":
            return partial(
                binary_cross_entropy, reduction=settings.reduction, target_threshold=settings.target_threshold
            )
        case "focal":
            return partial(focal, gamma=settings.gamma, alpha=settings.alpha, reduction=settings.reduction)
        case _:
            return cross_entropy


def jensen_shannon(logits: Sequence[tf.Tensor]) -> tf.Tensor:
    """The Jensen-Shannon divergence float32 [batch] of several answers to one image each, logits [batch, classes], in nats.

    The mean over the answers p of KL(p || m), where m is their mean (arXiv:1912.02781 section 3).
    """
    logarithms = tf.stack([tf.nn.log_softmax(answer) for answer in logits])
    mixture = tf.reduce_logsumexp(logarithms, axis=0) - math.log(len(logits))
    return tf.reduce_mean(tf.reduce_sum(tf.exp(logarithms) * (logarithms - mixture), axis=2), axis=0)


def class_weights(settings: LossSettings, source: Source) -> np.ndarray | None:
    """The weight of each class in the loss, float32 [classes]; None where all are 1.

    balanced: n / (K count), as scikit-learn's compute_class_weight. effective: (1 - b) / (1 - b ** count), scaled so that
    the K weights add up to K (Cui et al., arXiv:1901.05555 section 4). Raises SettingsError for a name that is no class, and
    DataError where a class has no training image.
    """
    asked, classes = settings.class_weights, source.classes
    if asked is None:
        return None
    if isinstance(asked, Mapping):
        return _named(asked, source)
    counts = counts_of(source.labels, classes, f"loss.class_weights {asked}")
    if asked == "balanced":
        weights = counts.sum() / (len(classes) * counts)
    else:
        beta = settings.effective_beta or EFFECTIVE_BETA
        weights = (1 - beta) / -np.expm1(counts * np.log(beta))
        weights *= len(classes) / weights.sum()
    return weights.astype(np.float32)


def _named(asked: Mapping[str, float], source: Source) -> np.ndarray:
    """Weights by identifier or, where that is no identifier, by the name that people use."""
    label = {spelt(name): number for names in (source.class_names, source.classes) for number, name in enumerate(names)}
    weights = np.ones(len(source.classes), np.float32)
    for name, weight in asked.items():
        if spelt(name) not in label:
            hint = nearest(name, list(label)) or f"; there are {', '.join(list(label)[:5])}{', ...' * (len(label) > 5)}"
            raise SettingsError(f"loss.class_weights: {name}: no such class{hint}")
        weights[label[spelt(name)]] = weight
    return weights
