"""Who else a network learns from, beside the labels."""

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, model_validator

from keras_imagenet.settings.group import Group, Place


class _Teacher(Group):
    """Fields of every teacher: another network that has learned, and answers to the same augmented and mixed images."""

    source: Place | None = None
    """Where the teacher is: a finished run's folder, or a SavedModel's that export has made."""
    network: str | None = None
    """Instead of source: the registered name of a network that has published weights."""
    weights: Place | None = None
    """Those of network, as in model.weights; published if not given."""
    weight: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Share w of the teacher in the loss, (1 - w) labels + w teacher; 0.5 is hard DeiT's, 1 leaves the labels out."""
    token: bool = False
    """Whether the distillation token's head learns from the teacher, the class token's from the labels: deit_*_distilled."""

    @model_validator(mode="after")
    def _one_teacher(self):
        if (self.source is None) == (self.network is None):
            raise ValueError("give one of source, a folder, and network, a name")
        if self.weights is not None and self.network is None:
            raise ValueError("weights belongs to network and does nothing beside source; leave it out")
        return self


class SoftTeacher(_Teacher):
    """T ** 2 KL(teacher || network), of answers at temperature T (arXiv:1503.02531 section 2, arXiv:2012.12877 equation 2)."""

    name: Literal["soft"]
    temperature: PositiveFloat = 1.0
    """What both answers' logits are divided by: T."""


class HardTeacher(_Teacher):
    """Cross-entropy with the class that the teacher answers (arXiv:2012.12877 equation 3)."""

    name: Literal["hard"]


TeacherSettings = Annotated[SoftTeacher | HardTeacher, Field(discriminator="name")]
