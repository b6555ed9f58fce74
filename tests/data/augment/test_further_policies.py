"""AutoAugment, AugMix, 3-Augment, GridMask, colour changes and blur: against torchvision, and the draws by their counts."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_imagenet.data.augment import (
    augmix,
    auto_augment,
    blur,
    color,
    color_jitter,
    grid_mask,
    policies,
    three_augment,
)

GOLDEN = Path(__file__).resolve().parents[2] / "golden"
# Where float32 decides which way a value is cut, a few differ by one; all else is exact.
CUT = {"rotate", "shear_x", "shear_y", "sharpness", "contrast", "brightness", "saturation"}


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    with np.load(GOLDEN / "policies.npz") as policy, np.load(GOLDEN / "augment.npz") as file:
        return {**policy, "image": file["image"]}


@pytest.mark.parametrize("kind", ["auto_augment", "augmix"])
def test_operations_agree_with_torchvision_at_the_policies_strengths(golden, kind):
    image = tf.constant(golden["image"])
    choices = (
        auto_augment.auto_augment_choices(image) if kind == "auto_augment" else augmix.augmix_choices(image.shape[:2])
    )
    by_name = {choice.name: choice for choice in choices}
    compared = set()
    for key, expected in golden.items():
        if key.split("/")[0] != kind:
            continue
        _, name, level, sign = key.split("/")
        argument = by_name[name].argument(tf.constant(int(level) / 9), tf.constant(1.0 if sign == "+" else -1.0))
        difference = np.abs(by_name[name].apply(image, argument, (0, 0, 0)).numpy().astype(int) - expected)
        assert difference.max() <= (name in CUT), key
        assert (difference > 0).mean() < 0.03, key
        compared.add(name)
    assert compared == set(by_name)


def test_auto_augments_table_is_torchvisions(golden):
    np.testing.assert_array_equal(golden["sub_policies"], auto_augment.SUB_POLICIES)


def test_colour_changes_are_pillows_and_the_hue_torchvisions(golden):
    """Within 1: contrast, saturation and brightness cut where Pillow cuts, the hue rounds to the nearest value."""
    image = tf.constant(golden["image"])
    for key, expected in golden.items():
        if key.startswith("color/"):
            _, name, amount = key.split("/")
            ours = getattr(color, name)(image, tf.constant(float(amount))).numpy().astype(int)
            assert np.abs(ours - expected).max() <= 1, key


def test_blur_is_torchvisions_within_one(golden):
    for sigma in (0.1, 0.5, 1.0, 2.0):
        ours = blur.gaussian_blur(tf.constant(golden["image"]), tf.constant(sigma)).numpy().astype(int)
        difference = np.abs(ours - golden[f"blur/{sigma}"])
        assert difference.max() <= 1, sigma
        assert (difference > 0).mean() < 0.01, sigma


def assert_even(values: np.ndarray, low: float, high: float, bins: int = 10) -> None:
    """Uniform in [low, high]: chi-squared within four standard deviations of its mean."""
    counts, _ = np.histogram(values, bins, (low, high))
    assert counts.sum() == len(values)
    assert_as_often(counts, np.full(bins, len(values) / bins))


def assert_as_often(counts: np.ndarray, expected: np.ndarray) -> None:
    """Counts as expected: chi-squared within four standard deviations of its mean."""
    chi_squared, freedom = ((counts - expected) ** 2 / expected).sum(), len(expected) - 1
    assert chi_squared < freedom + 4 * np.sqrt(2 * freedom), counts


def over_seeds(function, count: int, *kinds: tf.DType) -> list[np.ndarray]:
    """What a function of a seed gives over `count` seeds."""
    seeds = tf.stack((tf.range(count), tf.fill(count, 5)), axis=1)
    signature = kinds if len(kinds) > 1 else kinds[0]
    found = tf.function(lambda: tf.map_fn(function, seeds, fn_output_signature=signature), autograph=False)()
    return [value.numpy() for value in (found if len(kinds) > 1 else [found])]


def test_auto_augment_draws_pairs_evenly_and_operations_by_their_probabilities(monkeypatch):
    drawn = []

    def record(image, choices, index, level, sign, fill):
        drawn.extend((index, level, sign))
        record.names = [*(choice.name for choice in choices), None]
        return image

    monkeypatch.setattr(policies, "apply", record)

    def draw(seed):
        drawn.clear()
        auto_augment.auto_augment(tf.zeros((24, 24, 3), tf.uint8), seed, (0, 0, 0))
        return tf.cast(drawn[0], tf.float32), drawn[1], drawn[2], tf.cast(drawn[3], tf.float32), drawn[4], drawn[5]

    found = over_seeds(draw, 5000, *[tf.float32] * 6)
    for first in (0, 3):
        step = int(first > 0)
        counts = Counter(record.names[int(index)] for index in found[first])
        expected = Counter()
        for pair in auto_augment.SUB_POLICIES:
            name, chance, _ = pair[step].split()
            expected[name] += float(chance) / 25
        for name, share in expected.items():
            assert counts[name] / 5000 == pytest.approx(share, abs=0.025), name
        assert counts[None] / 5000 == pytest.approx(1 - expected.total(), abs=0.025)
        assert (found[first + 2] > 0).mean() == pytest.approx(0.5, abs=0.025)
    rotations = found[1][(found[0] == record.names.index("rotate"))] * 9  # strengths 3, 8 and 9 stand in the table
    assert set(np.round(rotations)) == {3, 8, 9}


def test_augmix_weights_and_chains_have_their_distributions(monkeypatch):
    (weights,) = over_seeds(lambda seed: augmix.augmix_weights(seed, 3, 1.0), 3000, tf.float32)
    np.testing.assert_allclose(weights.sum(1), 1, rtol=1e-5)
    assert weights[:, 0].mean() == pytest.approx(1 / 2, abs=0.02)
    assert weights[:, 0].var() == pytest.approx(1 / 12, abs=0.006)
    np.testing.assert_allclose(weights[:, 1:].mean(0), 1 / 6, atol=0.015)

    def count(image, choices, index, level, sign, fill):
        return image + 1 if len(choices) == 13 else image

    monkeypatch.setattr(policies, "apply", count)
    black = tf.zeros((1, 1, 3), tf.uint8)
    (steps,) = over_seeds(lambda seed: augmix.augmix(black, seed, (0, 0, 0), width=1, alpha=1e3)[0, 0, 0], 50, tf.uint8)
    assert set(steps) <= {0, 1}  # half a chain of 1 to 3 steps, cut off
    assert 8 < (steps == 0).sum() < 40  # 1 of 3 chains, and half of those of 2 steps


def test_augmix_of_chains_that_change_nothing_is_the_image_itself(golden, monkeypatch):
    """Weights of sum 1 in float32 do not darken a pixel."""
    monkeypatch.setattr(policies, "apply", lambda image, *_: image)
    image = tf.constant(golden["image"])
    (same,) = over_seeds(lambda seed: augmix.augmix(image, seed, (0, 0, 0)), 40, tf.uint8)
    np.testing.assert_array_equal(same, np.broadcast_to(image, same.shape))


def test_three_augment_draws_each_change_evenly(golden):
    image = tf.constant(golden["image"][:12, :12])
    grey = color.grey(image).numpy()
    solarized = np.where(image.numpy() >= 128, 255 - image.numpy(), image.numpy())
    (found,) = over_seeds(lambda seed: three_augment.three_augment(image, seed), 900, tf.uint8)
    greys = (found == grey).all(axis=(1, 2, 3)).mean()
    solarizations = (found == solarized).all(axis=(1, 2, 3)).mean()
    assert greys == pytest.approx(1 / 3, abs=0.05)
    assert solarizations == pytest.approx(1 / 3, abs=0.05)
    blurred = {image.tobytes() for image in found} - {grey.tobytes(), solarized.tobytes()}
    assert len(blurred) > 100


@pytest.mark.parametrize(("unit", "ratio", "start"), [(10, 0.6, (0, 0)), (7, 0.5, (3, 6)), (40, 0.3, (11, 2))])
def test_grid_mask_drops_the_papers_squares(unit, ratio, start):
    """Rectangles stamped one by one, as the paper's figure 3 names their sides."""
    expected = np.zeros((33, 37), bool)
    kept = int(ratio * unit + 0.5)
    for top in range(start[0] - unit + kept, 33, unit):
        for left in range(start[1] - unit + kept, 37, unit):
            expected[max(top, 0) : max(top + unit - kept, 0), max(left, 0) : max(left + unit - kept, 0)] = True
    ours = grid_mask.dropped_squares(tf.constant([33, 37]), tf.constant(unit), ratio, tf.constant(start))
    np.testing.assert_array_equal(ours, expected)


