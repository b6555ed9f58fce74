"""What is drawn, counted: chi-squared tests over fixed seeds, each within four standard deviations of its mean."""

import math
from collections import Counter
from itertools import combinations, permutations
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from scipy.stats import kstest

from keras_imagenet.data.augment import augmix, color_jitter, erasing, operations, policies
from keras_imagenet.data.images.boxes import random_boxes
from keras_imagenet.data.seeds import fold_in, uniform
from keras_imagenet.settings.augment import RandomErasing

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "crop_draws.npz"
RATIO = (3 / 4, 4 / 3)


def over_seeds(function, count: int, kind: tf.DType) -> np.ndarray:
    """What a function of a seed gives over `count` seeds."""
    seeds = tf.stack((tf.range(count), tf.fill(count, 11)), axis=1)
    return tf.function(lambda: tf.map_fn(function, seeds, fn_output_signature=kind), autograph=False)().numpy()


def assert_even(values: np.ndarray, low: float, high: float, bins: int = 10) -> None:
    """Uniform in [low, high]; whole pixels may carry a value a hundredth of the range across its ends."""
    slack = (high - low) / 100
    assert values.min() >= low - slack
    assert values.max() <= high + slack
    counts, _ = np.histogram(np.clip(values, low, high), bins, (low, high))
    assert_as_often(counts, np.full(bins, len(values) / bins))


def assert_as_often(counts: np.ndarray, expected: np.ndarray) -> None:
    """Counts as expected."""
    counts, expected = np.asarray(counts, float), np.asarray(expected, float)
    chi_squared, freedom = ((counts - expected) ** 2 / expected).sum(), len(expected) - 1
    assert chi_squared < freedom + 4 * np.sqrt(2 * freedom), counts


def assert_even_together(quantities: list[tuple[np.ndarray, float, float]], bins: int = 10) -> None:
    """Each uniform in its range, and any two of them independent."""
    for values, low, high in quantities:
        assert_even(values, low, high, bins)
    for (ours, *one), (theirs, *other) in combinations(quantities, 2):
        clipped = np.clip(ours, *one), np.clip(theirs, *other)
        counts = np.histogram2d(*clipped, (4, 4), (one, other))[0]
        assert_as_often(counts.ravel(), np.full(16, len(ours) / 16))


def assert_alike(counts: np.ndarray, others: np.ndarray) -> None:
    """Two samples of one distribution, of any sizes (Press et al., Numerical Recipes, section 14.3)."""
    counts, others = (np.asarray(values, float) for values in (counts, others))
    seen = counts + others > 0
    counts, others = counts[seen], others[seen]
    ours, theirs = np.sqrt(others.sum() / counts.sum()), np.sqrt(counts.sum() / others.sum())
    chi_squared = ((ours * counts - theirs * others) ** 2 / (counts + others)).sum()
    freedom = len(counts) - 1
    assert chi_squared <= freedom + 4 * np.sqrt(2 * freedom) + 1e-9, (counts, others)


def seeds(count: int) -> tf.Tensor:
    """Seeds int32 [count, 2]."""
    return tf.stack((tf.range(count), tf.fill(count, 11)), axis=1)


def test_colour_jitter_draws_every_order_as_often():
    strengths = {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1}
    numbers, _ = color_jitter.steps(uniform(seeds(2400), 8).numpy(), strengths)
    counts = Counter(tuple(operations.NAMES[number] for number in row) for row in numbers)
    wanted = list(permutations(strengths))
    assert set(counts) == set(wanted)
    assert_as_often([counts[order] for order in wanted], np.full(24, 100))


@pytest.mark.parametrize("name", ["contrast", "saturation"])
def test_colour_jitter_draws_factors_evenly(name):
    """Pixels that are 100 from the grey they are blended with, which is 100: their value is 100 (1 + factor)."""
    pixels = [[[0, 0, 0], [200, 200, 200]]] if name == "contrast" else [[[200, 60, 44]] * 2]
    strengths = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0, name: 0.4}
    images = tf.constant([pixels] * 3000, tf.uint8)
    found = color_jitter.color_jitter(images, seeds(3000), **strengths)[:, 0, 1, 0].numpy()
    assert_even(found + 0.5, 160, 240)


def test_colour_jitter_draws_the_hues_shift_evenly():
    """Red turned by h has 6 |h| 255 of green or of blue."""
    red = tf.constant([[[[255, 0, 0]]]] * 3000, tf.uint8)
    found = color_jitter.color_jitter(red, seeds(3000), 0, 0, 0, 0.1)[:, 0, 0].numpy()
    assert_even(found[:, 1].astype(float) - found[:, 2], -153.5, 153.5)


