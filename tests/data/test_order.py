"""Order is arithmetic: a bijection for every n and key, spread evenly, the same whoever asks and wherever one starts."""

import time
from collections import Counter
from math import ceil, factorial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_imagenet.data import order


@settings(max_examples=60, deadline=None)
@given(n=st.integers(1, 5000), key=st.integers(0, 2**64 - 1))
def test_permute_is_a_bijection(n, key):
    assert np.array_equal(np.sort(order.permute(np.arange(n), n, key)), np.arange(n))


@settings(max_examples=30, deadline=None)
@given(n=st.integers(1, 2**40), seed=st.integers(0, 2**31 - 1), step=st.integers(0, 2**40))
def test_a_plan_of_any_size_stays_in_range(n, seed, step):
    plan = order.training_plan(step, 8, n, seed)
    assert ((plan.indices >= 0) & (plan.indices < n)).all()
    assert np.array_equal(plan.epochs * n + plan.positions % n, plan.positions)


def test_permutations_of_five_are_drawn_evenly():
    """Chi-squared over the 120 permutations, within five standard deviations of its mean."""
    keys = np.random.default_rng(0).integers(0, 2**63, 12000)
    permutations = order.permute(np.tile(np.arange(5), len(keys)), 5, keys.repeat(5)).reshape(-1, 5)
    counts = Counter(map(tuple, permutations.tolist()))
    expected = len(keys) / factorial(5)
    chi_squared = sum((count - expected) ** 2 / expected for count in counts.values())
    assert len(counts) == factorial(5)
    assert abs(chi_squared - 119) < 5 * np.sqrt(2 * 119)


def test_neighbours_are_parted_and_epochs_differ():
    """Consecutive positions hold examples as far apart as in a random permutation; two epochs agree by chance only."""
    n = 20000
    epochs = [order.examples(np.arange(e * n, (e + 1) * n), n, run_seed=1)[1] for e in range(3)]
    for indices in epochs:
        assert np.mean(np.abs(np.diff(indices))) == pytest.approx(n / 3, rel=0.03)
        assert abs(np.corrcoef(indices[:-1], indices[1:])[0, 1]) < 5 / np.sqrt(n)
    for first, second in [(0, 1), (1, 2), (0, 2)]:
        assert np.sum(epochs[first] == epochs[second]) < 10
        assert abs(np.corrcoef(epochs[first], epochs[second])[0, 1]) < 5 / np.sqrt(n)


def test_order_stays_as_it_is():
    """Runs can be resumed with later versions: golden values of this very arithmetic."""
    plan = order.training_plan(step=3, batch_size=4, n=7, run_seed=42)
    assert plan.epochs.tolist() == [1, 1, 2, 2]
    assert plan.indices.tolist() == [2, 5, 5, 0]
    assert plan.seeds.tolist() == [
        [-1977107444, -856803452],
        [1437517694, -271582400],
        [2061071858, 1398995426],
        [866287724, 1964560827],
    ]
    repeated = order.training_plan(step=3, batch_size=4, n=9, run_seed=42, repeats=3)
    assert repeated.indices.tolist() == [7, 6, 7, 7]
    assert repeated.seeds[:, 0].tolist() == [-398964268, -1104265832, -1563706367, -797555542]
    assert order.permute(np.arange(9), 9, 1).tolist() == [8, 3, 2, 5, 7, 0, 4, 6, 1]  # a square, too
    drawn = [[0.5713974507831684, 0.3518711966610826, 0.1993098229038046]]
    assert order.uniform(order.key_of(5), "mixing", 3).tolist() == drawn


@pytest.mark.parametrize("batch_size", [1, 3, 8, 64, 250])
def test_batches_cross_epochs_and_every_epoch_is_whole(batch_size):
    n, epochs = 100, 5
    steps = order.steps_until(epochs, n, batch_size)
    plans = [order.training_plan(step, batch_size, n, run_seed=7) for step in range(steps)]
    indices = np.concatenate([plan.indices for plan in plans])[: n * epochs].reshape(epochs, n)
    assert all(np.array_equal(np.sort(epoch), np.arange(n)) for epoch in indices)
    assert all(plan.weights.all() for plan in plans)


