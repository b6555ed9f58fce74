"""What is minimised."""

import unicodedata
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BeforeValidator, Discriminator, Field, PositiveFloat, Tag, model_validator

from keras_imagenet.settings.group import Group


def _names_as_text(weights: dict[object, object]) -> dict[str, object]:
    """Python may give a class called 7 as a number; an accent's two spellings are one, as in the sources."""
    return {unicodedata.normalize("NFC", str(name)): weight for name, weight in weights.items()}


ClassWeights = Annotated[
    Annotated[Literal["balanced", "effective"], Tag("rule")]
    | Annotated[dict[str, PositiveFloat], BeforeValidator(_names_as_text), Tag("named")],
    Discriminator(lambda value: "named" if isinstance(value, Mapping) else "rule"),
]


class _Loss(Group):
    """Fields of every loss."""

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
        if self.class_weights == {}:
            raise ValueError(
                "class_weights names no class; give {class: factor}, balanced or effective, or leave it out"
            )
        return self


class CrossEntropySettings(_Loss):
    """Softmax cross-entropy on logits."""

    name: Literal["cross_entropy"] = "cross_entropy"


class _Binary(_Loss):
    """Fields of losses that take each class as a question of its own, by a sigmoid."""

    reduction: Literal["sum", "mean"] = "sum"
    """Over classes. sum: big_vision, mosaic, mmpretrain; mean: timm, DeiT-III; a thousand classes are a factor of 1,000."""


class BinaryCrossEntropySettings(_Binary):
    """Sigmoid cross-entropy of each class (arXiv:2110.00476)."""

    name: Literal["binary_cross_entropy"]
    target_threshold: Annotated[float, Field(ge=0, lt=1)] | None = None
    """Mixed targets above this become 1, others 0 (DeiT-III: 0; timm has it as an option); as they are if not given."""

    @model_validator(mode="after")
    def _a_threshold_undoes_smoothing(self):
        if self.target_threshold is not None and self.label_smoothing:
            raise ValueError("label_smoothing does nothing beside target_threshold; leave one of them out")
        return self


class FocalSettings(_Binary):
    """Sigmoid cross-entropy of each class, less of what is right already: (1 - p) ** gamma (arXiv:1708.02002)."""

    name: Literal["focal"]
    gamma: Annotated[float, Field(ge=1)] = 2.0
    """The power, 1 or more; below, its gradient has no bound."""
    alpha: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Weight of the class, 1 - alpha that of the others; both 1 if not given (the paper's best: 0.25 with gamma 2)."""


LossSettings = Annotated[CrossEntropySettings | BinaryCrossEntropySettings | FocalSettings, Field(discriminator="name")]