def test_augmix_draws_operations_strengths_and_signs_evenly():
    """Each of 13 x 3 x 2 combinations."""
    draws = augmix.augmix_draws(seeds(3900), 13, 3, width=1, depth=1)
    index, level, sign = (drawn.numpy().ravel() for drawn in (draws.index, draws.level, draws.sign))
    counts = Counter(zip(index.tolist(), np.round(level * 9).tolist(), sign.tolist(), strict=True))
    wanted = [(number, strength, way) for number in range(13) for strength in range(3) for way in (-1, 1)]
    assert set(counts) == set(wanted)
    assert_as_often([counts[drawn] for drawn in wanted], np.full(78, 50))


def test_augmix_draws_one_to_three_operations_evenly():
    index = augmix.augmix_draws(seeds(500), 13, 3, width=3, depth=None).index.numpy()
    assert index.shape == (1500, 3)
    acting = index < 13
    assert (np.sort(acting)[:, ::-1] == acting).all()
    assert_as_often(np.bincount(acting.sum(axis=1), minlength=4)[1:], np.full(3, 500))


def test_rand_augment_in_torchvisions_form_draws_pairs_evenly():
    """Each of 14 x 14 pairs, each sign as often, the strength always the one asked for."""
    draws = policies.torchvision_draws(seeds(5880), 14, count=2, magnitude=9)
    first, second = draws.index.numpy().T
    one, other = draws.sign.numpy().T
    assert_as_often(np.bincount(14 * first + second, minlength=196), np.full(196, 30))
    assert_as_often(np.bincount((2 * (one > 0) + (other > 0)).astype(int)), np.full(4, 1470))
    np.testing.assert_allclose(draws.level, 9 / 30, rtol=1e-6)


def test_draws_are_tensorflows_own():
    """What tf.random makes of the same seeds, one by one."""
    rows = seeds(5)
    np.testing.assert_array_equal(uniform(rows, 3), [tf.random.stateless_uniform((3,), seed) for seed in rows])
    expected = [tf.random.fold_in(seed, number) for seed in rows for number in (1, 4)]
    np.testing.assert_array_equal(fold_in(rows, (1, 4)), expected)


def boxes(size: tuple[int, int], scale: tuple[float, float], count: int) -> np.ndarray:
    """Tops, lefts, heights and widths, [4, count]."""
    return over_seeds(
        lambda seed: random_boxes(tf.constant([size]), seed[tf.newaxis], scale, RATIO)[0], count, tf.int32
    ).T


def test_crops_that_always_fit_have_the_distributions_asked_for():
    """Of up to half a square every draw lies within it."""
    top, left, height, width = boxes((10_000, 10_000), (0.08, 0.5), 4000)
    places = [((corner + 0.5) / (10_001 - extent), 0, 1) for corner, extent in ((top, height), (left, width))]
    assert_even_together([(height * width / 1e8, 0.08, 0.5), (np.log(width / height), *np.log(RATIO)), *places])


