"""The learning rate over the run, as shares of its peak: `optimizer.learning_rate`, written for the recipe's batch size."""

from itertools import pairwise
from typing import Annotated, Literal, NamedTuple

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, field_validator, model_validator

from keras_imagenet.settings.group import BatchSize, Epochs, Group, Steps

Share = Annotated[float, Field(ge=0, le=1)]
Fall = Annotated[float, Field(gt=0, lt=1)]


class _Schedule(Group):
    """Fields of every schedule."""

    by: Literal["step", "epoch"] = "step"
    """Whether the rate is set anew at each step, or stays for an epoch what it is at its beginning."""
    reference_batch: BatchSize | None = None
    """Batch size the learning rate is written for; the rate acts multiplied by batch_size / reference_batch."""
    scale_ends: bool = False
    """Whether reference_batch scales warmup_from_rate and final_rate, too (Swin); else only the peak (DeiT)."""

    @model_validator(mode="after")
    def _scales_something(self):
        absolute = [getattr(self, name, None) for name in ("warmup_from_rate", "final_rate")]
        if self.scale_ends and (not self.reference_batch or absolute == [None, None]):
            raise ValueError("scale_ends does nothing without reference_batch and a warmup_from_rate or final_rate")
        return self


class _Warmup(_Schedule):
    """Fields of schedules that a warm-up may come before."""

    warmup_epochs: Annotated[float, Field(ge=0, le=100_000)] = 0.0
    """Epochs, fractions included, in which the rate rises linearly to its peak."""
    warmup_steps: Steps | None = None
    """Steps of the warm-up, instead of epochs."""
    warmup_from: Share = 0.0
    """Share of the peak rate at which the rise starts."""
    warmup_from_rate: NonNegativeFloat | None = None
    """The rate at which the rise starts, instead of a share."""
    warmup: Literal["before", "over", "joins", "multiplies"] = "before"
    """before: the schedule begins after it. Else it begins with the run: over covers its start, joins rises to it, multiplies it."""
    warmup_by: Literal["step", "epoch"] = "step"
    """Whether the warm-up rises at each step, or once an epoch."""
    warmup_inclusive: bool = False
    """Whether the warm-up's last step (or epoch) has the peak rate, and not the first after it."""

    @model_validator(mode="after")
    def _warmup_is_one(self):
        if self.warmup_epochs and self.warmup_steps:
            raise ValueError("give warmup_epochs or warmup_steps, not both")
        if self.warmup_from and self.warmup_from_rate is not None:
            raise ValueError("give warmup_from or warmup_from_rate, not both")
        if self.warmup_by == "epoch" and (self.warmup_steps or self.warmup_epochs % 1):
            raise ValueError("warmup_by epoch needs whole warmup_epochs")
        named = ("warmup_from", "warmup_from_rate", "warmup", "warmup_by", "warmup_inclusive")
        if not self.warmup_epochs and not self.warmup_steps:
            for name in named:
                if getattr(self, name) != type(self).model_fields[name].default:
                    raise ValueError(
                        f"{name} does nothing without warmup_epochs; give warmup_epochs above 0, or leave it out"
                    )
        return self


class _Ends(_Warmup):
    """Fields of schedules that end at a floor."""

    final_factor: Share = 0.0
    """Share of the peak rate at the end."""
    final_rate: NonNegativeFloat | None = None
    """The rate at the end, instead of a share."""

    @model_validator(mode="after")
    def _one_end(self):
        if self.final_factor and self.final_rate is not None:
            raise ValueError("give final_factor or final_rate, not both")
        return self


class ConstantSchedule(_Warmup):
    """The peak rate throughout."""

    name: Literal["constant"]


class StepSchedule(_Warmup):
    """The rate multiplied by a factor at each milestone."""

    name: Literal["step"]
    milestones: tuple[Epochs, ...] = ()
    """Epochs of the run at which the rate falls."""
    every: Epochs | None = None
    """Epochs between two falls, instead of milestones; counted from the run's start."""
    factor: Fall = 0.1
    """What the rate is multiplied by at each."""

    @model_validator(mode="after")
    def _falls_somewhere(self):
        if bool(self.milestones) == (self.every is not None):
            raise ValueError("give milestones or every: when does the rate fall?")
        return self


class ExponentialSchedule(_Warmup):
    """The rate multiplied by factor ** (epochs / every), epochs from the schedule's beginning."""

    name: Literal["exponential"]
    factor: Fall = 0.97
    """What the rate is multiplied by."""
    every: Epochs = 1.0
    """Epochs in which it is, fractions included."""
    staircase: bool = False
    """Whether the exponent is a whole number: the rate falls at once, every so many epochs."""


class CosineSchedule(_Ends):
    """Half a cosine from the peak to the floor (arXiv:1608.03983)."""

    name: Literal["cosine"] = "cosine"
    restarts: Epochs | None = None
    """Epochs of a cycle, after which the rate is at its peak again; one cycle over the run if not given."""


class LinearSchedule(_Ends):
    """A straight line from the peak to the floor."""

    name: Literal["linear"]


class PolynomialSchedule(_Ends):
    """(1 - progress) ** power from the peak to the floor."""

    name: Literal["polynomial"]
    power: PositiveFloat = 2.0
    """The power; 1 is linear."""


class OneCycleSchedule(_Schedule):
    """Up to the peak and down again (arXiv:1708.07120) as torch.optim.lr_scheduler.OneCycleLR has it."""

    name: Literal["one_cycle"]
    start_factor: Share = 0.04
    """Share of the peak rate at the first step."""
    final_factor: Share = 4e-6
    """Share of the peak rate at the last step."""
    peak_at: Annotated[float, Field(gt=0, lt=1)] = 0.3
    """Share of the run after which the rate is at its peak."""
    anneal: Literal["cosine", "linear"] = "cosine"
    """The form of rise and fall."""


class Point(NamedTuple):
    """A corner of the curve."""

    epoch: Annotated[float, Field(ge=0, le=100_000)]
    share: Share


class PointsSchedule(_Schedule):
    """Straight lines between points [epoch, share of the peak rate], such as FFCV's [[0, 0.0001], [2, 1], [16, 0]]."""

    name: Literal["points"]
    points: Annotated[tuple[Point, ...], Field(min_length=2)]
    """[epoch, share of the peak rate] each, epochs rising; before the first and after the last the rate stays."""

    @field_validator("points")
    @classmethod
    def _rise(cls, points: tuple[Point, ...]) -> tuple[Point, ...]:
        for one, next_one in pairwise(points):
            if next_one.epoch <= one.epoch:
                raise ValueError(f"epoch {next_one.epoch:g} does not come after {one.epoch:g}")
        return points


class PlateauSchedule(_Ends):
    """The rate multiplied by a factor where validation's loss no longer falls, as torch's ReduceLROnPlateau."""

    name: Literal["plateau"]
    factor: Fall = 0.1
    """What the rate is multiplied by."""
    patience: NonNegativeInt = 10
    """Epochs without a better loss that are borne; the next one lowers the rate."""
    threshold: Share = 1e-4
    """A loss is better below (1 - threshold) times the best."""
    cooldown: NonNegativeInt = 0
    """Epochs after a fall in which none counts as without a better loss."""


ScheduleSettings = Annotated[
    ConstantSchedule
    | StepSchedule
    | ExponentialSchedule
    | CosineSchedule
    | LinearSchedule
    | PolynomialSchedule
    | OneCycleSchedule
    | PointsSchedule
    | PlateauSchedule,
    Field(discriminator="name"),
]
