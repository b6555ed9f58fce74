"""Learning rates as pure functions of the step; a plateau's of validation's losses, too. No TensorFlow."""

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import pairwise
from math import ceil, floor

from keras_imagenet.settings.schedule import PlateauSchedule, Point, ScheduleSettings

Schedule = Callable[..., float]
"""(step, losses=()) -> rate. losses: validation's, one of each epoch that is over; `plateau` alone reads them."""

Curve = Callable[[Fraction, Fraction, Fraction], float]
"""(epochs since the schedule began, epochs from then to the run's end, epochs since the run began) -> share of the peak."""


def build(
    settings: ScheduleSettings,
    peak: float,
    *,
    batch_size: int,
    steps_per_epoch: float | Fraction,
    total_steps: int,
) -> Schedule:
    """The rate at step 0, 1, ..., total_steps - 1.

    peak: the optimizer's rate, scaled linearly from `reference_batch` (arXiv:1706.02677 section 2.1). The warm-up rises in
    a straight line (section 2.2). Time is counted in epochs, exactly, and goes on by ticks: a step's, or a whole epoch's,
    which a step belongs to by its first example.
    """
    steps_per_epoch = Fraction(steps_per_epoch)
    scale = scaled(1.0, batch_size, settings.reference_batch)
    top, ends = peak * scale, scale if settings.scale_ends else 1.0
    ticks = {"step": 1 / steps_per_epoch, "epoch": Fraction(1)}
    tick, length = ticks[settings.by], total_steps / steps_per_epoch
    if settings.by == "epoch":
        length = Fraction(floor((total_steps - 1) / steps_per_epoch) + 1)

    def share(name: str) -> float:
        """One of the settings' ends, given as a share of the peak or as a rate."""
        absolute = getattr(settings, f"{name.removesuffix('_factor')}_rate", None)
        return getattr(settings, name, 0.0) if absolute is None else absolute * ends / top

    final, start = share("final_factor"), share("warmup_from")
    curve = _curve(settings, final, tick)
    warmup_tick = ticks[getattr(settings, "warmup_by", "step")]
    rise = _warmup(settings, warmup_tick, steps_per_epoch)
    before = getattr(settings, "warmup", "before") == "before"
    begin = _warmup(settings, tick, steps_per_epoch) if before else Fraction(0)

    def scheduled(now: Fraction) -> float:
        return curve(max(now - begin, Fraction(0)), max(length - begin, tick), now)

    def rate(step: int, losses: Sequence[float] = ()) -> float:
        now = _epochs(step, tick, steps_per_epoch)
        risen = _epochs(step, warmup_tick, steps_per_epoch)
        highest = top * max(settings.factor ** falls(settings, losses), final) if settings.name == "plateau" else top
        if risen >= rise:
            return highest * scheduled(now)
        progress = float(risen / max(rise - warmup_tick * settings.warmup_inclusive, warmup_tick))
        if settings.warmup == "multiplies":
            return highest * scheduled(now) * (start + (1 - start) * progress)
        goal = scheduled(rise) if settings.warmup == "joins" else 1.0
        return highest * (start + (goal - start) * progress)

    return rate


def ends_with_the_run(settings: ScheduleSettings) -> bool:
    """Whether the rate at a step depends on how long the run is: in a longer one it would have been another."""
    return settings.name in ("linear", "polynomial", "one_cycle") or (
        settings.name == "cosine" and settings.restarts is None
    )


def scaled(rate: float, batch_size: int, reference_batch: int | None) -> float:
    """The rate for this batch size, where it is written for another."""
    return rate * batch_size / reference_batch if reference_batch else rate


def warmup_steps(settings: ScheduleSettings, steps_per_epoch: float | Fraction) -> int:
    """Steps in which the rate rises before, or over, the schedule."""
    steps_per_epoch = Fraction(steps_per_epoch)
    tick = 1 / steps_per_epoch if getattr(settings, "warmup_by", "step") == "step" else Fraction(1)
    return ceil(_warmup(settings, tick, steps_per_epoch) * steps_per_epoch)


