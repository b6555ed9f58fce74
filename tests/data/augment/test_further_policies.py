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
    color_jitter,
    grid_mask,
    operations,
    three_augment,
)

GOLDEN = Path(__file__).resolve().parents[2] / "golden"
# torchvision's strengths are float32, and its shears go through an angle and back: there a few values differ by one.
ROUNDED = {"shear_x", "shear_y", "contrast"}


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    with np.load(GOLDEN / "policies.npz") as policy, np.load(GOLDEN / "augment.npz") as file:
        return {**policy, "image": file["image"]}


@pytest.mark.parametrize("kind", ["auto_augment", "augmix"])
def test_operations_agree_with_torchvision_at_the_policies_strengths(golden, kind):
    image = golden["image"]
    choices = (auto_augment.auto_augment_choices if kind == "auto_augment" else augmix.augmix_choices)(image.shape[:2])
    by_name = {choice.name: choice for choice in choices}
    compared = set()
    for key, expected in golden.items():
        if key.split("/")[0] != kind:
            continue
        _, name, level, sign = key.split("/")
        argument = by_name[name].argument(int(level) / 9, 1.0 if sign == "+" else -1.0)
        difference = np.abs(operated(image, name, argument).astype(int) - expected)
        assert difference.max() <= (name in ROUNDED), key
        assert (difference > 0).mean() < 0.03, key
        compared.add(name)
    assert compared == set(by_name)


def test_auto_augments_table_is_torchvisions(golden):
    np.testing.assert_array_equal(golden["sub_policies"], auto_augment.SUB_POLICIES)


def test_colour_changes_are_pillows_and_the_hue_torchvisions(golden):
    """To the bit, but for the hue: it rounds to the nearest value, where torchvision's cuts."""
    for key, expected in golden.items():
        if key.startswith("color/"):
            _, name, amount = key.split("/")
            ours = operated(golden["image"], name, float(amount)).astype(int)
            assert np.abs(ours - expected).max() <= (name == "hue"), key


def test_blur_is_torchvisions_within_one(golden):
    for sigma in (0.1, 0.5, 1.0, 2.0):
        ours = np.empty_like(golden["image"])
        blur.gaussian_blur(golden["image"], sigma, ours)
        difference = np.abs(ours.astype(int) - golden[f"blur/{sigma}"])
        assert difference.max() <= 1, sigma
        assert (difference > 0).mean() < 0.01, sigma


@pytest.mark.parametrize("size", [(1, 1, 3), (2, 9, 1), (13, 4, 3)])
def test_blur_mirrors_the_border_of_images_smaller_than_its_kernel(size):
    image = np.random.default_rng(2).integers(0, 256, size, np.uint8)
    ours = np.empty_like(image)
    blur.gaussian_blur(image, 1.5, ours)
    expected = image.astype(float)
    for axis in (0, 1):
        radius = min(blur.RADIUS, size[axis] - 1)
        places = np.arange(-radius, radius + 1)
        weights = np.exp(-0.5 * (places / 1.5) ** 2)
        padded = np.pad(expected, [(radius * (place == axis),) * 2 for place in range(3)], "reflect")
        expected = sum(
            weight / weights.sum() * np.take(padded, np.arange(size[axis]) + tap, axis)
            for tap, weight in enumerate(weights)
        )
    assert np.abs(ours - np.floor(expected + 0.5)).max() <= 1
    assert (ours != np.floor(expected + 0.5)).mean() < 0.05


def operated(image: np.ndarray, name: str, argument: float) -> np.ndarray:
    """One image after one operation."""
    numbers, arguments = np.array([[operations.NUMBERS[name]]]), np.array([[argument]])
    return operations.operate(image[np.newaxis], numbers, arguments, (0, 0, 0))[0]


