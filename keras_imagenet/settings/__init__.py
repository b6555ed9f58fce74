"""What can be set: one tree of typed, documented groups. A recipe is such a tree in YAML."""

from pydantic import model_validator

from keras_imagenet.settings.augment import AugmentSettings
from keras_imagenet.settings.average import AverageSettings
from keras_imagenet.settings.data import DataSettings
from keras_imagenet.settings.group import Group
from keras_imagenet.settings.loss import CrossEntropySettings, LossSettings
from keras_imagenet.settings.model import ModelSettings
from keras_imagenet.settings.optimizer import OptimizerSettings, SGDSettings
from keras_imagenet.settings.phases import Phase, augments
from keras_imagenet.settings.runtime import RuntimeSettings
from keras_imagenet.settings.schedule import CosineSchedule, ScheduleSettings
from keras_imagenet.settings.teacher import TeacherSettings
from keras_imagenet.settings.training import TrainSettings


class Settings(Group):
    """Everything a run is a function of, besides its data."""

    data: DataSettings = DataSettings()
    """Images: where they come from, and the preset that makes them the network's input."""
    augment: AugmentSettings = AugmentSettings()
    """How training images are varied."""
    model: ModelSettings = ModelSettings()
    """The network."""
    optimizer: OptimizerSettings = SGDSettings()
    """The optimizer."""
    schedule: ScheduleSettings = CosineSchedule()
    """The learning rate over the run."""
    loss: LossSettings = CrossEntropySettings()
    """The loss."""
    teacher: TeacherSettings | None = None
    """Another network that this one learns from, too; none if not given."""
    average: AverageSettings | None = None
    """The average of the weights; none if not given."""
    train: TrainSettings = TrainSettings()
    """The run's length and batches."""
    phases: tuple[Phase, ...] = ()
    """What changes while the run goes on: size, augmentation; earlier ones first."""
    runtime: RuntimeSettings = RuntimeSettings()
    """Devices, precision, threads, seed, run folder."""

    @model_validator(mode="after")
    def _phases_follow_each_other(self):
        """In the run's time, each with settings that can be; what goes through the loss is the same in all of them."""
        later = list(augments(self.augment, self.phases))
        before, consistency = 0.0, self.augment.augmix and self.augment.augmix.consistency
        for number, (phase, augment) in enumerate(zip(self.phases, later, strict=True)):
            if phase.from_epoch <= before:
                raise ValueError(
                    f"phases.{number}.from_epoch = {phase.from_epoch:g}: does not come after the phase before it, at {before:g}"
                )
            if (augment.augmix and augment.augmix.consistency) != consistency:
                raise ValueError(f"phases.{number}.augment.augmix.consistency: is one for the whole run")
            if augment.keras_cv != self.augment.keras_cv:
                raise ValueError(f"phases.{number}.augment.keras_cv: is one for the whole run")
            before = phase.from_epoch
        return self

    @model_validator(mode="after")
    def _recomputed_by_tensorflow(self):
        if self.train.gradient_checkpointing and self.runtime.xla is True:
            raise ValueError(
                "train.gradient_checkpointing does not go together with runtime.xla; leave one of them out"
            )
        return self

    @model_validator(mode="after")
    def _loss_that_acts(self):
        """A binary loss goes by sigmoids, consistency by softmax; a threshold acts on mixed targets only."""
        augmix, threshold = self.augment.augmix, getattr(self.loss, "target_threshold", None)
        mixes = any(augment.mixing for augment in (self.augment, *augments(self.augment, self.phases)))
        if threshold is not None and not mixes:
            raise ValueError("loss.target_threshold does nothing without augment.mixing; leave it out, or mix")
        if augmix is not None and augmix.consistency and self.loss.name != "cross_entropy":
            raise ValueError(
                f"augment.augmix.consistency compares answers by softmax, loss.name {self.loss.name} goes by sigmoids; "
                "leave consistency out, or take loss.name cross_entropy"
            )
        return self

    @model_validator(mode="after")
    def _can_be_taught(self):
        """Answers are compared by softmax; a head of the teacher's own is one of two that see each image once."""
        if self.teacher is None:
            return self
        if self.loss.name != "cross_entropy":
            raise ValueError(
                f"teacher compares answers by softmax, loss.name {self.loss.name} goes by sigmoids; "
                "leave one of them out, or take loss.name cross_entropy"
            )
        if self.teacher.token and self.augment.augmix is not None and self.augment.augmix.consistency:
            raise ValueError(
                "teacher.token does not go together with augment.augmix.consistency; leave one of them out"
            )
        if self.teacher.token and self.train.gradient_checkpointing:
            raise ValueError(
                "teacher.token does not go together with train.gradient_checkpointing; leave one of them out"
            )
        return self

    @model_validator(mode="after")
    def _keeps_what_there_is(self):
        if "average" in self.train.keep and self.average is None:
            raise ValueError(f"train.keep {self.train.keep}: there is no average; name one in average.name")
        return self

    @model_validator(mode="after")
    def _within_the_run(self):
        """Nothing is set for a time after the run's end; in a run of so many steps epochs are known with the data only."""
        epochs = self.train.length_in_epochs
        if epochs == 0 and self.model.head != "probe":
            raise ValueError("train.epochs = 0: trains nothing; give more, or model.head probe, which needs none")
        if not epochs:
            return self
        warmup = getattr(self.schedule, "warmup_epochs", 0.0)
        if warmup > epochs:
            raise ValueError(
                f"schedule.warmup_epochs = {warmup:g}: is more than the run's {epochs:g} epochs; "
                "warm up for fewer, or give more train.epochs"
            )
        for milestone in getattr(self.schedule, "milestones", ()):
            if milestone >= epochs:
                raise ValueError(
                    f"schedule.milestones: {milestone:g} does not come before the end of the run's {epochs:g} epochs; "
                    "leave it out, or give more train.epochs"
                )
        for pattern, end in self.optimizer.freeze_after.items():
            if end >= epochs:
                raise ValueError(
                    f"optimizer.freeze_after: {pattern} learns to the end of the run's {epochs:g} epochs; "
                    "give fewer, or leave it out"
                )
        if self.phases and self.phases[-1].from_epoch >= epochs:
            raise ValueError(
                f"phases: from_epoch {self.phases[-1].from_epoch:g} does not come before the end of the run's {epochs:g} epochs; "
                "leave it out, or give more train.epochs"
            )
        if getattr(self.schedule, "points", ()) and self.schedule.points[-2].epoch >= epochs:
            raise ValueError(
                f"schedule.points: epoch {self.schedule.points[-2].epoch:g} does not come before the end of the run's "
                f"{epochs:g} epochs; leave out what comes after, or give more train.epochs"
            )
        if getattr(self.average, "from_epoch", 0) > epochs:
            raise ValueError(
                f"average.from_epoch = {self.average.from_epoch}: is more than the run's {epochs:g} epochs; "
                "give an earlier one, or more train.epochs"
            )
        for name, patience, does in (
            ("train.patience", self.train.patience, "stops"),
            ("schedule.patience", getattr(self.schedule, "patience", None), "lowers the rate of"),
            ("schedule.every", self.schedule.every if self.schedule.name == "step" else None, "lowers the rate of"),
        ):
            if (patience or 0) >= epochs:
                raise ValueError(
                    f"{name} = {patience:g}: never {does} a run of {epochs:g} epochs; give less, or more train.epochs"
                )
        return self
