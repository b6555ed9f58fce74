"""The average of the weights over the steps, kept beside them."""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat

from keras_imagenet.settings.group import Group, Steps

Decay = Annotated[float, Field(gt=0, lt=1)]


class _Average(Group):
    """Fields of every average: average = decay * average + (1 - decay) * weights."""

    decay: Decay = 0.9999
    """Share of the average that an update keeps, in the end."""
    statistics: bool = True
    """Whether batch norm's moving statistics are averaged, too; else the average has those of the weights."""


class ConstantAverage(_Average):
    """The same decay from the first update on."""

    name: Literal["constant"]
    every: Steps = 1
    """Steps between two updates."""
    from_step: NonNegativeInt = 0
    """Steps in which the average is a plain copy; after them it averages."""


class TensorFlowAverage(_Average):
    """min(decay, (1 + s) / (10 + s)) at update s, as tf.train.ExponentialMovingAverage with num_updates."""

    name: Literal["tensorflow"]
    from_step: NonNegativeInt = 0
    """Steps in which the average is a plain copy; s counts from there."""


class TimmAverage(_Average):
    """min(decay, 1 - (1 + s / gamma) ** -power), s = 0 at the first update, a plain copy; timm's ModelEmaV3 with its warm-up."""

    name: Literal["timm"]
    gamma: PositiveFloat = 1.0
    """Updates that the warm-up's time is counted in."""
    power: PositiveFloat = 2 / 3
    """How fast it warms up; 1 and gamma 1 make the plain mean of all."""
    from_step: NonNegativeInt = 0
    """Steps in which the average is a plain copy; s counts from there."""


class TorchvisionAverage(_Average):
    """Every 32 steps of an epoch with 1 - min(1, (1 - decay) batch every / epochs); a plain copy in epochs that warm up."""

    name: Literal["torchvision"]
    decay: Decay = 0.99998
    """What the decay is computed from."""
    every: Steps = 32
    """Steps between two updates, counted from each epoch's first."""


class SWAAverage(Group):
    """The mean of the weights at the ends of epochs (arXiv:1803.05407)."""

    name: Literal["swa"]
    from_epoch: Annotated[int, Field(gt=0, le=100_000)]
    """The epoch at whose end it begins, from 1; until then the average is a plain copy."""
    every: Annotated[int, Field(gt=0, le=100_000)] = 1
    """Epochs between two that count."""
    statistics: bool = True
    """Whether batch norm's moving statistics are averaged, too; else the average has those of the weights."""


class LookaheadAverage(Group):
    """Every few steps average = d average + (1 - d) weights, and the weights go on from it (arXiv:1907.08610); d = decay progress ** 3."""

    name: Literal["lookahead"]
    decay: Decay = 0.95**5
    """Share of the average that an update keeps at the run's end; at its beginning none (github.com/KellerJordan/cifar10-airbench)."""
    every: Steps = 5
    """Steps between two updates."""
    statistics: bool = True
    """Whether batch norm's moving statistics are averaged, too; else the average has those of the weights."""


class BestAverage(Group):
    """The mean of the weights at the ends of the epochs with the best validation top-1 so far, the earliest of equals."""

    name: Literal["best"]
    count: Annotated[int, Field(gt=1, le=100)] = 5
    """How many epochs, of which each checkpoint holds a copy."""
    statistics: bool = True
    """Whether batch norm's moving statistics are averaged, too; else the average has those of the weights."""


AverageSettings = Annotated[
    ConstantAverage
    | TensorFlowAverage
    | TimmAverage
    | TorchvisionAverage
    | SWAAverage
    | LookaheadAverage
    | BestAverage,
    Field(discriminator="name"),
]
