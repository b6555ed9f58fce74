"""Rules of optimizers: one weight, its gradient and its slots to the new weight and slots, a formula each.

A rule knows nothing of replicas, precision or files; `training.optimizers` says which acts on what.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import tensorflow as tf

Slots = tuple[tf.Tensor, ...]
Update = Callable[[tf.Tensor, tf.Tensor, Slots, tf.Tensor, tf.Tensor, float], tuple[tf.Tensor, Slots]]
"""(weight, gradient, slots, rate [], count [], decay) -> weight, slots. rate and count have the weight's dtype; count is
the number of updates including this one; decay is 0 for a weight that is spared."""

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)


@dataclass(frozen=True)
class Rule:
    """slots: names of what the rule keeps for each weight, all of its shape, and the number that fills each at first."""

    name: str
    slots: Mapping[str, float]
    update: Update


def sgd(momentum: float, nesterov: bool = False) -> Rule:
    """Stochastic gradient descent in torch's form (torch.optim.SGD; Sutskever et al., 2013, with the rate outside v).

        g = gradient + decay * w
        v = momentum * v + g
        w = w - rate * (g + momentum * v if nesterov else v)

    Keras' own SGD keeps the rate inside v and decouples the decay: another algorithm as soon as the rate changes.
    """

    def update(weight, gradient, slots, rate, count, decay):
        gradient = gradient + decay * weight if decay else gradient
        velocity = momentum * slots[0] + gradient
        direction = gradient + momentum * velocity if nesterov else velocity
        return weight - rate * direction, (velocity,)

    return Rule("sgd", {"momentum": 0.0}, update)


def sgd_tensorflow(momentum: float, nesterov: bool = False) -> Rule:
    """Stochastic gradient descent in TensorFlow's and Caffe's form (tf.compat.v1.train.MomentumOptimizer, keras.optimizers.SGD).

    g = gradient + decay * w                     (an L2 term in the loss)
    v = momentum * v - rate * g
    w = w + (momentum * v - rate * g if nesterov else v)
    """

    def update(weight, gradient, slots, rate, count, decay):
        gradient = gradient + decay * weight if decay else gradient
        velocity = momentum * slots[0] - rate * gradient
        return weight + (momentum * velocity - rate * gradient if nesterov else velocity), (velocity,)

    return Rule("sgd", {"velocity": 0.0}, update)


def sgdw(momentum: float, nesterov: bool = False) -> Rule:
    """SGD in torch's form with decoupled decay (arXiv:1711.05101 algorithm 1; composer's DecoupledSGDW).

    w = (1 - rate * decay) * w - rate * (g + momentum * v if nesterov else v)
    """
    plain = sgd(momentum, nesterov)

    def update(weight, gradient, slots, rate, count, decay):
        weight, slots = plain.update(weight - rate * decay * weight, gradient, slots, rate, count, 0.0)
        return weight, slots

    return Rule("sgdw", plain.slots, update)


def rmsprop(rho: float, momentum: float, epsilon: float, form: Literal["torch", "tensorflow", "keras"]) -> Rule:
    """RMSprop with momentum (Hinton's lecture 6e, 2012), three algorithms of one name.

        g = gradient + decay * w
        s = rho * s + (1 - rho) * g ** 2
        torch:      v = momentum * v + g / (sqrt(s) + epsilon);       w = w - rate * v
        keras:      v = momentum * v + rate * g / sqrt(s + epsilon);  w = w - v
        tensorflow: as keras, and s is 1 at first (tf.compat.v1.train.RMSPropOptimizer)

    torch: torch.optim.RMSprop. keras: keras.optimizers.RMSprop, and tf.keras' legacy one where there is momentum.
    """

    def update(weight, gradient, slots, rate, count, decay):
        gradient = gradient + decay * weight if decay else gradient
        square, velocity = slots
        square = square + (gradient**2 - square) * (1 - rho)
        if form == "torch":
            velocity = momentum * velocity + gradient / (square**0.5 + epsilon)
            return weight - rate * velocity, (square, velocity)
        velocity = momentum * velocity + rate * gradient / (square + epsilon) ** 0.5
        return weight - velocity, (square, velocity)

    return Rule("rmsprop", {"mean_square": 1.0 if form == "tensorflow" else 0.0, "momentum": 0.0}, update)


def adam(beta_1: float, beta_2: float, epsilon: float, form: Literal["keras", "torch"] = "keras") -> Rule:
    """Adam, or AdamW where there is decay (arXiv:1412.6980, arXiv:1711.05101).

        w = w - rate * decay * w
        m = beta_1 * m + (1 - beta_1) * g
        v = beta_2 * v + (1 - beta_2) * g ** 2
        keras: w = w - rate * sqrt(1 - beta_2 ** t) / (1 - beta_1 ** t) * m / (sqrt(v) + epsilon)
        torch: w = w - rate / (1 - beta_1 ** t) * m / (sqrt(v / (1 - beta_2 ** t)) + epsilon)

    Keras' epsilon is epsilon-hat of arXiv:1412.6980 section 2, last paragraph: at step 1 it acts 1 / sqrt(1 - beta_2) times
    stronger than torch's and the paper's algorithm 1.
    """

    def update(weight, gradient, slots, rate, count, decay):
        weight = weight - rate * decay * weight if decay else weight
        first, second = _moments(gradient, slots, beta_1, beta_2)
        root = (1 - beta_2**count) ** 0.5
        added = epsilon if form == "keras" else epsilon * root
        corrected = rate * root / (1 - beta_1**count)
        return weight - corrected * first / (second**0.5 + added), (first, second)

    return Rule("adam", {"first_moment": 0.0, "second_moment": 0.0}, update)


def lamb(beta_1: float, beta_2: float, epsilon: float) -> Rule:
    """LAMB (arXiv:1904.00962 algorithm 2) as timm's Lamb and apex' FusedLAMB have it.

        m, v = as Adam's
        u = m / (1 - beta_1 ** t) / (sqrt(v / (1 - beta_2 ** t)) + epsilon) + decay * w
        w = w - rate * |w| / |u| * u

    The trust ratio |w| / |u| is the whole tensor's; it is 1 where either is 0, and where there is no decay. Both clip all
    gradients together beforehand, see `training.optimizers`.
    """

    def update(weight, gradient, slots, rate, count, decay):
        first, second = _moments(gradient, slots, beta_1, beta_2)
        direction = first / (1 - beta_1**count) / ((second / (1 - beta_2**count)) ** 0.5 + epsilon)
        if decay:
            direction = direction + decay * weight
            rate = rate * _trust(tf.norm(weight), tf.norm(direction))
        return weight - rate * direction, (first, second)

    return Rule("lamb", {"first_moment": 0.0, "second_moment": 0.0}, update)


def lars(momentum: float, nesterov: bool, coefficient: float, form: Literal["tensorflow", "torch"]) -> Rule:
    """LARS (arXiv:1708.03888 algorithm 1): SGD whose rate is each tensor's own where the tensor is decayed.

        r = coefficient * |w| / (|g| + decay * |w|)          (equation 6; 1 where |w| or |g| is 0)
        tensorflow: v = momentum * v + rate * r * (g + decay * w);  w = w - v         (the paper, MLPerf's LARSOptimizer)
        torch:      v = momentum * v + r * (g + decay * w);         w = w - rate * v  (apex' LARC without clipping, timm's Lars)

    A tensor that is spared has r = 1 and no decay, as MLPerf's recipes leave norms and biases out of both.
    """
    plain = sgd(momentum, nesterov) if form == "torch" else sgd_tensorflow(momentum, nesterov)

    def update(weight, gradient, slots, rate, count, decay):
        if decay:
            norm, slope = tf.norm(weight), tf.norm(gradient)
            ratio = tf.where((norm > 0) & (slope > 0), coefficient * norm / (slope + decay * norm), tf.ones_like(norm))
            gradient = ratio * (gradient + decay * weight)
        return plain.update(weight, gradient, slots, rate, count, 0.0)

    return Rule("lars", plain.slots, update)


def lion(beta_1: float, beta_2: float) -> Rule:
    """Lion (arXiv:2302.06675 program 1).

    w = w - rate * (sign(beta_1 * m + (1 - beta_1) * g) + decay * w)
    m = beta_2 * m + (1 - beta_2) * g
    """

    def update(weight, gradient, slots, rate, count, decay):
        (momentum,) = slots
        direction = tf.sign(momentum + (gradient - momentum) * (1 - beta_1))
        weight = weight - rate * decay * weight if decay else weight
        return weight - rate * direction, (momentum + (gradient - momentum) * (1 - beta_2),)

    return Rule("lion", {"momentum": 0.0}, update)


def muon(momentum: float, nesterov: bool, steps: int, form: Literal["muon", "airbench"]) -> Rule:
    """Muon for a kernel [..., outputs] as a matrix of outputs by inputs (Keller Jordan, https://kellerjordan.github.io/posts/muon).

        muon:     v = momentum * v + (1 - momentum) * g;  d = (1 - momentum) * g + momentum * v if nesterov else v
                  w = (1 - rate * decay) * w - rate * max(1, outputs / inputs) ** 0.5 * orthogonal(d)
        airbench: v = momentum * v + g;                   d = g + momentum * v if nesterov else v
                  w = w * outputs ** 0.5 / |w| - rate * orthogonal(d)

    muon: github.com/KellerJordan/Muon; airbench: github.com/KellerJordan/cifar10-airbench, airbench94_muon.py. Both
    compute `orthogonal` in bfloat16; here it is in the weight's dtype.
    """

    def update(weight, gradient, slots, rate, count, decay):
        (velocity,) = slots
        outputs, inputs = weight.shape[-1], weight.shape.num_elements() // weight.shape[-1]
        gradient = gradient if form == "airbench" else (1 - momentum) * gradient
        velocity = momentum * velocity + gradient
        direction = gradient + momentum * velocity if nesterov else velocity
        direction = tf.reshape(orthogonal(tf.reshape(direction, (inputs, outputs)), steps), weight.shape)
        if form == "airbench":
            weight = weight * (math.sqrt(outputs) / tf.norm(weight))
            return weight - rate * direction, (velocity,)
        weight = weight - rate * decay * weight if decay else weight
        return weight - rate * max(1.0, outputs / inputs) ** 0.5 * direction, (velocity,)

    return Rule("muon", {"momentum": 0.0}, update)


def orthogonal(matrix: tf.Tensor, steps: int) -> tf.Tensor:
    """A matrix [m, n] with its singular vectors and singular values near 1: Newton-Schulz iterations of degree five.

    Source: Jordan's post, section 'Definition'. The values end between about 0.7 and 1.2, which training does not mind.
    """
    a, b, c = NEWTON_SCHULZ
    tall = matrix.shape[0] > matrix.shape[1]
    x = tf.transpose(matrix) if tall else matrix
    x = x / (tf.norm(x) + 1e-7)
    for _ in range(steps):
        square = tf.matmul(x, x, transpose_b=True)
        x = a * x + tf.matmul(b * square + c * tf.matmul(square, square), x)
    return tf.transpose(x) if tall else x


def _moments(gradient: tf.Tensor, slots: Slots, beta_1: float, beta_2: float) -> Slots:
    """Adam's moving means of the gradient and of its square."""
    first, second = slots
    return first + (gradient - first) * (1 - beta_1), second + (gradient**2 - second) * (1 - beta_2)


def _trust(weight: tf.Tensor, direction: tf.Tensor) -> tf.Tensor:
    """The quotient of two norms, 1 where either is 0."""
    ratio = tf.math.divide_no_nan(weight, direction)
    return tf.where(ratio > 0, ratio, tf.ones_like(ratio))
