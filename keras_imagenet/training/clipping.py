"""Gradients of the mean loss kept small: together, value by value, or against their weights. Decay is no part of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import keras
import tensorflow as tf

from keras_imagenet.settings import TrainSettings
from keras_imagenet.training import kinds

Tensors = list[tf.Tensor]
Clip = Callable[[Tensors, Tensors], Tensors]
"""(weights, gradients) -> gradients."""

SMALLEST_WEIGHT, SMALLEST_GRADIENT = 1e-3, 1e-6


def build(
    settings: TrainSettings, variables: Sequence[keras.Variable], among: Sequence[keras.Variable] | None = None
) -> Clip | None:
    """What the settings ask for, for these weights; None for nothing. among: all of the network's, where some do not learn."""
    if settings.clip_norm is not None:
        return lambda weights, gradients: by_norm(gradients, settings.clip_norm)
    if settings.clip_value is not None:
        return lambda weights, gradients: by_value(gradients, settings.clip_value)
    if settings.clip_adaptive is not None:
        return partial(adaptively, factor=settings.clip_adaptive, left_out=kinds.of_head(variables, among or variables))
    return None


def by_norm(gradients: Tensors, norm: float) -> Tensors:
    """Gradients scaled down together to a norm, where theirs is larger (arXiv:1211.5063, section 3.2)."""
    factor = norm / tf.maximum(tf.linalg.global_norm(gradients), norm)
    return [gradient * factor for gradient in gradients]


def by_value(gradients: Tensors, value: float) -> Tensors:
    """Gradients with each entry between -value and value."""
    return [tf.clip_by_value(gradient, -value, value) for gradient in gradients]


def adaptively(weights: Tensors, gradients: Tensors, factor: float, left_out: Sequence[bool]) -> Tensors:
    """Each unit's gradient scaled down to `factor` times the norm of the unit's weights (arXiv:2102.06171 section 4.1).

    A unit is an output of a kernel, and a vector as a whole; its weights count as no smaller than 1e-3. left_out: weights
    that are not clipped; the paper leaves out the last layer.
    """
    return [
        gradient if left else _unitwise(weight, gradient, factor)
        for weight, gradient, left in zip(weights, gradients, left_out, strict=True)
    ]


def _unitwise(weight: tf.Tensor, gradient: tf.Tensor, factor: float) -> tf.Tensor:
    weights, norm = (tf.math.reduce_euclidean_norm(x, _unit_axes(x.shape), keepdims=True) for x in (weight, gradient))
    largest = factor * tf.maximum(weights, SMALLEST_WEIGHT)
    return tf.where(norm > largest, gradient * (largest / tf.maximum(norm, SMALLEST_GRADIENT)), gradient)


def _unit_axes(shape: tf.TensorShape) -> list[int]:
    """The axes along which a unit's weights lie."""
    axes = list(range(len(shape)))
    if sum(size > 1 for size in shape) < 2:
        return axes
    if len(shape) == 4 and shape[-1] == 1:  # a depthwise kernel [height, width, channels, 1]
        return [0, 1, 3]
    return axes[:-1]
