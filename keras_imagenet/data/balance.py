"""Draws that favour rare classes: arithmetic on positions, after one pass over the labels."""

from collections.abc import Sequence

import numpy as np

from keras_imagenet.data.order import Draw, fold, key_of, permute
from keras_imagenet.errors import DataError


def balanced(labels: np.ndarray, classes: Sequence[str], balance: float) -> Draw:
    """Draws of which each class has a share in proportion to its number of examples to the power of 1 - balance.

    That is equation 1 of Kang et al. (arXiv:1910.09217) with q = 1 - balance: 1 draws every class equally often, 1/2 by
    the square root (arXiv:1805.00932). Each n draws hold a class exactly as often as `slots` says. Within a class, examples
    come in permutations of all of them, one after the other: none is drawn a second time before every other was.
    labels: int [n]. Constant time for each draw. Raises DataError for a class without an example.
    """
    counts = counts_of(labels, classes, "train.balance")
    shares = slots(counts, balance)
    members = np.argsort(labels, kind="stable")  # the examples of class 0, then those of class 1, ...
    first_member, first_slot = np.cumsum(counts) - counts, np.cumsum(shares) - shares

    def draw(draws: np.ndarray, n: int, run_seed: int) -> tuple[np.ndarray, np.ndarray]:
        rounds, offsets = np.divmod(np.asarray(draws, np.int64), n)
        key = fold(key_of(run_seed), 3)
        places = permute(offsets, n, fold(key, rounds))
        label = np.searchsorted(first_slot, places, side="right") - 1
        passes, turns = np.divmod(rounds * shares[label] + places - first_slot[label], counts[label])
        keys = fold(fold(fold(key, -1), label), passes)
        return passes, members[first_member[label] + permute(turns, counts[label], keys)]

    return draw


def slots(counts: np.ndarray, balance: float) -> np.ndarray:
    """How many of each sum(counts) draws each class has, int64 [classes]: 1 at least, by largest remainders."""
    n = int(counts.sum())
    powers = counts.astype(np.float64) ** (1 - balance)
    exact = np.round(n * powers / powers.sum(), 6)  # the same on machines whose powers differ in the last bit
    whole = np.floor(exact).astype(np.int64)
    largest = np.argsort(whole - exact, kind="stable")[: n - int(whole.sum())]
    whole[largest] += 1
    return whole


def counts_of(labels: np.ndarray, classes: Sequence[str], setting: str) -> np.ndarray:
    """Examples of each class, int64 [classes]. Raises DataError, naming the setting, for a class without one."""
    counts = np.bincount(labels, minlength=len(classes)).astype(np.int64)
    if len(empty := np.flatnonzero(counts == 0)):
        more = f" and {len(empty) - 1:,} more have" if len(empty) > 1 else " has"
        raise DataError(f"{setting}: the class {classes[empty[0]]}{more} no training image to be weighed by")
    return counts
