"""Draws that favour rare classes: shares as the paper has them, nobody starved, the same for any slice."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_imagenet.data import order
from keras_imagenet.data.balance import balanced, slots
from keras_imagenet.errors import DataError

counts_of_classes = st.lists(st.integers(1, 60), min_size=1, max_size=12)


def labels_of(counts: list[int], seed: int) -> np.ndarray:
    labels = np.repeat(np.arange(len(counts)), counts)
    return np.random.default_rng(seed).permutation(labels).astype(np.int32)


@settings(max_examples=60, deadline=None)
@given(counts=st.lists(st.integers(1, 10**6), min_size=1, max_size=50), balance=st.floats(0, 1))
def test_shares_are_kangs(counts, balance):
    """Equation 1 with q = 1 - balance, to a whole number of draws."""
    drawn, powers = slots(np.array(counts), balance), np.array(counts) ** (1 - balance)
    assert drawn.sum() == sum(counts)
    assert (drawn >= 1).all()
    assert (np.abs(drawn - sum(counts) * powers / powers.sum()) < 1.00001).all()


def test_all_and_nothing_are_exact():
    counts = np.array([3, 300, 47, 50])
    assert np.array_equal(slots(counts, 0), counts)
    assert slots(counts, 1).tolist() == [100, 100, 100, 100]


@settings(max_examples=40, deadline=None)
@given(counts=counts_of_classes, balance=st.floats(0.01, 1), seed=st.integers(0, 1000))
def test_every_pass_has_the_shares_and_every_example_its_turn(counts, balance, seed):
    labels, n, passes = labels_of(counts, seed), sum(counts), 4
    draw = balanced(labels, [str(label) for label in range(len(counts))], balance)
    repetitions, indices = draw(np.arange(passes * n), n, seed)
    wanted = slots(np.array(counts), balance)
    for drawn in indices.reshape(passes, n):
        assert np.array_equal(np.bincount(labels[drawn], minlength=len(counts)), wanted)
    often = np.bincount(indices, minlength=n)
    for label in range(len(counts)):
        own = often[labels == label]
        assert own.sum() == passes * wanted[label]
        assert own.max() - own.min() <= 1
    assert set(Counter(zip(repetitions.tolist(), indices.tolist(), strict=True)).values()) == {1}


@settings(max_examples=30, deadline=None)
@given(
    counts=counts_of_classes, seed=st.integers(0, 1000), replicas=st.integers(1, 4), repeats=st.integers(1, 3),
    step=st.integers(0, 50),
)  # fmt: skip
def test_slices_of_replicas_are_the_global_batch(counts, seed, replicas, repeats, step):
    labels, size = labels_of(counts, seed), 4 * replicas * repeats
    options = {"repeats": repeats, "draw": balanced(labels, [str(i) for i in range(len(counts))], 0.7)}
    whole = order.training_plan(step, size, len(labels), seed, **options)
    parts = [order.training_plan(step, size, len(labels), seed, part, replicas, **options) for part in range(replicas)]
    for field in ("positions", "epochs", "indices", "seeds"):
        assert np.array_equal(np.concatenate([getattr(part, field) for part in parts]), getattr(whole, field))
    assert len(set(map(tuple, whole.seeds.tolist()))) == size


def test_classes_come_in_no_order():
    """Neighbouring draws are of one class as often as chance has it, and passes are shuffled each its own way."""
    labels = labels_of([40] * 20, 0)
    draw = balanced(labels, [str(label) for label in range(20)], 1.0)
    first, second = (labels[draw(np.arange(e * 800, e * 800 + 800), 800, 1)[1]] for e in range(2))
    assert abs(np.mean(first[1:] == first[:-1]) - 1 / 20) < 5 * np.sqrt(0.05 * 0.95 / 800)
    assert abs(np.mean(first == second) - 1 / 20) < 5 * np.sqrt(0.05 * 0.95 / 800)


def test_a_class_without_an_image_is_named():
    with pytest.raises(DataError, match=r"train.balance: the class cat has no training image to be weighed by"):
        balanced(np.array([0, 0, 2], np.int32), ["ant", "cat", "dog"], 1.0)