def assert_even(values: np.ndarray, low: float, high: float, bins: int = 10) -> None:
    """Uniform in [low, high]: chi-squared within four standard deviations of its mean."""
    counts, _ = np.histogram(values, bins, (low, high))
    assert counts.sum() == len(values)
    assert_as_often(counts, np.full(bins, len(values) / bins))


def assert_as_often(counts: np.ndarray, expected: np.ndarray) -> None:
    """Counts as expected: chi-squared within four standard deviations of its mean."""
    chi_squared, freedom = ((counts - expected) ** 2 / expected).sum(), len(expected) - 1
    assert chi_squared < freedom + 4 * np.sqrt(2 * freedom), counts


def seeds(count: int) -> tf.Tensor:
    """Seeds int32 [count, 2]."""
    return tf.stack((tf.range(count), tf.fill(count, 5)), axis=1)


def test_auto_augment_draws_pairs_evenly_and_operations_by_their_probabilities():
    choices = auto_augment.auto_augment_choices((24, 24))
    names = [*(choice.name for choice in choices), None]
    index, level, sign = (
        drawn.numpy() for drawn in auto_augment.pair_draws(seeds(5000), choices, auto_augment.SUB_POLICIES, 9)[:3]
    )
    for step in range(2):
        counts = Counter(names[number] for number in index[:, step])
        expected = Counter()
        for pair in auto_augment.SUB_POLICIES:
            name, chance, _ = pair[step].split()
            expected[name] += float(chance) / 25
        for name, share in expected.items():
            assert counts[name] / 5000 == pytest.approx(share, abs=0.025), name
        assert counts[None] / 5000 == pytest.approx(1 - expected.total(), abs=0.025)
        assert (sign[:, step] > 0).mean() == pytest.approx(0.5, abs=0.025)
    rotations = level[index[:, 0] == names.index("rotate"), 0] * 9  # strengths 3, 8 and 9 stand in the table
    assert set(np.round(rotations)) == {3, 8, 9}


def test_augmix_weights_have_their_distributions():
    weights = augmix.augmix_weights(seeds(3000), 3, 1.0).numpy()
    np.testing.assert_allclose(weights.sum(1), 1, rtol=1e-5)
    assert weights[:, 0].mean() == pytest.approx(1 / 2, abs=0.02)
    assert weights[:, 0].var() == pytest.approx(1 / 12, abs=0.006)
    np.testing.assert_allclose(weights[:, 1:].mean(0), 1 / 6, atol=0.015)


def test_augmix_blends_an_image_with_its_chains_by_their_weights(golden):
    images = np.stack([golden["image"], golden["image"][::-1]])
    varied = np.random.default_rng(3).integers(0, 256, (4, *images.shape[1:]), np.uint8)
    weights = np.array([[0.5, 0.3, 0.2], [0.0, 1.0, 0.0]], np.float32)
    ours = augmix.blend(images, varied, weights)
    expected = 0.5 * images[0] + 0.3 * varied[0] + 0.2 * varied[1]
    assert np.abs(ours[0] - expected).max() < 1
    np.testing.assert_array_equal(ours[1], varied[2])


def test_augmix_of_chains_that_change_nothing_is_the_image_itself(golden):
    """Weights of sum 1 in float32 do not darken a pixel."""
    images = np.stack([golden["image"]] * 40)
    weights = augmix.augmix_weights(seeds(40), 3, 1.0).numpy()
    np.testing.assert_array_equal(augmix.blend(images, np.repeat(images, 3, axis=0), weights), images)


def test_three_augment_draws_each_change_evenly(golden):
    images = np.stack([golden["image"][:12, :12]] * 900)
    grey = operated(images[0], "saturation", 0.0)
    solarized = np.where(images[0] >= 128, 255 - images[0], images[0])
    found = three_augment.three_augment(tf.constant(images), seeds(900)).numpy()
    greys = (found == grey).all(axis=(1, 2, 3)).mean()
    solarizations = (found == solarized).all(axis=(1, 2, 3)).mean()
    assert greys == pytest.approx(1 / 3, abs=0.05)
    assert solarizations == pytest.approx(1 / 3, abs=0.05)
    blurred = {image.tobytes() for image in found} - {grey.tobytes(), solarized.tobytes()}
    assert len(blurred) > 100


