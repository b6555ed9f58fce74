"""Mixing and erasing of batches: exact over how batches are cut up, shares that belong to the pixels, counts."""

import numpy as np
import pytest
import tensorflow as tf

from keras_imagenet.data.augment.erasing import erase
from keras_imagenet.data.mixing import GROUP, mix, on_device
from keras_imagenet.settings import AugmentSettings

BOTH = {"mixup_alpha": 0.8, "cutmix_alpha": 1.0}


def batch(rows: int, side: int = 12) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Images that are one number each, 1 to rows; one-hot targets; seeds."""
    values = tf.range(1.0, rows + 1)[:, tf.newaxis, tf.newaxis, tf.newaxis]
    seeds = tf.stack((tf.range(rows), tf.fill(rows, 3)), axis=1)
    return tf.tile(values, (1, side, side, 3)), tf.eye(rows), seeds


def act(function, *tensors, **options):
    """As in training: in a graph."""
    return tf.function(lambda *tensors: function(*tensors, **options), autograph=False)(*tensors)


@pytest.mark.parametrize("mode", ["element", "batch"])
def test_batches_cut_up_otherwise_are_mixed_alike(mode):
    images, targets, seeds = batch(32)
    whole = mix(images, targets, seeds, mode=mode, **BOTH)
    for start in range(0, 32, GROUP):
        part = slice(start, start + GROUP)
        ours = mix(images[part], targets[part], seeds[part], mode=mode, **BOTH)
        np.testing.assert_array_equal(whole[0][part], ours[0])
        np.testing.assert_array_equal(whole[1][part], ours[1])


@pytest.mark.parametrize("alphas", [{"mixup_alpha": 0.4}, {"cutmix_alpha": 1.0}, BOTH])
@pytest.mark.parametrize("mode", ["element", "batch"])
def test_targets_are_mixed_by_the_share_of_the_pixels(alphas, mode):
    """A corrected lambda: the clipped rectangle's area counts, not the drawn one's."""
    images, targets, seeds = batch(64)
    mixed, shares = mix(images, targets, seeds, mode=mode, **alphas)
    values = tf.range(1.0, 65.0)
    np.testing.assert_allclose(tf.reduce_mean(mixed, (1, 2, 3)), tf.linalg.matvec(shares, values), rtol=1e-5)
    np.testing.assert_allclose(tf.reduce_sum(shares, 1), np.ones(64), rtol=1e-6)
    partners = np.argmax(np.where(np.eye(64) > 0, -1, shares), axis=1)
    mixed_rows = np.diag(shares) < 1
    expected = np.arange(64).reshape(-1, GROUP)[:, ::-1].ravel()
    np.testing.assert_array_equal(partners[mixed_rows], expected[mixed_rows])


def test_shares_follow_the_beta_distribution():
    images, targets, seeds = batch(4096, side=1)
    mixed = act(mix, images, targets[:, :1], seeds, mixup_alpha=0.5, mode="element")[0][:, 0, 0, 0]
    own = images[:, 0, 0, 0]
    partner = tf.reshape(tf.reverse(tf.reshape(own, (-1, GROUP)), (1,)), (-1,))
    share = ((mixed - partner) / (own - partner)).numpy()
    assert share.mean() == pytest.approx(0.5, abs=0.02)
    assert share.var() == pytest.approx(0.125, abs=0.008)  # Beta(a, a): 1 / (4 (2 a + 1))


def test_unreadable_examples_are_not_mixed_into_others():
    images, targets, seeds = batch(8)
    weights = tf.constant([1.0, 0, 1, 1, 1, 1, 1, 1])
    _, shares = mix(images, targets, seeds, weights, **BOTH)
    assert shares[6, 6] == 1
    assert shares[1, 1] == 1


def test_mixing_ends_after_its_epochs_example_by_example_and_skips_unreadable_ones():
    """A batch that runs over the border is mixed on its near side only, and cut up otherwise gives the same."""
    images, targets, seeds = batch(32)
    rows = {
        "seeds": seeds,
        "weights": tf.tensor_scatter_nd_update(tf.ones(32), [[3]], [0.0]),
        "epochs": tf.cast(tf.range(32) >= 20, tf.int32) + 2,
    }
    act = on_device(AugmentSettings(mixing={"cutmix": 1.0, "mode": "element", "off_after_epoch": 3}))
    mixed, shares = act(images, targets, rows)
    changed = np.diag(shares) < 1
    assert not changed[20:].any()
    assert not changed[[3, 4]].any()  # the unreadable one and its partner
    assert not changed[[16, 17, 18, 19]].any()  # their partners are past the border
    assert changed[:16].sum() > 10
    for start in range(0, 32, GROUP):
        part = slice(start, start + GROUP)
        ours = act(images[part], targets[part], {name: value[part] for name, value in rows.items()})
        np.testing.assert_array_equal(mixed[part], ours[0])


def test_probability_counts():
    images, targets, seeds = batch(1024, side=1)
    _, shares = act(mix, images, targets, seeds, mixup_alpha=1.0, mode="element", probability=0.3)
    assert (np.diag(shares) < 1).mean() == pytest.approx(0.3, abs=0.05)


@pytest.mark.parametrize("mode", ["zero", "const", "rand", "pixel"])
def test_erasing_counts_areas_and_fills(mode):
    images = tf.fill((300, 32, 32, 3), 7.0)
    seeds = tf.stack((tf.range(300), tf.fill(300, 1)), axis=1)
    erased = act(erase, images, seeds, probability=0.5, mode=mode).numpy()
    changed = (erased != 7).all(axis=-1)
    chosen = changed.any(axis=(1, 2))
    assert chosen.mean() == pytest.approx(0.5, abs=0.08)
    shares = changed[chosen].mean(axis=(1, 2))
    assert 0.01 < shares.min() < 0.05
    assert 0.28 < shares.max() < 0.36
    assert shares.mean() == pytest.approx((0.02 + 1 / 3) / 2, abs=0.02)
    content = erased[chosen][changed[chosen]]
    if mode in ("zero", "const"):
        assert not content.any()
    else:
        assert content.std() == pytest.approx(1, abs=0.12)
    colours = [len(np.unique(image[mask], axis=0)) for image, mask in zip(erased[chosen], changed[chosen], strict=True)]
    assert (max(colours) == 1) == (mode != "pixel")


def test_erasing_does_not_depend_on_the_batch():
    images = tf.random.stateless_normal((8, 16, 16, 3), (1, 2))
    seeds = tf.stack((tf.range(8), tf.fill(8, 1)), axis=1)
    whole = act(erase, images, seeds, probability=1.0, count=3)
    halves = [act(erase, images[part], seeds[part], probability=1.0, count=3) for part in (slice(0, 4), slice(4, 8))]
    np.testing.assert_array_equal(whole, tf.concat(halves, axis=0))
