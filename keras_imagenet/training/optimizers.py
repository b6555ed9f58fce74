"""Optimizers: for each weight a rule, the coefficient of its decay, and what its rate is multiplied by.

What decay and rate act on is data beside the rules. `training.step` gives an optimizer gradients of the global batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from keras_imagenet.console import columns
from keras_imagenet.settings.optimizer import MuonSettings, OptimizerSettings
from keras_imagenet.training import clipping, kinds, rules
from keras_imagenet.training.rules import Rule, Slots


@dataclass(frozen=True)
class Optimizer:
    """For each weight its rule, the coefficient of its decay, and what its rate is multiplied by.

    clip_norm: LAMB's own bound on the norm of all gradients together. ends: for each weight, the number of updates after which
    it stands still, or None.
    """

    rules: tuple[Rule, ...]
    decays: tuple[float, ...]
    factors: tuple[float, ...]
    clip_norm: float | None = None
    ends: tuple[int | None, ...] = ()

    def update(
        self,
        weights: Sequence[tf.Tensor],
        gradients: Sequence[tf.Tensor],
        slots: Sequence[Slots],
        rate: tf.Tensor,
        count: tf.Tensor,
    ) -> tuple[list[tf.Tensor], list[Slots]]:
        """New weights and slots of all weights; rate and count are scalars of any float type."""
        if self.clip_norm is not None:
            gradients = clipping.by_norm(gradients, self.clip_norm)
        updated = [
            rule.update(
                weight, gradient, own, tf.cast(rate, weight.dtype) * factor, tf.cast(count, weight.dtype), decay
            )
            for rule, weight, gradient, own, decay, factor in zip(
                self.rules, weights, gradients, slots, self.decays, self.factors, strict=True
            )
        ]
        learned = [weight for weight, _ in updated]
        for place, end in enumerate(self.ends):
            if end is not None:
                learned[place] = tf.where(count > end, weights[place], learned[place])
        return learned, [own for _, own in updated]


def build(
    settings: OptimizerSettings,
    variables: Sequence[keras.Variable],
    rate_factors: Mapping[str, float] | None = None,
    peak: float | None = None,
    among: Sequence[keras.Variable] | None = None,
    steps_until: Callable[[float], int] | None = None,
) -> Optimizer:
    """The optimizer of the settings for these weights, in the network's order; among: all of its, where some do not learn.

    rate_factors: by a variable's path, what its learning rate is multiplied by beside the settings' own factors, in
    decay by the rate too; 1 if not given. peak: the schedule's peak rate, the settings' if not given. steps_until: steps of so
    many epochs; nothing is frozen later if not given. Raises SettingsError for a pattern that fits nothing.
    """
    own = kinds.fitting(settings.rate_factors, variables, "optimizer.rate_factors")
    factors = [
        prod(
            (settings.rate_factors[pattern] for pattern in patterns), start=(rate_factors or {}).get(variable.path, 1.0)
        )
        for variable, patterns in zip(variables, own, strict=True)
    ]
    spared = kinds.fitting(settings.spare, variables, "optimizer.spare")
    shares = kinds.fitting(settings.decay_factors, variables, "optimizer.decay_factors")
    decays = [
        0.0 if patterns else settings.weight_decay * prod(settings.decay_factors[pattern] for pattern in share)
        for patterns, share in zip(spared, shares, strict=True)
    ]
    if settings.name == "sgdw" or getattr(settings, "decay", None) == "by_schedule":
        # Decay that goes by the schedule alone: rules multiply by the rate.
        decays = [
            decay / ((peak or settings.learning_rate) * factor) for decay, factor in zip(decays, factors, strict=True)
        ]
    frozen = kinds.fitting(settings.freeze_after, variables, "optimizer.freeze_after")
    ends = tuple(
        steps_until(min(settings.freeze_after[pattern] for pattern in patterns)) if patterns and steps_until else None
        for patterns in frozen
    )
    if settings.name == "muon":
        return replace(_muon(settings, kinds.of_matrices(variables, among or variables), decays, factors), ends=ends)
    rule = (_rule(settings),) * len(variables)
    return Optimizer(rule, tuple(decays), tuple(factors), getattr(settings, "clip_norm", None), ends)


def _rule(settings: OptimizerSettings) -> Rule:
    """The one rule that all weights follow."""
    match settings.name:
        case "sgd":
            rule = rules.sgd if settings.form == "torch" else rules.sgd_tensorflow
            return rule(settings.momentum, settings.nesterov)
        case "sgdw":
            return rules.sgdw(settings.momentum, settings.nesterov)
        case "rmsprop":
            return rules.rmsprop(settings.rho, settings.momentum, settings.epsilon, settings.form)
        case "lamb":
            return rules.lamb(settings.beta_1, settings.beta_2, settings.epsilon)
        case "lars":
            return rules.lars(settings.momentum, settings.nesterov, settings.trust_coefficient, settings.form)
        case "lion":
            return rules.lion(settings.beta_1, settings.beta_2)
        case _:
            return rules.adam(settings.beta_1, settings.beta_2, settings.epsilon, settings.form)


def _muon(
    settings: MuonSettings, matrices: Sequence[bool], decays: Sequence[float], factors: Sequence[float]
) -> Optimizer:
    """Muon for the matrices, SGD for the others, whose rate is the same schedule's with a peak of its own."""
    matrix = rules.muon(settings.momentum, settings.nesterov, settings.newton_schulz_steps, settings.form)
    other = rules.sgd(settings.other_momentum, settings.nesterov)
    share = settings.other_rate / settings.learning_rate
    undecayed = settings.form == "airbench"
    return Optimizer(
        tuple(matrix if is_matrix else other for is_matrix in matrices),
        tuple(0.0 if m and undecayed else decay for m, decay in zip(matrices, decays, strict=True)),
        tuple(factor if m else factor * share for m, factor in zip(matrices, factors, strict=True)),
    )


class Treated(NamedTuple):
    """Weights that are treated alike: their kind, how many tensors and values, the first one's path, and how.

    decay: the coefficient; decoupled, it acts times the rate. factor: what the rate is multiplied by. end: the number of
    updates after which they stand still, or None.
    """

    kind: str
    weights: int
    values: int
    first: str
    rule: str
    decay: float
    factor: float
    end: int | None


def table(optimizer: Optimizer, variables: Sequence[keras.Variable]) -> list[Treated]:
    """What decay and rate factors act on: a row for all weights of a kind that are treated alike, in the network's order."""
    found: dict[tuple[Any, ...], list[keras.Variable]] = {}
    ends = optimizer.ends or (None,) * len(variables)
    for variable, rule, decay, factor, end in zip(
        variables, optimizer.rules, optimizer.decays, optimizer.factors, ends, strict=True
    ):
        found.setdefault((kinds.kind(variable), rule.name, decay, factor, end), []).append(variable)
    return [
        Treated(kind, len(group), sum(prod(v.shape) for v in group), group[0].path, *treated)
        for (kind, *treated), group in found.items()
    ]


def lines(treated: Sequence[Treated]) -> list[str]:
    """A table for people: a line of names, and a line a row."""
    header = ("weights", "of", "values", "rule", "decay", "rate", "the first")
    cells = [
        (
            row.kind,
            f"{row.weights:,}",
            f"{row.values:,}",
            row.rule,
            f"{row.decay:.4g}",
            f"x {row.factor:.4g}" + ("" if row.end is None else f" up to step {row.end:,}"),
            row.first,
        )
        for row in treated
    ]
    return columns(header, cells, right=(1, 2))