def _epochs(step: int, tick: Fraction, steps_per_epoch: Fraction) -> Fraction:
    """Epochs that are over before a step, in whole ticks."""
    return floor(step / (steps_per_epoch * tick)) * tick


def _warmup(settings: ScheduleSettings, tick: Fraction, steps_per_epoch: Fraction) -> Fraction:
    """Epochs of warm-up, in whole ticks."""
    if steps := getattr(settings, "warmup_steps", None):
        return steps / steps_per_epoch
    return round(exactly(getattr(settings, "warmup_epochs", 0.0)) / tick) * tick


def exactly(number: float) -> Fraction:
    """The decimal number that somebody wrote: 2.4 and not the binary one beside it, so that borders fall where they should."""
    return Fraction(str(number))


def _curve(settings: ScheduleSettings, final: float, tick: Fraction) -> Curve:
    """The schedule without its warm-up."""
    match settings.name:
        case "step":
            return lambda since, length, now: settings.factor ** _passed(settings.milestones, settings.every, now)
        case "exponential":
            whole = floor if settings.staircase else float
            return lambda since, length, now: settings.factor ** whole(since / exactly(settings.every))
        case "cosine":
            cycle = settings.restarts and exactly(settings.restarts)
            return lambda since, length, now: cosine(since % cycle / cycle if cycle else since / length, final)
        case "linear":
            return lambda since, length, now: polynomial(since / length, final, 1.0)
        case "polynomial":
            return lambda since, length, now: polynomial(since / length, final, settings.power)
        case "one_cycle":
            return lambda since, length, now: one_cycle(now, length, tick, settings)
        case "points":
            return lambda since, length, now: between(settings.points, now)
        case _:  # constant; plateau, whose falls come beside
            return lambda since, length, now: 1.0


def _passed(milestones: Sequence[float], every: float | None, now: Fraction) -> int:
    """How many milestones, or spans of `every` epochs, are over."""
    return floor(now / exactly(every)) if every else sum(now >= exactly(epoch) for epoch in milestones)


def cosine(progress: float | Fraction, final: float) -> float:
    """Share from 1 at progress 0 down half a cosine to `final` at 1 (arXiv:1608.03983 equation 5)."""
    return final + (1 - final) * (1 + math.cos(math.pi * min(float(progress), 1.0))) / 2


def polynomial(progress: float | Fraction, final: float, power: float) -> float:
    """Share from 1 at progress 0 down to `final` at 1; a straight line where the power is 1."""
    return final + (1 - final) * (1 - min(float(progress), 1.0)) ** power


def one_cycle(now: Fraction, length: Fraction, tick: Fraction, settings: ScheduleSettings) -> float:
    """Share up from `start_factor` to 1 and down to `final_factor` at the last tick (arXiv:1708.07120, torch's OneCycleLR).

    The peak lies a tick before `peak_at` of the run, as in torch, whose first tick has the number 0.
    """
    summit, end = exactly(settings.peak_at) * length - tick, length - tick
    first = now <= summit
    low = settings.start_factor if first else settings.final_factor
    way = float(1 - now / summit if first else (now - summit) / (end - summit)) if end > summit > 0 else 0.0
    return cosine(way, low) if settings.anneal == "cosine" else polynomial(way, low, 1.0)


def between(points: Sequence[Point], now: Fraction) -> float:
    """The share at a time on straight lines between points; the first's before them, the last's after."""
    if now <= points[0].epoch:
        return points[0].share
    for one, other in pairwise(points):
        if now <= other.epoch:
            progress = (float(now) - one.epoch) / (other.epoch - one.epoch)
            return one.share + (other.share - one.share) * progress
    return points[-1].share


def falls(settings: PlateauSchedule, losses: Sequence[float]) -> int:
    """How often a plateau's rate has fallen after epochs of these losses (torch.optim.lr_scheduler.ReduceLROnPlateau)."""
    best, without_better, resting, count = math.inf, 0, 0, 0
    for loss in losses:
        better = loss < best * (1 - settings.threshold)
        best, without_better = (loss, 0) if better else (best, without_better + 1)
        if resting:
            resting, without_better = resting - 1, 0
        if without_better > settings.patience:
            count, resting, without_better = count + 1, settings.cooldown, 0
    return count
