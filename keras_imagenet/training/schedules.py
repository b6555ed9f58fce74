"""Learning rates as pure functions of the step. No TensorFlow."""

import math
from collections.abc import Callable

from keras_imagenet.settings.training import ScheduleSettings

Schedule = Callable[[int], float]


def build(
    settings: ScheduleSettings, peak: float, *, batch_size: int, steps_per_epoch: float, total_steps: int
) -> Schedule:
    """The rate at step 0, 1, ..., total_steps - 1.

    peak: the optimizer's rate, scaled linearly from `reference_batch` (arXiv:1706.02677 section 2.1). Warm-up rises step
    by step from `warmup_from` times the peak and reaches it at its last step's end (section 2.2).
    """
    peak = scaled(peak, batch_size, settings.reference_batch)
    warmup_steps = round(settings.warmup_epochs * steps_per_epoch)
    after = max(total_steps - warmup_steps, 1)

    def rate(step: int) -> float:
        if step < warmup_steps:
            return peak * (settings.warmup_from + (1 - settings.warmup_from) * step / warmup_steps)
        if settings.name == "cosine":
            return peak * cosine((step - warmup_steps) / after, settings.final_factor)
        if settings.name == "linear":
            return peak * linear((step - warmup_steps) / after, settings.final_factor)
        if settings.name == "step":
            return peak * settings.factor ** sum(
                step >= round(epoch * steps_per_epoch) for epoch in settings.milestones
            )
        return peak

    return rate


def scaled(rate: float, batch_size: int, reference_batch: int | None) -> float:
    """The rate for this batch size, where it is written for another."""
    return rate * batch_size / reference_batch if reference_batch else rate


def cosine(progress: float, final_factor: float) -> float:
    """Factor from 1 at progress 0 down half a cosine to `final_factor` at 1 (arXiv:1608.03983 equation 5)."""
    return final_factor + (1 - final_factor) * (1 + math.cos(math.pi * min(progress, 1.0))) / 2


def linear(progress: float, final_factor: float) -> float:
    """Factor from 1 at progress 0 down a straight line to `final_factor` at 1."""
    return 1 + (final_factor - 1) * min(progress, 1.0)
