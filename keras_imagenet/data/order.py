"""Which example stands where in a run, and with which seed: pure arithmetic on positions, without state or buffer.

Position p = 0, 1, 2, ... counts examples over the whole run; epoch e of n examples is positions [e n, (e + 1) n).
Global batch b is positions [b B, (b + 1) B): batches run over epoch borders and no example is dropped.
What stands at a position is a draw; with repeats, each draw stands at so many positions, of one batch or of two.
"""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from zlib import crc32

import numpy as np

Draw = Callable[[np.ndarray, int, int], tuple[np.ndarray, np.ndarray]]
"""(draws int64 [k], n, run seed) -> passes and example indices, int64 [k]; no pass meets an example twice."""

ROUNDS = 12
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class Plan:
    """One batch, or one replica's slice of it, of k rows.

    positions: int64 [k]. epochs: int64 [k]. indices: int64 [k] in [0, n), which example stands in each row.
    seeds: int32 [k, 2], each example's own. weights: float32 [k], 1 for a real row and 0 for padding. times: int64 [k], how
    often the example stood in the run before.
    """

    positions: np.ndarray
    epochs: np.ndarray
    indices: np.ndarray
    seeds: np.ndarray
    weights: np.ndarray
    times: np.ndarray


def training_plan(
    step: int,
    batch_size: int,
    n: int,
    run_seed: int,
    replica: int = 0,
    replicas: int = 1,
    *,
    repeats: int = 1,
    draw: Draw | None = None,
) -> Plan:
    """What replica `replica` of `replicas` gets of global batch `step`; shuffled anew each pass, where no draw is given.

    The slices of all replicas, in their order, are the global batch, which does not depend on their number.
    batch_size is divisible by replicas, which data/batches.py checks. Constant time in step and n.
    """
    positions = _slice(step, batch_size, replica, replicas)
    draws, repetitions = repeated(positions, batch_size, repeats)
    passes, indices = (draw or examples)(draws, n, run_seed)
    seeds = example_seeds(run_seed, passes, indices, repetitions)
    weights = np.ones(len(positions), np.float32)
    return Plan(positions, positions // n, indices, seeds, weights, passes * repeats + repetitions)


def evaluation_plan(step: int, batch_size: int, n: int, run_seed: int = 0, replica: int = 0, replicas: int = 1) -> Plan:
    """As training_plan, for one pass in the examples' own order; rows past the last example repeat it with weight 0."""
    positions = _slice(step, batch_size, replica, replicas)
    indices = np.minimum(positions, n - 1)
    epochs = np.zeros_like(positions)
    weights = (positions < n).astype(np.float32)
    return Plan(positions, epochs, indices, example_seeds(run_seed, epochs, indices), weights, epochs)


def repeated(positions: np.ndarray, batch_size: int, repeats: int) -> tuple[np.ndarray, np.ndarray]:
    """Which draw stands at each position, and for which time from 0, int64 [k] each: repeated augmentation.

    As Hoffer et al. (arXiv:1901.09335) and MultiGrain (arXiv:1902.05509) have it, every draw comes `repeats` times; an epoch is n
    positions still. Draw d has the places [repeats d, repeats (d + 1)) of a row of all draws; batch b holds the places [b B,
    (b + 1) B), so where repeats do not divide B, a draw's last times come in the next batch, as in DeiT's sampler. Within a
    batch first times stand first, then second ones, moved on by one place, and so on: replicas see few repetitions of their
    own, and where a batch has 9 draws or more, or 8 that come as often each, no 8 consecutive positions hold one draw twice.
    """
    steps, rows = np.divmod(np.asarray(positions, np.int64), batch_size)
    times = np.arange(repeats)
    # Of the places of each batch, [k, repeats]: the draws that come there for the first time, for the second, ...
    first = -((times - (steps * batch_size)[:, None]) // repeats)
    counts = -((times - ((steps + 1) * batch_size)[:, None]) // repeats) - first
    ends = np.cumsum(counts, axis=1)
    repetitions = (rows[:, None] >= ends).sum(axis=1)
    own = np.arange(len(rows)), repetitions
    places = rows - (ends - counts)[own]
    return first[own] + (places + repetitions) % counts[own], repetitions


def examples(draws: np.ndarray, n: int, run_seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Passes and example indices, int64 [k] each, of draws, int64 [k]: each pass of n draws is a permutation of its own."""
    passes, offsets = np.divmod(np.asarray(draws, np.int64), n)
    return passes, permute(offsets, n, fold(fold(key_of(run_seed), 1), passes))


def permute(indices: np.ndarray, n: int | np.ndarray, key: int | np.ndarray) -> np.ndarray:
    """A bijection of [0, n) that key selects, applied to indices, int64 [k] in [0, n); one n, uint64 key, or k of them.

    A generalised Feistel network on [0, a) x [0, b) with a b just above n, and cycle-walking for the few values
    that leave [0, n) (Black and Rogaway, Ciphers with Arbitrary Finite Domains, CT-RSA 2002, sections 3 and 5).
    """
    values = np.array(indices, np.int64)
    sizes = np.broadcast_to(np.asarray(n, np.int64), values.shape)
    a = np.sqrt(sizes - 1).astype(np.int64) + 1  # float64 roots of what is below 2**50 round down to the exact ones
    b = -(-sizes // a)
    keys = np.broadcast_to(np.asarray(key, np.uint64), values.shape)
    outside = np.arange(len(values))
    while len(outside):
        values[outside] = _feistel(values[outside], a[outside], b[outside], keys[outside])
        outside = outside[values[outside] >= sizes[outside]]
    return values


def example_seeds(
    run_seed: int, passes: np.ndarray, indices: np.ndarray, repetitions: np.ndarray | int = 0
) -> np.ndarray:
    """Each example's seed, int32 [k, 2], from the run's seed, its pass, index and repetition, int64 [k]; nothing else."""
    hashed = fold(fold(fold(key_of(run_seed), 2), passes), indices)
    hashed = np.where(np.asarray(repetitions) > 0, fold(hashed, repetitions), hashed)
    return hashed.astype("<u8").view("<i4").reshape(-1, 2).astype(np.int32)


def key_of(run_seed: int) -> np.ndarray:
    """The key, uint64 [1], from which a run's other keys are folded."""
    return _mix(np.asarray(run_seed, np.int64).astype(np.uint64) + _GOLDEN)


def fold(key: np.ndarray, value: int | np.ndarray) -> np.ndarray:
    """A key from a key and an integer, uint64; every bit of both counts."""
    return _mix(key ^ _mix(np.asarray(value, np.int64).astype(np.uint64) + _GOLDEN))


def keys_of(seeds: np.ndarray) -> np.ndarray:
    """Keys, uint64 [k], from which draws of examples are folded, out of their seeds, int32 [k, 2]."""
    return np.ascontiguousarray(seeds, "<i4").view("<u8").ravel().astype(np.uint64)


def uniform(keys: np.ndarray, name: str, count: int) -> np.ndarray:
    """What the operation `name` draws evenly from [0, 1): float64 [k, count], a row from each of keys, uint64 [k]."""
    own = fold(keys, crc32(name.encode()))
    return (fold(own[:, np.newaxis], np.arange(count)) >> np.uint64(11)) * 2.0**-53


def steps_until(epochs: float, n: int, batch_size: int) -> int:
    """Steps after which `epochs` passes over n examples are complete: ceil(epochs n / batch_size), in exact arithmetic."""
    return ceil(Fraction(str(epochs)) * n / batch_size)


def epoch_steps(epoch: int, n: int, batch_size: int) -> range:
    """The steps of an epoch, from 0: those whose last example is not before the epoch, up to the one that completes it."""
    return range(steps_until(epoch, n, batch_size), steps_until(epoch + 1, n, batch_size))


def evaluation_steps(n: int, batch_size: int) -> int:
    """Steps of one pass, the padded last batch included."""
    return -(-n // batch_size)


def _slice(step: int, batch_size: int, replica: int, replicas: int) -> np.ndarray:
    rows = batch_size // replicas
    start = step * batch_size + replica * rows
    return np.arange(start, start + rows, dtype=np.int64)


def _feistel(values: np.ndarray, a: np.ndarray, b: np.ndarray, keys: np.ndarray) -> np.ndarray:
    left, right = np.divmod(values, b)  # [0, a), [0, b)
    for number in range(0, ROUNDS, 2):
        left = (left + _draw(keys, number, right, a)) % a
        right = (right + _draw(keys, number + 1, left, b)) % b
    return left * b + right


def _draw(keys: np.ndarray, number: int, values: np.ndarray, bound: np.ndarray) -> np.ndarray:
    """A number in [0, bound) that looks random to whoever does not know the key; int64 [k]."""
    return (fold(fold(keys, number), values) % bound.astype(np.uint64)).astype(np.int64)


def _mix(z: np.ndarray) -> np.ndarray:
    """The finaliser of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014, figure 15), modulo 2**64."""
    z = np.atleast_1d(z)  # arrays wrap round silently where numpy scalars warn
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
