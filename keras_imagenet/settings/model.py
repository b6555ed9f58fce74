"""Which network, and how it is regularised."""

from typing import Annotated, Any, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, field_validator, model_validator

from keras_imagenet.settings.group import Group, Place

Rate = Annotated[float, Field(ge=0, lt=1)]


class BatchNormSettings(Group):
    """Batch normalisation; what is left out stays as the family has it."""

    momentum: Rate | None = None
    """Share of the moving statistics that a step keeps; torch's momentum 0.1 is 0.9 here."""
    epsilon: PositiveFloat | None = None
    """Added to the variance."""
    synchronized: bool | None = None
    """Whether statistics are taken over all replicas' images."""

    @property
    def options(self) -> dict[str, Any]:
        """The fields that were given, as keras.layers.BatchNormalization names them."""
        return self.model_dump(exclude_none=True)


class ModelSettings(Group):
    """The network by its registered name; `keras-imagenet models` lists them. An option that it lacks is an error."""

    name: str = "simple_cnn"
    """Registered name of the architecture."""
    weights: Place | None = None
    """published (the best known), keras, timm:NAME, torchvision:NAME, a file (.keras, .h5, .npz, .safetensors, .pth), or a run."""
    head: Literal["fresh", "probe"] = "fresh"
    """How the last layer starts: fresh, or probe, solved on the other layers' features of the training photos (arXiv:2202.10054)."""
    whiten: bool = False
    """Whether the first layer's filters are those that whiten the training images' patches, and stay so (arXiv:2404.00498)."""
    freeze: tuple[str, ...] = ()
    """Layers that do not learn: names, their beginnings (stem, stage1, stage2_block1), or patterns such as *_norm."""
    dropout: Rate | None = None
    """Dropout rate before the classifier; the family's own default if not given."""
    stochastic_depth: Rate | None = None
    """Drop rate of residual blocks, each example's own, by stochastic_depth_form; the family's own if not given."""
    stochastic_depth_form: Literal["linear", "linear_below", "uniform"] | None = None
    """linear: rising from the first block's 0 to the last's full rate; linear_below: one step short of it, i / N; uniform: the same
    for all. linear_below for EfficientNets and MobileNets, else linear, if not given."""
    layer_scale: PositiveFloat | None = None
    """What the factors on residual branches start at; the family's own if not given."""
    squeeze_excite: NonNegativeInt | None = None
    """Channels are divided by this inside squeeze-excite, 0 for none; the network's own if not given."""
    zero_last_norm: bool | None = None
    """Whether the last norm of a residual block starts at zero, the block as the identity; no if not given."""
    batch_norm: BatchNormSettings = BatchNormSettings()
    """Momentum, epsilon and synchronisation of batch normalisation."""
    padding: Literal["symmetric", "same"] | None = None
    """Borders of strided convolutions: alike on both sides, as torch, or TensorFlow's; the family's if not given."""
    blur_pool: bool | None = None
    """Whether a binomial filter goes before each strided convolution but the first; no if not given."""
    head_bias: float | Literal["log_classes"] | None = None
    """What the biases of the last layer start at: a number, or log_classes for -log(classes); 0 if not given."""

    @field_validator("freeze")
    @classmethod
    def _leaves_something_to_learn(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if any(pattern and not pattern.strip("*") for pattern in value):
            raise ValueError("* freezes every layer, and nothing is left to learn; name the layers that stand still")
        return value

    @model_validator(mode="after")
    def _probes_what_was_learned(self):
        if self.head == "probe" and self.weights is None:
            raise ValueError(
                "head probe needs layers that have learned; give weights, such as published, or leave it out"
            )
        return self

    @model_validator(mode="after")
    def _whitens_fresh_weights(self):
        if self.whiten and self.weights is not None:
            raise ValueError("whiten would replace the first layer of the weights; leave one of the two out")
        return self

    @property
    def options(self) -> dict[str, Any]:
        """The options that were given, as `models.registry.build` takes them."""
        given = self.model_dump(
            exclude={"name", "weights", "head", "whiten", "freeze", "batch_norm"}, exclude_none=True
        )
        return {**given, "batch_norm": self.batch_norm.options} if self.batch_norm.options else given
