"""How a network is trained: optimizer, schedule, loss, and the run itself. Rates are written for the recipe's batch size."""

import unicodedata
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    Tag,
    model_validator,
)

from keras_imagenet.settings.group import BatchSize, Epochs, Group, Steps

Decay = Annotated[float, Field(ge=0, lt=1)]
Share = Annotated[float, Field(ge=0, le=1)]


class _WeightDecay(Group):
    """Fields of every optimizer that decays weights."""

    weight_decay: NonNegativeFloat = 0.0
    """Coefficient of the decay; what it is applied to, the two fields beside say."""
    depth_factor: Annotated[float, Field(gt=0, le=1)] = 1.0
    """For fine-tuning: each block learns at this share of the rate of the block behind it, decay included; the head at the full rate."""
    decay_norm_and_bias: bool = False
    """Whether normalisation parameters and biases (every weight that extends along one axis only) are decayed too."""
    decay_embeddings: bool = False
    """Whether learned positions and class tokens are decayed too; Swin's and DeiT's recipes spare them."""


class SGDSettings(_WeightDecay):
    """Stochastic gradient descent in torch's form: v = momentum v + g, w -= rate v; decay is added to g, before v."""

    name: Literal["sgd"] = "sgd"
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


class AdamSettings(_WeightDecay):
    """Adam (arXiv:1412.6980), or AdamW (arXiv:1711.05101), which decays weights by rate times weight_decay."""

    name: Literal["adam", "adamw"]
    learning_rate: PositiveFloat = 1e-3
    """Peak learning rate."""
    beta_1: Decay = 0.9
    """Decay of the first moment."""
    beta_2: Decay = 0.999
    """Decay of the second moment."""
    epsilon: PositiveFloat = 1e-8
    """Added to the root of the second moment before its bias is corrected, as Keras has it (the paper's epsilon hat)."""

    @model_validator(mode="after")
    def _adam_does_not_decay(self):
        if self.name == "adam" and self.weight_decay:
            raise ValueError("weight_decay belongs to optimizer.name adamw; adam has none")
        return self


class _Warmup(Group):
    """Fields of every schedule."""

    warmup_epochs: Annotated[float, Field(ge=0, le=100_000)] = 0.0
    """Epochs, fractions included, in which the rate rises linearly, step by step, to its peak."""
    warmup_from: Share = 0.0
    """Share of the peak rate at which the rise starts."""
    reference_batch: BatchSize | None = None
    """Batch size the learning rate is written for; the rate acts multiplied by batch_size / reference_batch."""

    @model_validator(mode="after")
    def _warmup_starts_somewhere(self):
        if self.warmup_from and not self.warmup_epochs:
            raise ValueError(
                "warmup_from does nothing without warmup_epochs; give warmup_epochs above 0, or leave it out"
            )
        return self


class ConstantSchedule(_Warmup):
    """The peak rate throughout."""

    name: Literal["constant"]


class CosineSchedule(_Warmup):
    """Half a cosine from the peak to the floor (arXiv:1608.03983), over the steps after the warm-up."""

    name: Literal["cosine"] = "cosine"
    final_factor: Share = 0.0
    """Share of the peak rate at the end."""


class LinearSchedule(_Warmup):
    """A straight line from the peak to the floor, over the steps after the warm-up."""

    name: Literal["linear"]
    final_factor: Share = 0.0
    """Share of the peak rate at the end."""


class StepSchedule(_Warmup):
    """The rate multiplied by a factor at each milestone."""

    name: Literal["step"]
    milestones: tuple[Epochs, ...]
    """Epochs at which the rate falls."""
    factor: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """What the rate is multiplied by at each."""


OptimizerSettings = Annotated[SGDSettings | AdamSettings, Field(discriminator="name")]
ScheduleSettings = Annotated[
    ConstantSchedule | CosineSchedule | LinearSchedule | StepSchedule, Field(discriminator="name")
]


