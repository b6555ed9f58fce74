"""How batches are cut and epochs counted: nothing is lost at a cut, no epoch ends without a step."""

from fractions import Fraction
from itertools import islice
from math import ceil

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from keras_imagenet.data.batches import Batches, EpochEnd, padded
from keras_imagenet.errors import SettingsError

COUNT = st.integers(1, 9)


@example(size=64, replicas=1, accumulate=1, repeats=5, mixed=True)  # of 12 and of 8 draws, not all as often
@example(size=80, replicas=1, accumulate=1, repeats=9, mixed=True)
@given(size=st.integers(1, 600), replicas=COUNT, accumulate=COUNT, repeats=COUNT, mixed=st.booleans())
def test_what_is_accepted_can_be_cut_and_what_is_refused_cannot(size, replicas, accumulate, repeats, mixed):
    whole = size % (replicas * accumulate) == 0 and repeats <= size
    different = 8 if size % repeats == 0 else 9
    groups = size % (8 * replicas * accumulate) == 0 and (repeats == 1 or size // repeats >= different)
    options = {"replicas": replicas, "accumulate": accumulate, "repeats": repeats, "mixed": mixed}
    if not whole or (mixed and not groups):
        with pytest.raises(SettingsError, match=r"^train\.(batch_size|accumulate|repeats)\b"):
            Batches(size, **options)
        return
    batches = Batches(size, **options)
    assert batches.micro_rows * accumulate == batches.rows
    assert batches.rows * replicas == size
    assert 0 <= size - batches.different * repeats < repeats


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"size": 10, "replicas": 4}, "train.batch_size = 10: must be divisible by the number of replicas (4)"),
        ({"size": 10, "repeats": 11}, "train.repeats = 11: is more than train.batch_size (10)"),
        ({"size": 32, "replicas": 2, "accumulate": 3}, "train.accumulate = 3: must divide each replica's 16 examples"),
        ({"size": 9, "replicas": 3, "workers": 2}, "runtime.workers: 2 cannot have as many of 3 replicas each"),
        (
            {"size": 24, "replicas": 2, "mixed": True},
            "train.batch_size: each replica's 12 examples must be a multiple of 8 for augment.mixing",
        ),
        (
            {"size": 64, "replicas": 2, "accumulate": 8, "mixed": True},
            "train.accumulate = 8: a micro-batch's 4 examples must be a multiple of 8 for augment.mixing",
        ),
        (
            {"size": 64, "repeats": 16, "mixed": True},
            "train.repeats: leaves a batch 4 different examples; augment.mixing needs 8 or more",
        ),
    ],
)
def test_a_batch_that_cannot_be_cut_names_its_setting(options, wanted):
    with pytest.raises(SettingsError) as caught:
        Batches(**options)
    assert str(caught.value) == wanted


def test_a_batch_fits_into_parts_that_divide_it() -> None:
    assert [parts for parts in range(1, 11) if Batches(20, replicas=2).fits(parts)] == [1, 2, 5, 10]
    assert [parts for parts in range(1, 7) if Batches(48, mixed=True).fits(parts)] == [1, 2, 3, 6]


@settings(max_examples=300)
@given(
    size=st.integers(1, 5000),
    n=st.integers(1, 5000),
    epochs=st.integers(1, 40) | st.integers(1, 400).map(lambda tenths: tenths / 10),
)
def test_every_end_has_a_step_of_its_own_and_the_last_is_the_runs(size, n, epochs):
    batches = Batches(size)
    ends = list(batches.epoch_ends(epochs, n))
    assert ends[-1].step == batches.steps(epochs, n) == ceil(Fraction(str(epochs)) * n / size)
    assert [end.step for end in ends] == sorted({end.step for end in ends})
    assert [end.epoch for end in ends] == sorted({end.epoch for end in ends})
    for epoch, step in ends[:-1]:  # the last epoch of those that are over then, and not before
        assert (step - 1) * size < epoch * n <= step * size < (epoch + 1) * n
    if epochs == int(epochs):
        assert ends[-1].epoch == epochs
        assert size > n or [end.epoch for end in ends] == list(range(1, int(epochs) + 1))


@given(size=st.integers(1, 300), n=st.integers(1, 300), epochs=st.integers(1, 20), step=st.integers(0, 500))
def test_ends_from_a_step_on_are_those_that_are_left(size, n, epochs, step):
    ends = list(Batches(size).epoch_ends(epochs, n))
    assert list(Batches(size).epoch_ends(epochs, n, step)) == [end for end in ends if end.step > step]


@given(size=st.integers(1, 5000), n=st.integers(1, 5000), steps=st.integers(1, 10**6))
def test_a_length_in_steps_is_one_in_epochs(size, n, steps):
    batches = Batches(size)
    assert batches.steps(batches.epochs(steps, n), n) == steps


def test_a_batch_larger_than_the_data_ends_several_epochs_at_once():
    batches = Batches(2048)
    assert list(batches.epoch_ends(4, 1435)) == [(1, 1), (2, 2), (4, 3)]
    assert list(batches.epoch_ends(3, 1435)) == [(1, 1), (2, 2), (3, 3)]
    assert list(batches.epoch_ends(10, 100)) == [(10, 1)]


def test_a_run_may_end_within_an_epoch():
    batches = Batches(10)
    assert list(batches.epoch_ends(2.5, 100)) == [(1, 10), (2, 20), (3, 25)]
    assert list(batches.epoch_ends(batches.epochs(25, 100), 100)) == [(1, 10), (2, 20), (3, 25)]


def test_an_absurd_length_costs_nothing():
    batches = Batches(256)
    assert next(batches.epoch_ends(10**12, 1281167)) == EpochEnd(1, 5005)
    late = batches.steps(10**12, 1281167) - 1
    assert [end.epoch for end in islice(batches.epoch_ends(10**12, 1281167, late), 2)] == [10**12]


@given(size=st.integers(1, 5000), replicas=st.integers(1, 64))
def test_a_padded_batch_is_the_smallest_that_replicas_can_share(size, replicas):
    whole = padded(size, replicas)
    assert whole % replicas == 0
    assert size <= whole < size + replicas
