"""Noise that is drawn for a whole batch at once: normal, and each example's own."""

import numpy as np
import pytest
import tensorflow as tf
from scipy.stats import kstest

from keras_imagenet.data.augment.noise import normal

SEEDS = np.random.default_rng(0).integers(-(2**31), 2**31, (200, 2)).astype(np.int32)


@pytest.mark.parametrize("seeds", [SEEDS, np.stack((np.arange(200), np.full(200, 11)), 1).astype(np.int32)])
def test_numbers_are_normal_over_a_row_and_over_a_column(seeds):
    noise = normal(tf.constant(seeds), 5000).numpy()
    assert noise.mean() == pytest.approx(0, abs=5e-3)
    assert noise.std() == pytest.approx(1, abs=5e-3)
    assert kstest(noise.ravel(), "norm").pvalue > 0.001
    rows, columns = ([kstest(values, "norm").pvalue for values in side] for side in (noise[:50], noise.T[:50]))
    for values in (rows, columns):
        assert min(values) > 1e-4
        assert kstest(values, "uniform").pvalue > 0.001


def test_neighbours_and_rows_know_nothing_of_each_other():
    noise = normal(tf.constant(SEEDS), 4096).numpy()
    for apart in (1, 2, 3, 64):
        assert abs((noise[:, apart:] * noise[:, :-apart]).mean()) < 5 / np.sqrt(noise.size)
    between = noise @ noise.T / noise.shape[1]
    assert np.abs(between[np.triu_indices(200, 1)]).max() < 6 / np.sqrt(4096)


def test_a_row_is_its_seeds_alone():
    whole = normal(tf.constant(SEEDS), 301).numpy()
    assert len(np.unique(whole, axis=0)) == 200
    np.testing.assert_array_equal(normal(tf.constant(SEEDS[[7, 3, 7]]), 301), whole[[7, 3, 7]])
    for changed in ((1, 0), (0, 1)):  # either half of a seed counts
        assert (normal(tf.constant(SEEDS ^ np.int32(np.array(changed) << 5)), 301).numpy() != whole).mean() > 0.99


def test_a_compiled_step_draws_the_same():
    ours = tf.function(normal, jit_compile=True)(tf.constant(SEEDS), 301)
    np.testing.assert_array_equal(ours, normal(tf.constant(SEEDS), 301))