@pytest.mark.parametrize("size", [(375, 500), (90, 400)])
def test_crops_are_drawn_as_torchvision_draws_them(size):
    """Against 100,000 of its own: shares, aspects, places, and how often ten draws miss and the centre is taken."""
    height, width = size
    with np.load(GOLDEN) as file:
        golden = {name: file[f"{height}x{width}/{name}"] for name in ("area", "ratio", "top", "left", "centre")}
    top, left, rows, columns = found = boxes(size, (0.08, 1.0), 6000)
    quantities = {
        "area": (rows * columns / (height * width), 0.08, 1),
        "ratio": (np.log(columns / rows), *np.log(RATIO)),
        "top": ((top + 0.5) / (height - rows + 1), 0, 1),
        "left": ((left + 0.5) / (width - columns + 1), 0, 1),
    }
    for name, (values, low, high) in quantities.items():
        counts, _ = np.histogram(np.clip(values, low + 1e-9, high - 1e-9), 10, (low, high))
        assert_alike(counts, golden[name])
    whole = (height, min(width, round(height * 4 / 3)))
    centre = np.array([(height - whole[0]) // 2, (width - whole[1]) // 2, *whole])
    taken = (found == centre[:, None]).all(axis=0).sum()
    assert_alike([taken, 6000 - taken], [golden["centre"], 100_000 - golden["centre"]])


def test_rectangles_to_erase_have_the_distributions_asked_for():
    """Of up to a tenth of a square every draw fits: shares, aspects and places are even."""
    side, aspect = 512, (0.3, 1 / 0.3)
    settings = RandomErasing(probability=1.0, area=(0.02, 0.1), aspect=aspect)
    top, left, bottom, right = erasing.draw(settings, seeds(4000).numpy(), (side, side))[:, 0].T
    height, width = bottom - top, right - left
    places = [((corner + 0.5) / (side + 1 - extent), 0, 1) for corner, extent in ((top, height), (left, width))]
    assert_even_together(
        [(height * width / side**2, 0.02, 0.1), (np.log(height / width), *np.log(aspect)), *places], bins=8
    )


def test_what_is_erased_are_the_rectangles():
    rectangles = erasing.draw(RandomErasing(probability=0.7, count=3), seeds(100).numpy(), (40, 30))
    expected = np.ones((100, 40, 30, 2), np.float32)
    for image, of_image in zip(expected, rectangles, strict=True):
        for top, left, bottom, right in of_image:
            image[top:bottom, left:right] = 0
    found = erasing.erase(tf.ones(expected.shape), tf.constant(rectangles), seeds(100), "const")
    np.testing.assert_array_equal(found, expected)


def test_as_many_rectangles_are_erased_as_are_drawn_evenly():
    """Squares of 2 % of 200 x 200 pixels: one of 28 x 28, or two of 20 x 20, which may overlap."""
    settings = RandomErasing(probability=1.0, area=(0.02, 0.02), aspect=(1.0, 1.0), count=2)
    rectangles = erasing.draw(settings, seeds(800).numpy(), (200, 200))
    found = erasing.erase(tf.ones((800, 200, 200, 1)), tf.constant(rectangles), seeds(800), "const").numpy()
    pixels = (found == 0).sum(axis=(1, 2, 3))
    assert set(pixels[pixels != 784]) <= set(range(400, 801))
    assert_as_often([(pixels == 784).sum(), (pixels != 784).sum()], [400, 400])


@pytest.mark.parametrize(("size", "scale", "covered"), [((375, 500), (0.08, 1.0), 0.1), ((90, 400), (0.05, 1.0), 0.0)])
def test_crops_in_tensorflows_form_are_tensorflows(size, scale, covered):
    """Against as many of tf.image.stateless_sample_distorted_bounding_box; what it gives up on is the centre crop here."""
    count, box = 6000, tf.constant([[[0.0, 0.0, 1.0, 1.0]]])

    def theirs(seed: tf.Tensor) -> tf.Tensor:
        begin, extent, _ = tf.image.stateless_sample_distorted_bounding_box(
            (*size, 3), box, seed, covered, RATIO, scale, max_attempts=10
        )
        return tf.concat((begin[:2], extent[:2]), axis=0)

    def ours(seed: tf.Tensor) -> tf.Tensor:
        how = {"form": "tensorflow", "min_object_covered": covered}
        return random_boxes(tf.constant([size]), seed[tf.newaxis], scale, RATIO, **how)[0]

    wanted, found = (over_seeds(draw, count, tf.int32).astype(float) for draw in (theirs, ours))
    whole, centre = (wanted[:, 2:] == size).all(axis=1), int(0.875 * min(size))
    given_up = (found[:, 2:] == centre).all(axis=1)
    assert given_up.mean() == pytest.approx(whole.mean(), abs=0.01)
    for of in (
        lambda box: box[:, 2] * box[:, 3] / math.prod(size),
        lambda box: box[:, 3] / box[:, 2] / 2,
        lambda box: (box[:, 0] + 0.5) / (size[0] - box[:, 2] + 1),
        lambda box: (box[:, 1] + 0.5) / (size[1] - box[:, 3] + 1),
    ):
        assert_alike(*(np.histogram(of(rows), 10, (0, 1))[0] for rows in (wanted[~whole], found[~given_up])))
    assert (found[:, :2] + found[:, 2:] <= size).all()


def test_crops_in_pycls_form_have_uniform_aspects_half_of_them_upside_down():
    """Of up to half a square every draw lies within it; where none can, a square of the short side is in the middle."""
    found = over_seeds(
        lambda seed: random_boxes(tf.constant([(9999, 9999)]), seed[tf.newaxis], (0.08, 0.5), RATIO, "pycls")[0],
        4000,
        tf.int32,
    )
    height, width = found[:, 2:].T.astype(float)
    # Uniform in 3/4..4/3, or one over that: the density above 1 is that of half of each.
    drawn = np.random.default_rng(0).uniform(*RATIO, 400_000)
    wanted = np.concatenate((drawn, 1 / drawn))
    edges = np.quantile(wanted, np.linspace(0, 1, 11))
    assert_as_often(np.histogram(width / height, edges)[0], np.full(10, 400))
    assert kstest(height * width / 9999**2, "uniform", (0.08, 0.42)).pvalue > 0.001
    boxes = random_boxes(tf.constant([(40, 1000)]), tf.constant([(1, 2)]), (0.9, 1.0), RATIO, "pycls")
    np.testing.assert_array_equal(boxes, [(0, 480, 40, 40)])