def squares(size: tuple[int, int], unit: int, ratio: float, start: tuple[int, int], angle: float = 0.0) -> np.ndarray:
    """The pixels that a grid fills: bool [h, w]."""
    image = np.zeros((*size, 1), np.uint8)
    grid_mask.fill_squares(image, unit, ratio, start, angle, (1,))
    return image[..., 0] > 0


@pytest.mark.parametrize(("unit", "ratio", "start"), [(10, 0.6, (0, 0)), (7, 0.5, (3, 6)), (40, 0.3, (11, 2))])
def test_grid_mask_drops_the_papers_squares(unit, ratio, start):
    """Rectangles stamped one by one, as the paper's figure 3 names their sides."""
    expected = np.zeros((33, 37), bool)
    kept = int(ratio * unit + 0.5)
    for top in range(start[0] - unit + kept, 33, unit):
        for left in range(start[1] - unit + kept, 37, unit):
            expected[max(top, 0) : max(top + unit - kept, 0), max(left, 0) : max(left + unit - kept, 0)] = True
    np.testing.assert_array_equal(squares((33, 37), unit, ratio, start), expected)


@pytest.mark.parametrize("degrees", [0.0, 30.0, 90.0, 217.0])
def test_a_turned_grid_mask_is_the_upright_one_turned_by_pillow(degrees):
    """But for single pixels, of which the nearest one is the other."""
    large, size, unit, start = 121, (33, 37), 11, (3, 6)
    before = [(large - side) // 2 for side in size]
    origin = tuple((start[axis] + before[axis]) % unit for axis in (0, 1))
    upright = squares((large, large), unit, 0.6, origin)
    turned = np.asarray(Image.fromarray(upright).rotate(degrees))
    expected = turned[before[0] : before[0] + size[0], before[1] : before[1] + size[1]]
    assert (squares(size, unit, 0.6, start, np.deg2rad(degrees)) != expected).mean() < 0.01
    assert expected.mean() > 0.1


def test_grid_masks_angles_are_spread_evenly(monkeypatch):
    found = []
    monkeypatch.setattr(grid_mask, "fill_squares", lambda *arguments: found.append(arguments[4]))
    images = tf.zeros((2000, 4, 4, 1), tf.uint8)
    grid_mask.grid_mask(images, seeds(2000), (7,), probability=1.0, ratio=0.5, unit=(2, 2), rotation=90)
    assert_even(np.array(found), 0, np.pi / 2)


def test_grid_mask_has_its_frequency_and_loses_its_share():
    images = tf.fill((600, 48, 48, 1), tf.constant(9, tf.uint8))
    found = grid_mask.grid_mask(images, seeds(600), (7,), probability=0.8, ratio=0.6, unit=(8, 12)).numpy()
    dropped = (found == 7).mean(axis=(1, 2, 3))
    assert (dropped > 0).mean() == pytest.approx(0.8, abs=0.06)
    assert dropped[dropped > 0].mean() == pytest.approx(0.4**2, abs=0.015)
    assert (found == 7)[dropped > 0].mean(axis=0).std() < 0.03  # no place is spared


def test_colour_jitter_draws_factors_evenly_and_in_every_order():
    images = tf.fill((1500, 1, 1, 3), tf.constant(100, tf.uint8))
    bright = color_jitter.color_jitter(images, seeds(1500), 0.4, 0, 0, 0)[:, 0, 0, 0].numpy()
    counts, _ = np.histogram(bright, bins=8, range=(60, 140))
    assert counts.sum() == 1500
    assert counts.min() > 140  # 187.5 each: more than three standard deviations below
    assert counts.max() < 240