@settings(max_examples=40, deadline=None)
@given(step=st.integers(0, 10**12), rows=st.integers(1, 20), replicas=st.integers(1, 8), n=st.integers(1, 10**7))
def test_slices_of_replicas_are_the_global_batch(step, rows, replicas, n):
    for plan in (order.training_plan, order.evaluation_plan):
        whole = plan(step, rows * replicas, n, 5)
        slices = [plan(step, rows * replicas, n, 5, replica, replicas) for replica in range(replicas)]
        for field in ("positions", "epochs", "indices", "seeds", "weights"):
            assert np.array_equal(np.concatenate([getattr(part, field) for part in slices]), getattr(whole, field))


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    repeats=st.integers(1, 6),
    different=st.integers(1, 40),
    replicas=st.integers(1, 4),
    n=st.integers(1, 3000),
    step=st.integers(0, 1000),
)
def test_a_batch_holds_each_draw_so_many_times_with_seeds_of_their_own(seed, repeats, different, replicas, n, step):
    size = repeats * different * replicas
    plan = order.training_plan(step, size, n, seed, repeats=repeats)
    parts = [order.training_plan(step, size, n, seed, part, replicas, repeats=repeats) for part in range(replicas)]
    once = order.training_plan(step, different * replicas, n, seed)
    for field in ("positions", "epochs", "indices", "seeds"):
        assert np.array_equal(np.concatenate([getattr(part, field) for part in parts]), getattr(plan, field))
    assert Counter(plan.indices.tolist()) == {i: repeats * c for i, c in Counter(once.indices.tolist()).items()}
    assert set(map(tuple, once.seeds.tolist())) <= set(map(tuple, plan.seeds.tolist()))
    assert len(set(map(tuple, plan.seeds.tolist()))) == size
    assert np.array_equal(plan.epochs, plan.positions // n)


@settings(max_examples=60, deadline=None)
@given(repeats=st.integers(2, 9), different=st.integers(8, 80), step=st.integers(0, 10))
def test_no_repetition_is_mixed_with_itself(repeats, different, step):
    """Partners are first and last, second and last but one, ... of 8 consecutive positions of a batch."""
    size = repeats * different // 8 * 8
    draws, _ = order.repeated(step * repeats * different + np.arange(size), repeats * different, repeats)
    groups = draws.reshape(-1, 8)
    assert (groups != groups[:, ::-1]).all()


@settings(max_examples=100, deadline=None)
@given(repeats=st.integers(2, 9), size=st.integers(90, 500), step=st.integers(0, 10))
def test_repeats_need_not_divide_the_batch(repeats, size, step):
    """DeiT's 3 of 1,024: over batches every draw comes three times, each with its own number, and never twice among 8."""
    positions = step * size * repeats + np.arange(size * repeats)
    draws, repetitions = order.repeated(positions, size, repeats)
    pairs = set(zip(draws.tolist(), repetitions.tolist(), strict=True))
    assert pairs == {(draw, time) for draw in range(step * size, (step + 1) * size) for time in range(repeats)}
    for batch in draws.reshape(repeats, size):
        groups = batch[: size // 8 * 8].reshape(-1, 8)
        assert all(len(set(group.tolist())) == 8 for group in groups)
        assert np.ptp(batch) <= size // repeats + 1
    half = order.repeated(positions[size // 2 : size + 7], size, repeats)
    np.testing.assert_array_equal(half, (draws[size // 2 : size + 7], repetitions[size // 2 : size + 7]))


def test_repetitions_are_mixed_with_other_partners():
    draws, _ = order.repeated(np.arange(3 * 64), 3 * 64, 3)
    groups = draws.reshape(-1, 8)
    pairs = Counter(
        frozenset(pair) for pair in zip(groups.ravel().tolist(), groups[:, ::-1].ravel().tolist(), strict=True)
    )
    assert set(pairs.values()) == {2}  # each pair is counted from both its sides


def test_as_many_epochs_as_repeats_show_every_example_so_often():
    plans = [order.training_plan(step, 30, 100, run_seed=3, repeats=3) for step in range(10)]
    assert np.array_equal(np.bincount(np.concatenate([plan.indices for plan in plans])), np.full(100, 3))
    first_epoch = np.concatenate([plan.indices for plan in plans])[:100]
    assert 33 <= len(set(first_epoch.tolist())) <= 40


def test_seeking_takes_constant_time():
    started = time.perf_counter()
    order.training_plan(10**15 // 256, 256, 1281167, 0)
    assert time.perf_counter() - started < 0.1


def test_seeds_depend_on_run_epoch_and_example_alone():
    indices = np.arange(1000)
    base = order.example_seeds(3, np.full(1000, 2), indices)
    assert base.dtype == np.int32
    assert base.shape == (1000, 2)
    others = [order.example_seeds(4, np.full(1000, 2), indices), order.example_seeds(3, np.full(1000, 3), indices)]
    assert len({tuple(row) for seeds in [base, *others] for row in seeds}) == 3000
    assert np.array_equal(order.example_seeds(3, np.array([2]), np.array([17]))[0], base[17])
    bits = np.unpackbits(base.view(np.uint8))
    assert bits.mean() == pytest.approx(0.5, abs=5 * 0.5 / np.sqrt(bits.size))


@pytest.mark.parametrize("batch_size", [1, 7, 50, 64, 1000])
def test_evaluation_weighs_each_example_once(batch_size):
    n = 150
    plans = [order.evaluation_plan(step, batch_size, n) for step in range(order.evaluation_steps(n, batch_size))]
    counts = np.bincount(np.concatenate([p.indices for p in plans]), np.concatenate([p.weights for p in plans]), n)
    assert np.array_equal(counts, np.ones(n))
    assert all(len(plan.indices) == batch_size for plan in plans)
    assert all(plan.weights.any() for plan in plans)


@settings(max_examples=60, deadline=None)
@given(n=st.integers(1, 10**6), batch_size=st.integers(1, 5000), epochs=st.integers(1, 20))
def test_steps_of_epochs_join(n, batch_size, epochs):
    steps = [step for epoch in range(epochs) for step in (order.epoch_steps(epoch, n, batch_size) or ())][:1000]
    assert steps == list(range(len(steps)))
    assert order.epoch_steps(epochs - 1, n, batch_size).stop == order.steps_until(epochs, n, batch_size)
    assert order.steps_until(epochs, n, batch_size) == ceil(epochs * n / batch_size)


def test_a_tenth_of_an_epoch_is_exact():
    """In floating point 0.1 * 3 * 10 is a little more than 3."""
    assert order.steps_until(0.1 * 3, 10, 1) == 4
    assert order.steps_until(0.3, 10, 1) == 3
    assert order.steps_until(0.7, 1000, 100) == 7


@pytest.mark.parametrize("repeats", [1, 3])
def test_times_count_how_often_an_example_came(repeats):
    plans = [order.training_plan(step, 6, 10, run_seed=3, repeats=repeats) for step in range(20)]
    indices, times = (np.concatenate([getattr(plan, name) for plan in plans]) for name in ("indices", "times"))
    for index in range(10):
        found = sorted(times[indices == index])
        # Of the last draw the batch that brings the rest may be the next.
        assert found[:-repeats] == [*range(len(found) - repeats)]