@pytest.mark.parametrize("degrees", [0.0, 30.0, 90.0, 217.0])
def test_a_turned_grid_mask_is_the_upright_one_turned_by_pillow(degrees):
    """But for single pixels, of which the nearest one is the other."""
    large, size, unit, start = 121, (33, 37), 11, (3, 6)
    before = [(large - side) // 2 for side in size]
    origin = tf.constant([(start[axis] + before[axis]) % unit for axis in (0, 1)])
    upright = grid_mask.dropped_squares(tf.constant([large, large]), tf.constant(unit), 0.6, origin)
    turned = np.asarray(Image.fromarray(upright.numpy()).rotate(degrees))
    expected = turned[before[0] : before[0] + size[0], before[1] : before[1] + size[1]]
    angle = tf.constant(np.deg2rad(degrees), tf.float32)
    ours = grid_mask.dropped_squares(tf.constant(size), tf.constant(unit), 0.6, tf.constant(start), angle)
    assert (ours.numpy() != expected).mean() < 0.01
    assert expected.mean() > 0.1


def test_grid_masks_angles_are_spread_evenly(monkeypatch):
    drawn = []
    monkeypatch.setattr(grid_mask, "dropped_squares", lambda *a: drawn.append(a[4]) or tf.zeros((4, 4), tf.bool))

    def angle(seed):
        drawn.clear()
        grid_mask.grid_mask(
            tf.zeros((4, 4, 1), tf.uint8), seed, (7,), probability=1.0, ratio=0.5, unit=(2, 2), rotation=90
        )
        return drawn[0]

    monkeypatch.setattr(tf, "cond", lambda chosen, then, otherwise: then())
    (found,) = over_seeds(angle, 2000, tf.float32)
    assert_even(found, 0, np.pi / 2)


def test_grid_mask_has_its_frequency_and_loses_its_share():
    image = tf.fill((48, 48, 1), tf.constant(9, tf.uint8))
    (found,) = over_seeds(
        lambda seed: grid_mask.grid_mask(image, seed, (7,), probability=0.8, ratio=0.6, unit=(8, 12)), 600, tf.uint8
    )
    dropped = (found == 7).mean(axis=(1, 2, 3))
    assert (dropped > 0).mean() == pytest.approx(0.8, abs=0.06)
    assert dropped[dropped > 0].mean() == pytest.approx(0.4**2, abs=0.015)
    assert (found == 7)[dropped > 0].mean(axis=0).std() < 0.03  # no place is spared


def test_colour_jitter_draws_factors_evenly_and_in_every_order():
    image = tf.constant([[[100, 100, 100]]], tf.uint8)
    (bright,) = over_seeds(lambda seed: color_jitter.color_jitter(image, seed, 0.4, 0, 0, 0)[0, 0, 0], 1500, tf.uint8)
    counts, _ = np.histogram(bright, bins=8, range=(60, 140))
    assert counts.sum() == 1500
    assert counts.min() > 140  # 187.5 each: more than three standard deviations below
    assert counts.max() < 240
