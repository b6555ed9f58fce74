"""Optimizers as pure rules: one weight, its gradient and its slots to the new weight and slots, a formula each.

What decay and rate act on is data beside the rule: a coefficient for each weight. A rule knows nothing of replicas,
precision or files; `training.step` gives it gradients of the global batch.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from keras_imagenet.settings.training import OptimizerSettings

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

Slots = tuple["tf.Tensor", ...]
Update = Callable[["tf.Tensor", "tf.Tensor", Slots, "tf.Tensor", "tf.Tensor", float], tuple["tf.Tensor", Slots]]
"""(weight, gradient, slots, rate [], count [], decay) -> weight, slots. rate and count have the weight's dtype; count is
the number of updates including this one; decay is 0 for a weight that is spared."""

EMBEDDING = re.compile(r"(?:^|[/_])(?:positions|token)/kernel$")


@dataclass(frozen=True)
class Rule:
    """slots: names of what the rule keeps for each weight, all of its shape and 0 at first."""

    slots: tuple[str, ...]
    update: Update


@dataclass(frozen=True)
class Optimizer:
    """A rule, and for each weight the coefficient of its decay and what its rate is multiplied by."""

    rule: Rule
    decays: tuple[float, ...]
    factors: tuple[float, ...]

    def update(
        self,
        weights: Sequence[tf.Tensor],
        gradients: Sequence[tf.Tensor],
        slots: Sequence[Slots],
        rate: tf.Tensor,
        count: tf.Tensor,
    ) -> tuple[list[tf.Tensor], list[Slots]]:
        """New weights and slots of all weights; rate and count are scalars of any float type."""
        import tensorflow as tf

        updated = [
            self.rule.update(
                weight, gradient, own, tf.cast(rate, weight.dtype) * factor, tf.cast(count, weight.dtype), decay
            )
            for weight, gradient, own, decay, factor in zip(
                weights, gradients, slots, self.decays, self.factors, strict=True
            )
        ]
        return [weight for weight, _ in updated], [own for _, own in updated]


def build(
    settings: OptimizerSettings,
    variables: Sequence[keras.Variable],
    rate_factors: Mapping[str, float] | None = None,
) -> Optimizer:
    """The optimizer of the settings for these weights.

    rate_factors: by a variable's path, what its learning rate is multiplied by, in decoupled decay too; 1 if not given.
    """
    spared_paths = {variable.path for variable in spared(variables, settings)}
    decays = tuple(0.0 if variable.path in spared_paths else settings.weight_decay for variable in variables)
    factors = tuple((rate_factors or {}).get(variable.path, 1.0) for variable in variables)
    if settings.name == "sgd":
        return Optimizer(sgd(settings.momentum, settings.nesterov), decays, factors)
    return Optimizer(adam(settings.beta_1, settings.beta_2, settings.epsilon), decays, factors)


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

    return Rule(("momentum",), update)


def adam(beta_1: float, beta_2: float, epsilon: float) -> Rule:
    """Adam, or AdamW where there is decay, in Keras' form: epsilon-hat of arXiv:1412.6980 section 2, last paragraph.

        w = w - rate * decay * w                     (arXiv:1711.05101)
        m = beta_1 * m + (1 - beta_1) * g
        v = beta_2 * v + (1 - beta_2) * g ** 2
        w = w - rate * sqrt(1 - beta_2 ** t) / (1 - beta_1 ** t) * m / (sqrt(v) + epsilon)

    torch adds epsilon to the corrected root instead: at step 1 epsilon acts 1 / sqrt(1 - beta_2) times stronger here.
    """

    def update(weight, gradient, slots, rate, count, decay):
        first, second = slots
        weight = weight - rate * decay * weight if decay else weight
        first = first + (gradient - first) * (1 - beta_1)
        second = second + (gradient**2 - second) * (1 - beta_2)
        corrected = rate * (1 - beta_2**count) ** 0.5 / (1 - beta_1**count)
        return weight - corrected * first / (second**0.5 + epsilon), (first, second)

    return Rule(("first_moment", "second_moment"), update)


def spared(variables: Sequence[keras.Variable], settings: OptimizerSettings) -> list[keras.Variable]:
    """The variables that no decay is applied to, unless the settings say otherwise.

    Biases, norms and layer scales, which extend along one axis; learned positions and class tokens, by their layer's name.
    """

    def is_spared(variable: keras.Variable) -> bool:
        if is_embedding(variable):
            return not settings.decay_embeddings
        return not settings.decay_norm_and_bias and sum(size > 1 for size in variable.shape) < 2

    return [variable for variable in variables if is_spared(variable)]


def is_embedding(variable: keras.Variable) -> bool:
    """Whether it is a learned position embedding, Swin's biases by distance, or a token: see models.parameters."""
    return bool(EMBEDDING.search(variable.path))
