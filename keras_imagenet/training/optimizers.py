"""Optimizers by name, each by its own formula, and which weights they decay."""

import re
from collections.abc import Mapping, Sequence

import keras
from keras import ops

from keras_imagenet.settings.training import OptimizerSettings

EMBEDDING = re.compile(r"(?:^|[/_])(?:positions|token)/kernel$")


def build(
    settings: OptimizerSettings,
    variables: Sequence[keras.Variable],
    *,
    clip_norm: float | None = None,
    rate_factors: Mapping[str, float] | None = None,
    precision: str = "float32",
) -> keras.Optimizer:
    """The optimizer of the settings, built for `variables`; with dynamic loss scaling under mixed_float16.

    clip_norm: largest norm of all gradients together; decay is not part of it. rate_factors: by a variable's path, what
    its learning rate is multiplied by, in the decay too.

    Its learning rate is a variable that the train function sets at every step.
    """
    if settings.name == "sgd":
        optimizer = SGD(
            settings.learning_rate,
            momentum=settings.momentum,
            nesterov=settings.nesterov,
            coupled_decay=settings.weight_decay,
            global_clipnorm=clip_norm,
        )
    else:
        moments = {"beta_1": settings.beta_1, "beta_2": settings.beta_2, "epsilon": settings.epsilon}
        decay = {"weight_decay": settings.weight_decay} if settings.name == "adamw" else {}
        kind = keras.optimizers.AdamW if settings.name == "adamw" else keras.optimizers.Adam
        optimizer = kind(settings.learning_rate, **moments, **decay, global_clipnorm=clip_norm)
    optimizer.exclude_from_weight_decay(var_list=spared(variables, settings))
    if rate_factors:
        _slow_down(optimizer, [rate_factors[variable.path] for variable in variables])
    if precision == "mixed_float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    optimizer.build(variables)
    return optimizer


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


def _slow_down(optimizer: keras.Optimizer, factors: Sequence[float]) -> None:
    """Multiply the rate of each variable's step, and of its decay, by its factor."""
    update_step, decay = optimizer.update_step, optimizer.weight_decay
    optimizer.weight_decay = None  # Keras' own decay knows one rate only; the same formula stands below.

    def slower(gradient, variable, learning_rate) -> None:
        rate = learning_rate * factors[optimizer._get_variable_index(variable)]
        if decay and optimizer._use_weight_decay(variable):
            optimizer.assign_sub(variable, variable * ops.cast(decay * rate, variable.dtype))
        update_step(gradient, variable, rate)

    optimizer.update_step = slower


@keras.saving.register_keras_serializable("keras_imagenet")
class SGD(keras.optimizers.Optimizer):
    """Stochastic gradient descent with momentum, in torch's form.

        g = gradient + coupled_decay * w        (where w is decayed)
        v = momentum * v + g
        w = w - rate * (g + momentum * v if nesterov else v)

    Keras' own SGD keeps the rate inside v and decouples the decay: another algorithm as soon as the rate changes.
    """

    def __init__(
        self,
        learning_rate: float = 0.1,
        momentum: float = 0.9,
        nesterov: bool = False,
        coupled_decay: float = 0.0,
        name: str = "sgd",
        **kwargs,
    ) -> None:
        super().__init__(learning_rate=learning_rate, name=name, **kwargs)
        self.momentum = momentum
        self.nesterov = nesterov
        self.coupled_decay = coupled_decay

    def build(self, variables: Sequence[keras.Variable]) -> None:
        """Make a velocity for every variable."""
        if self.built:
            return
        super().build(variables)
        self.velocities = self.add_optimizer_variables(variables, "velocity")

    def update_step(self, gradient, variable, learning_rate) -> None:
        """One variable's step."""
        rate = ops.cast(learning_rate, variable.dtype)
        gradient = ops.cast(gradient, variable.dtype)
        velocity = self.velocities[self._get_variable_index(variable)]
        if self.coupled_decay and self._use_weight_decay(variable):
            gradient = ops.add(gradient, ops.multiply(variable, ops.cast(self.coupled_decay, variable.dtype)))
        momentum = ops.cast(self.momentum, variable.dtype)
        new_velocity = ops.add(ops.multiply(velocity, momentum), gradient)
        self.assign(velocity, new_velocity)
        step = ops.add(gradient, ops.multiply(new_velocity, momentum)) if self.nesterov else new_velocity
        self.assign_sub(variable, ops.multiply(step, rate))

    def get_config(self) -> dict:
        """The constructor's arguments."""
        own = {"momentum": self.momentum, "nesterov": self.nesterov, "coupled_decay": self.coupled_decay}
        return {**super().get_config(), **own}
