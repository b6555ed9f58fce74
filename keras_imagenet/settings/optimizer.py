"""How weights are updated. Rates are written for the recipe's batch size."""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from keras_imagenet.settings.group import Epochs, Group

Decay = Annotated[float, Field(ge=0, lt=1)]
SPARED = ("norms", "biases", "embeddings", "layer_scales")
"""Kinds of weights that have a name; `training.kinds` says which weights are of which."""


class _Optimizer(Group):
    """Fields of every optimizer."""

    weight_decay: NonNegativeFloat = 0.0
    """Coefficient of the decay; `spare` says what it is not applied to."""
    spare: tuple[str, ...] = SPARED
    """What is not decayed: norms, biases, embeddings, layer_scales, layers or variables' paths (stem_conv, *_norm/*); [] for nothing."""
    rate_factors: dict[str, PositiveFloat] = Field(default_factory=dict)
    """What the rate of layers or variables is multiplied by: {pattern: factor}; where several patterns fit, by all of them."""
    decay_factors: dict[str, PositiveFloat] = Field(default_factory=dict)
    """What the decay of layers or variables is multiplied by, beside rate_factors, which most decay goes by too: {pattern: factor}."""
    freeze_after: dict[str, Epochs] = Field(default_factory=dict)
    """Passes over the data, counted in updates, after which layers or variables stand still: {pattern: epochs}."""
    depth_factor: Annotated[float, Field(gt=0, le=1)] = 1.0
    """For fine-tuning: each block learns at this share of the rate of the block behind it, decay included; the head at the full rate."""

    @model_validator(mode="after")
    def _spares_from_something(self):
        if self.spare != SPARED and not self.weight_decay:
            raise ValueError("spare does nothing without weight_decay; give weight_decay above 0, or leave it out")
        if self.decay_factors and not self.weight_decay:
            raise ValueError(
                "decay_factors do nothing without weight_decay; give weight_decay above 0, or leave them out"
            )
        return self


class _Momentum(_Optimizer):
    """Fields of stochastic gradient descent."""

    learning_rate: PositiveFloat = 0.1
    """Peak learning rate."""
    momentum: Decay = 0.9
    """Momentum."""
    nesterov: bool = False
    """Whether the step looks ahead: w -= rate (g + momentum v)."""

    @model_validator(mode="after")
    def _nesterov_has_momentum(self):
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov does nothing without momentum; give momentum above 0, or leave nesterov out")
        return self


class SGDSettings(_Momentum):
    """Stochastic gradient descent in torch's form: v = momentum v + g, w -= rate v; decay is added to g, before v."""

    name: Literal["sgd"] = "sgd"
    form: Literal["torch", "tensorflow"] = "torch"
    """torch, or tensorflow with the rate inside v: v = momentum v - rate g, w += v; they differ where the rate changes."""


class SGDWSettings(_Momentum):
    """SGD in torch's form whose decay is not added to g: w *= 1 - weight_decay rate / peak rate (arXiv:1711.05101, SGDW)."""

    name: Literal["sgdw"]


class RMSpropSettings(_Optimizer):
    """RMSprop with momentum; decay is added to g. A recipe's epsilon belongs to its form."""

    name: Literal["rmsprop"]
    learning_rate: PositiveFloat = 0.01
    """Peak learning rate."""
    rho: Decay = 0.9
    """Decay of the mean square."""
    momentum: Decay = 0.9
    """Momentum."""
    epsilon: PositiveFloat = 1e-7
    """Added to the root of the mean square in torch's form, to the mean square in the others."""
    form: Literal["torch", "tensorflow", "keras"] = "torch"
    """torch: rate outside the momentum. keras: epsilon in the root, rate in the momentum. tensorflow: so, and mean square 1 at first."""