def _names_as_text(weights: dict[object, object]) -> dict[str, object]:
    """Python may give a class called 7 as a number; an accent's two spellings are one, as in the sources."""
    return {unicodedata.normalize("NFC", str(name)): weight for name, weight in weights.items()}


ClassWeights = Annotated[
    Annotated[Literal["balanced", "effective"], Tag("rule")]
    | Annotated[dict[str, PositiveFloat], BeforeValidator(_names_as_text), Tag("named")],
    Discriminator(lambda value: "named" if isinstance(value, Mapping) else "rule"),
]


class LossSettings(Group):
    """Softmax cross-entropy on logits."""

    name: Literal["cross_entropy"] = "cross_entropy"
    """The loss."""
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share e of the target spread evenly: (1 - e) + e / K for the class, e / K elsewhere (arXiv:1512.00567 section 7)."""
    class_weights: ClassWeights | None = None
    """Factor of each class's term: balanced n / (classes count), effective (arXiv:1901.05555), or {class: factor}, 1 for others."""
    effective_beta: Annotated[float, Field(gt=0, lt=1)] | None = None
    """For class_weights=effective: beta of (1 - beta) / (1 - beta ** count). 0.999 if not given."""

    @model_validator(mode="after")
    def _beta_of_effective_weights(self):
        if self.effective_beta is not None and self.class_weights != "effective":
            raise ValueError("effective_beta belongs to class_weights effective")
        return self


class TrainSettings(Group):
    """The length of a run, its batches, and when it is evaluated, saved and stopped."""

    epochs: Epochs | None = None
    """Passes over the training examples; 10 if neither epochs nor steps is given."""
    steps: Steps | None = None
    """Optimizer steps, instead of epochs."""
    batch_size: BatchSize = 64
    """Examples per step over all replicas: always the global batch."""
    accumulate: BatchSize = 1
    """Micro-batches that each replica's share of a batch goes through the network in: less memory, the same gradients."""
    repeats: BatchSize = 1
    """How often each drawn example comes, augmented anew each time (arXiv:1901.09335); an epoch stays as long."""
    balance: Share = 0.0
    """0 draws examples equally often, 1 classes, 0.5 by square roots: a class's share goes by count ** (1 - balance) (arXiv:1910.09217)."""
    evaluation_batch_size: BatchSize | None = None
    """Examples per evaluation batch over all replicas; batch_size if not given. It changes no result."""
    clip_norm: PositiveFloat | None = None
    """Largest norm of all gradients together; longer ones are scaled down to it, after the sum over replicas."""
    gradient_checkpointing: bool = False
    """Whether activations are computed again for the gradients instead of being kept; not together with runtime.xla."""
    checkpoint_steps: Steps | None = None
    """Steps between checkpoints; one is written at the end of every epoch in any case."""
    checkpoint_minutes: Annotated[float, Field(gt=0, le=100_000)] | None = None
    """Minutes between checkpoints, besides those by steps."""
    keep_checkpoints: Annotated[int, Field(gt=0, le=1_000_000)] = 2
    """How many checkpoints are kept, the newest."""
    keep_best_checkpoints: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    """How many more are kept: those of the epochs of the best validation top-1."""
    keep: Literal["last", "best"] = "last"
    """Which weights the run leaves: the last, or those with the best validation top-1."""
    patience: Annotated[int, Field(gt=0, le=100_000)] | None = None
    """Epochs without a better validation top-1 after which training stops; never if not given."""
    time_limit: Annotated[float, Field(gt=0, le=10_000_000)] | None = None
    """Minutes after which the run saves its state and leaves; the same command goes on."""
    summary_steps: Steps = 50
    """Steps between two points of a TensorBoard curve."""

    @model_validator(mode="after")
    def _one_length(self):
        if self.epochs is not None and self.steps is not None:
            raise ValueError("give epochs or steps, not both")
        return self

    @property
    def length_in_epochs(self) -> float | None:
        """Epochs to train; None where the length is given in steps."""
        return None if self.steps is not None else self.epochs or 10.0
