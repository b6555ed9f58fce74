"""Losses on logits, a number an example."""

import tensorflow as tf


def smooth(labels: tf.Tensor, classes: int, label_smoothing: float) -> tf.Tensor:
    """Targets float32 [batch, classes] of labels int [batch]: 1 - e + e / K for the class, e / K elsewhere.

    Source: arXiv:1512.00567 section 7.
    """
    return tf.one_hot(
        labels, classes, on_value=1 - label_smoothing + label_smoothing / classes, off_value=label_smoothing / classes
    )


def cross_entropy(targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Softmax cross-entropy float32 [batch] of targets and logits [batch, classes], in nats."""
    return tf.nn.softmax_cross_entropy_with_logits(targets, logits)