class AdamSettings(_Optimizer):
    """Adam (arXiv:1412.6980), or AdamW (arXiv:1711.05101), which decays weights by rate times weight_decay."""

    name: Literal["adam", "adamw"]
    learning_rate: PositiveFloat = 1e-3
    """Peak learning rate."""
    beta_1: Decay = 0.9
    """Decay of the first moment."""
    beta_2: Decay = 0.999
    """Decay of the second moment."""
    epsilon: PositiveFloat = 1e-8
    """Added to the root of the second moment."""
    form: Literal["keras", "torch"] = "keras"
    """Whether epsilon is added before the root's bias is corrected (keras; the paper's epsilon hat), or after."""
    decay: Literal["by_rate", "by_schedule"] = "by_rate"
    """adamw: w *= 1 - weight_decay rate, or absolute: w *= 1 - weight_decay rate / peak rate (big_vision)."""

    @model_validator(mode="after")
    def _adam_does_not_decay(self):
        if self.name == "adam" and self.weight_decay:
            raise ValueError("weight_decay belongs to optimizer.name adamw; adam has none")
        if self.decay == "by_schedule" and not self.weight_decay:
            raise ValueError("decay by_schedule does nothing without weight_decay; give it, or leave decay out")
        return self


class LAMBSettings(_Optimizer):
    """LAMB (arXiv:1904.00962) as timm and apex have it: decay inside the trust ratio, which is 1 for weights that are spared."""

    name: Literal["lamb"]
    learning_rate: PositiveFloat = 5e-3
    """Peak learning rate."""
    beta_1: Decay = 0.9
    """Decay of the first moment."""
    beta_2: Decay = 0.999
    """Decay of the second moment."""
    epsilon: PositiveFloat = 1e-6
    """Added to the corrected root of the second moment."""
    clip_norm: PositiveFloat | None = 1.0
    """Largest norm of all gradients together, as both have it inside the optimizer; null for none."""


class LARSSettings(_Momentum):
    """LARS (arXiv:1708.03888): SGD whose rate is times trust_coefficient |w| / (|g| + weight_decay |w|) in each tensor that decays."""

    name: Literal["lars"]
    learning_rate: PositiveFloat = 10.0
    """Peak learning rate, before each tensor's own factor."""
    trust_coefficient: PositiveFloat = 0.001
    """What the factor |w| / (|g| + weight_decay |w|) is multiplied by: the paper's eta."""
    form: Literal["tensorflow", "torch"] = "tensorflow"
    """tensorflow: rate inside v, as the paper and MLPerf have it; torch: outside, as apex and timm; they differ where the rate changes."""

    @model_validator(mode="after")
    def _adapts_what_decays(self):
        if not self.weight_decay:
            raise ValueError(
                "lars without weight_decay is sgd, since what is not decayed has no factor; give it, or take name sgd"
            )
        return self


class LionSettings(_Optimizer):
    """Lion (arXiv:2302.06675): the sign of an interpolated momentum; decay is rate times weight_decay."""

    name: Literal["lion"]
    learning_rate: PositiveFloat = 1e-4
    """Peak learning rate."""
    beta_1: Decay = 0.9
    """Share of the momentum in the step's direction."""
    beta_2: Decay = 0.99
    """Decay of the momentum."""


class MuonSettings(_Optimizer):
    """Muon for hidden matrices (kernels but the first layer's and the head's); SGD in torch's form for all other weights."""

    name: Literal["muon"]
    learning_rate: PositiveFloat = 0.02
    """Peak learning rate of the matrices."""
    momentum: Decay = 0.95
    """Momentum of the matrices."""
    nesterov: bool = True
    """Whether steps look ahead, those of the other weights too."""
    newton_schulz_steps: PositiveInt = 5
    """Iterations that make the step's matrix nearly orthogonal."""
    form: Literal["muon", "airbench"] = "muon"
    """muon: step times max(1, outputs / inputs) ** 0.5, decoupled decay. airbench: matrices scaled to norm outputs ** 0.5, no decay."""
    other_rate: PositiveFloat = 0.1
    """Peak learning rate of the other weights."""
    other_momentum: Decay = 0.9
    """Momentum of the other weights."""


OptimizerSettings = Annotated[
    SGDSettings
    | SGDWSettings
    | RMSpropSettings
    | AdamSettings
    | LAMBSettings
    | LARSSettings
    | LionSettings
    | MuonSettings,
    Field(discriminator="name"),
]
