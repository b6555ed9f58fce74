"""Sharpness-aware minimisation (SAM): the gradient is taken where the loss is about largest near the weights."""

from __future__ import annotations

import tensorflow as tf

Tensors = list[tf.Tensor]


def climbed(weights: Tensors, gradients: Tensors, radius: float) -> Tensors:
    """w + radius * g / |g|, |g| the norm of all gradients together (arXiv:2010.01412 equation 2, for p = 2).

    gradients: of the global batch, so that the point does not depend on replicas or parts of the batch. The paper's own runs
    climb on each accelerator by its own rows (section 4.1, m-sharpness): another algorithm, of another m on other hardware.
    Where all gradients are 0 the weights are answered.
    """
    share = tf.math.divide_no_nan(tf.cast(radius, gradients[0].dtype), tf.linalg.global_norm(gradients))
    return [weight + share * gradient for weight, gradient in zip(weights, gradients, strict=True)]
