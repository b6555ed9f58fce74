"""How long a network is trained, on which batches, and when it is evaluated, saved and stopped."""

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, model_validator

from keras_imagenet.settings.group import AutoBatchSize, AutoEpochs, BatchSize, Group, Steps

Share = Annotated[float, Field(ge=0, le=1)]


class TrainSettings(Group):
    """The length of a run, its batches, and when it is evaluated, saved and stopped."""

    epochs: AutoEpochs | None = None
    """Passes over the training examples, or auto: the fewer the more examples; 10 if neither epochs nor steps is given.
    0 leaves the network as it is but for the head that `model.head` probe solves."""
    steps: Steps | None = None
    """Optimizer steps, instead of epochs."""
    batch_size: AutoBatchSize = 64
    """Examples per step over all replicas: always the global batch; auto: 8 to 64, a sixteenth of the training examples."""
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
    clip_value: PositiveFloat | None = None
    """Largest size of each entry of the gradients, after the sum over replicas."""
    clip_adaptive: PositiveFloat | None = None
    """Largest norm of a unit's gradient as a share of the norm of its weights (arXiv:2102.06171); the head is left out."""
    sam: PositiveFloat | None = None
    """Sharpness-aware minimisation (arXiv:2010.01412): its rho, how far from the weights the gradient is taken; two passes a step."""
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
    keep: Literal["last", "best", "average", "best_average"] = "last"
    """Which weights the run leaves: the last, those with the best validation top-1, their `average`, or the best average."""
    patience: Annotated[int, Field(gt=0, le=100_000)] | None = None
    """Epochs without a better validation top-1 after which training stops; never if not given."""
    time_limit: Annotated[float, Field(gt=0, le=10_000_000)] | None = None
    """Minutes after which the run saves its state and leaves; the same command goes on."""
    summary_steps: Steps = 50
    """Steps between two points of a TensorBoard curve."""
    summary_norms: bool = False
    """Whether TensorBoard shows norms of gradients (before clipping), weights and updates, at those steps, by parts of the network."""

    @model_validator(mode="after")
    def _one_length(self):
        if self.epochs is not None and self.steps is not None:
            raise ValueError("give epochs or steps, not both")
        return self

    @model_validator(mode="after")
    def _one_clipping(self):
        given = [name for name in ("clip_norm", "clip_value", "clip_adaptive") if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"give one of {' and '.join(given)}")
        return self

    @property
    def length_in_epochs(self) -> float | None:
        """Epochs to train; None where the length is given in steps, or follows from the data."""
        if self.steps is not None or self.epochs == "auto":
            return None
        return 10.0 if self.epochs is None else self.epochs
