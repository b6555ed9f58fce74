"""Which example stands where in a run, and with which seed: pure arithmetic on positions, without state or buffer.

Position p = 0, 1, 2, ... counts examples over the whole run; epoch e of n examples is positions [e n, (e + 1) n).
Global batch b is positions [b B, (b + 1) B): batches run over epoch borders and no example is dropped.
"""

from dataclasses import dataclass
from fractions import Fraction
from math import ceil, isqrt

import numpy as np

from keras_imagenet.errors import SettingsError

ROUNDS = 12
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class Plan:
    """One batch, or one replica's slice of it, of k rows.

    positions: int64 [k]. epochs: int64 [k]. indices: int64 [k] in [0, n), which example stands in each row.
    seeds: int32 [k, 2], each example's own. weights: float32 [k], 1 for a real row and 0 for padding.
    """

    positions: np.ndarray
    epochs: np.ndarray
    indices: np.ndarray
    seeds: np.ndarray
    weights: np.ndarray


def training_plan(step: int, batch_size: int, n: int, run_seed: int, replica: int = 0, replicas: int = 1) -> Plan:
    """What replica `replica` of `replicas` gets of global batch `step`, shuffled anew each epoch.

    The slices of all replicas, in their order, are the global batch, which does not depend on their number.
    Constant time in step and n. Raises SettingsError if batch_size is not divisible by replicas.
    """
    positions = _slice(step, batch_size, replica, replicas)
    epochs, indices = examples(positions, n, run_seed)
    return Plan(
        positions, epochs, indices, example_seeds(run_seed, epochs, indices), np.ones(len(positions), np.float32)
    )


def evaluation_plan(step: int, batch_size: int, n: int, run_seed: int = 0, replica: int = 0, replicas: int = 1) -> Plan:
    """As training_plan, for one pass in the examples' own order; rows past the last example repeat it with weight 0."""
    positions = _slice(step, batch_size, replica, replicas)
    indices = np.minimum(positions, n - 1)
    epochs = np.zeros_like(positions)
    weights = (positions < n).astype(np.float32)
    return Plan(positions, epochs, indices, example_seeds(run_seed, epochs, indices), weights)


def examples(positions: np.ndarray, n: int, run_seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Epochs and example indices, int64 [k] each, of training positions, int64 [k]."""
    epochs, offsets = np.divmod(np.asarray(positions, np.int64), n)
    return epochs, permute(offsets, n, _fold(_fold(_key(run_seed), 1), epochs))


def permute(indices: np.ndarray, n: int, key: int | np.ndarray) -> np.ndarray:
    """A bijection of [0, n) that key selects, applied to indices, int64 [k] in [0, n); uint64 keys, one or k of them.

    A generalised Feistel network on [0, a) x [0, b) with a b just above n, and cycle-walking for the few values
    that leave [0, n) (Black and Rogaway, Ciphers with Arbitrary Finite Domains, CT-RSA 2002, sections 3 and 5).
    """
    a = isqrt(n - 1) + 1
    b = -(-n // a)
    values = np.array(indices, np.int64)
    keys = np.broadcast_to(np.asarray(key, np.uint64), values.shape)
    outside = np.arange(len(values))
    while len(outside):
        values[outside] = _feistel(values[outside], a, b, keys[outside])
        outside = outside[values[outside] >= n]
    return values


def example_seeds(run_seed: int, epochs: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """Each example's seed, int32 [k, 2], from the run's seed, its epoch and its index, int64 [k]; nothing else."""
    hashed = _fold(_fold(_fold(_key(run_seed), 2), epochs), indices)
    return hashed.astype("<u8").view("<i4").reshape(-1, 2).astype(np.int32)


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
    if batch_size % replicas:
        raise SettingsError(
            f"train.batch_size = {batch_size}: must be divisible by the number of replicas ({replicas})"
        )
    rows = batch_size // replicas
    start = step * batch_size + replica * rows
    return np.arange(start, start + rows, dtype=np.int64)


def _feistel(values: np.ndarray, a: int, b: int, keys: np.ndarray) -> np.ndarray:
    left, right = np.divmod(values, b)  # [0, a), [0, b)
    for number in range(0, ROUNDS, 2):
        left = (left + _draw(keys, number, right, a)) % a
        right = (right + _draw(keys, number + 1, left, b)) % b
    return left * b + right


def _draw(keys: np.ndarray, number: int, values: np.ndarray, bound: int) -> np.ndarray:
    """A number in [0, bound) that looks random to whoever does not know the key; int64 [k]."""
    return (_fold(_fold(keys, number), values) % np.uint64(bound)).astype(np.int64)


def _key(run_seed: int) -> np.ndarray:
    return _mix(np.asarray(run_seed, np.int64).astype(np.uint64) + _GOLDEN)


def _fold(key: np.ndarray, value: int | np.ndarray) -> np.ndarray:
    """A key from a key and an integer, uint64; every bit of both counts."""
    return _mix(key ^ _mix(np.asarray(value, np.int64).astype(np.uint64) + _GOLDEN))


def _mix(z: np.ndarray) -> np.ndarray:
    """The finaliser of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014, figure 15), modulo 2**64."""
    z = np.atleast_1d(z)  # arrays wrap round silently where numpy scalars warn
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
