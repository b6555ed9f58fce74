"""The learning-rate range test (arXiv:1506.01186 section 3.3): a run's own steps, at rates from far too low to far too high."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import tensorflow as tf

from keras_imagenet import recipes
from keras_imagenet.console import Console
from keras_imagenet.data import sources
from keras_imagenet.settings import Settings
from keras_imagenet.training import schedules, workers
from keras_imagenet.training.assembly import assemble, open_data
from keras_imagenet.training.step import within_memory

LOWEST, HIGHEST = 1e-7, 10.0
"""Rates in the recipe's units: wide enough for Lion's 1e-4, Adam's 1e-3 and SGD's 0.1 alike."""
STEPS_A_DECADE = 20
STEPS = round(STEPS_A_DECADE * math.log10(HIGHEST / LOWEST)) + 1
MEMORY = 0.9
"""Share of the smoothed loss that is kept at each step."""
DIVERGED = 4.0
"""The test ends where the smoothed loss is above so many times its least."""
SURE = 3.0
"""Standard errors by which the smoothed loss must fall below that of the first decade, which no rate there moves."""


@dataclass(frozen=True)
class Suggestion:
    """Rates in the recipe's units. lowest: where the smoothed loss is least; steepest: where it falls most steeply over the
    rate's logarithm."""

    lowest: float
    steepest: float

    @property
    def rate(self) -> float:
        """A tenth of `lowest`, to two digits: at `lowest` itself the steps are as large as they can be before they do harm,
        in a network that has seen some hundred batches. `steepest` moves more with the noise of single batches."""
        return float(f"{self.lowest / 10:.2g}")

    def settings(self, settings: Settings) -> dict[str, float]:
        """What takes the suggestion, by dotted names: Muon's other rate was tried in its proportion to the first."""
        found = {"optimizer.learning_rate": self.rate}
        if settings.optimizer.name == "muon":
            share = settings.optimizer.other_rate / settings.optimizer.learning_rate
            found["optimizer.other_rate"] = float(f"{self.rate * share:.2g}")
        return found


def measure(
    settings: Settings, splits: sources.Splits, strategy: tf.distribute.Strategy, console: Console
) -> tuple[list[float], list[float]]:
    """Rates in the recipe's units, and the mean loss of the step made with each, up to the last that is finite.

    The steps are those `fit` would make first, one after the other, of its first phase, but for the rate, which rises
    exponentially from LOWEST to HIGHEST; schedule and warm-up do not act. An absolute decay (sgdw, decay by_schedule) is
    relative to the recipe's own peak. All workers measure the same. Raises what `fit` raises before its first step.
    """
    run = assemble(settings, splits, strategy, begin=console)
    workers.require_alike(strategy, [("settings", recipes.acting(settings)), ("data", run.fingerprint)])
    run = replace(run, stretches=run.stretches[:1], validation=None)
    batches, _ = open_data(run, console)
    scale = schedules.scaled(1.0, run.course.batches.size, settings.schedule.reference_batch)
    rates, losses = [], []
    for step, rate in enumerate(np.geomspace(LOWEST, HIGHEST, STEPS).tolist()):
        console.doing(f"trying rates: step {step + 1} of at most {STEPS}, rate {rate:.2g}")
        with within_memory(run.course.batches):
            acting = tf.constant(rate * scale, tf.float64), tf.constant(step, tf.int64)
            loss, _, _, examples = run.step(next(batches), *acting).numpy()[:4].tolist()
        if not math.isfinite(loss):
            break
        rates.append(rate)
        losses.append(loss / max(examples, 1))
        curve = smoothed(losses)
        if curve[-1] > DIVERGED * curve.min():
            break
    return rates, losses


def smoothed(losses: Sequence[float]) -> np.ndarray:
    """The exponential moving average up to each step, without its bias towards zero (arXiv:1412.6980 section 3)."""
    kept, found = 0.0, []
    for step, loss in enumerate(losses, 1):
        kept = MEMORY * kept + (1 - MEMORY) * loss
        found.append(kept / (1 - MEMORY**step))
    return np.array(found)


def suggestion(rates: Sequence[float], losses: Sequence[float]) -> Suggestion | None:
    """What the losses say of the rate; None where they fall at no rate by more than the noise of single batches."""
    first = np.array(losses[:STEPS_A_DECADE])
    if len(losses) <= STEPS_A_DECADE:
        return None
    curve = smoothed(losses)
    lowest = int(curve.argmin())
    # A moving average of independent values has (1 - m) / (1 + m) of their variance.
    error = first.std(ddof=1) * math.sqrt((1 - MEMORY) / (1 + MEMORY))
    if lowest < STEPS_A_DECADE or curve[lowest] > first.mean() - SURE * error:
        return None
    slope = np.gradient(curve, np.log(rates))
    steepest = STEPS_A_DECADE + int(slope[STEPS_A_DECADE : lowest + 1].argmin())
    return Suggestion(rates[lowest], rates[steepest])


def lines(settings: Settings, found: Suggestion | None, rates: Sequence[float]) -> list[str]:
    """What was tried and what came of it, for people."""
    reference = settings.schedule.reference_batch
    units = f", written for a batch of {reference} as in the recipe" if reference else ""
    last = f"{rates[-1]:.2g}" if rates else "none"
    if found is None:
        said = "no rate is suggested: at none did the loss fall by more than single batches differ"
    else:
        said = (
            f"suggested: optimizer.learning_rate {found.rate:g}, a tenth of {found.lowest:.2g}, where the smoothed loss was least "
            f"(it fell most steeply at {found.steepest:.2g})"
        )
    return [
        f"tried: {len(rates)} steps, at learning rates from {LOWEST:g} to {last}{units}; schedule and warm-up did not act",
        said,
    ]
