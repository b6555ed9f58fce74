"""The random policies: every operation against timm's and torchvision's, the draws by their counts."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from keras_imagenet.data.augment import operations, policies

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "augment.npz"
FILL = (124, 116, 104)
# torchvision's strengths are float32, and its shears go through an angle and back: there a few values differ by one.
ROUNDED = {"shear_x", "shear_y", "brightness", "contrast"}
SEEDS = tf.stack((tf.range(2000), tf.fill(2000, 5)), axis=1)


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    with np.load(GOLDEN) as file:
        return dict(file)


@pytest.mark.parametrize("kind", ["timm", "timm_increasing", "rand_augment", "trivial_augment"])
def test_operations_agree_with_timm_and_torchvision(golden, kind):
    image = golden["image"]
    if kind.startswith("timm"):
        choices, fill = policies.timm_choices(kind == "timm_increasing", image.shape[:2]), FILL
    else:
        choices, fill = policies.torchvision_choices(kind == "trivial_augment", image.shape[:2]), (0, 0, 0)
    by_name = {choice.name: choice for choice in choices}
    compared = 0
    for key, expected in golden.items():
        if key.split("/")[0] != kind:
            continue
        _, name, level, sign = key.split("/")
        argument = by_name[name].argument(float(level), 1.0 if sign == "+" else -1.0)
        difference = np.abs(operated(image, name, argument, fill).astype(int) - expected)
        assert difference.max() <= (name in ROUNDED and not kind.startswith("timm")), key
        assert (difference > 0).mean() < 0.03, key
        compared += 1
    assert compared >= 12


def test_timm_draws_operations_evenly_and_each_with_its_probability():
    index = policies.timm_draws(SEEDS, 15, count=2, magnitude=9.0).index.numpy()
    counts = np.bincount(index.ravel(), minlength=16)
    assert index.shape == (2000, 2)
    assert counts[:15].sum() / 4000 == pytest.approx(0.5, abs=0.03)
    np.testing.assert_allclose(counts[:15] / counts[:15].sum(), 1 / 15, atol=0.025)


def test_timms_strengths_are_normal_around_the_magnitude():
    level = policies.timm_draws(SEEDS, 15, magnitude=9.0, deviation=0.5).level.numpy()
    assert level.max() == 1.0
    assert np.median(level) == pytest.approx(0.9, abs=0.005)
    assert (level < 0.85).mean() == pytest.approx(0.1587, abs=0.02)
    uniform = policies.timm_draws(SEEDS, 15, magnitude=8.0, deviation=100.0).level.numpy()
    assert uniform.mean() == pytest.approx(0.4, abs=0.015)
    assert uniform.max() < 0.8


def test_trivial_augment_draws_operations_and_strengths_evenly():
    draws = policies.trivial_draws(SEEDS, 14)
    np.testing.assert_allclose(np.bincount(draws.index.numpy().ravel(), minlength=14) / 2000, 1 / 14, atol=0.025)
    bins = Counter(np.round(draws.level.numpy().ravel() * 30).astype(int))
    assert set(bins) == set(range(31))
    assert max(bins.values()) < 2 * min(bins.values()) + 20


def test_draws_choose_operations_and_their_arguments():
    choices = policies.torchvision_choices(wide=False, size=(331, 662))
    names = [choice.name for choice in choices]
    index = np.array([[names.index("translate_x"), names.index("solarize"), len(choices)]])
    level = np.full((1, 3), 9 / 30, np.float32)
    numbers, arguments = policies.chosen(choices, policies.Draws(index, level, np.array([[-1.0, 1.0, 1.0]])))
    assert [operations.NAMES[number] for number in numbers[0]] == ["translate_x", "solarize", "identity"]
    np.testing.assert_array_equal(arguments, [[90.0, 178.5, 0.0]])


@pytest.mark.parametrize("channels", [1, 3])
def test_operations_follow_each_other_and_images_have_theirs(golden, channels):
    images = np.stack([golden["image"][..., :channels], 255 - golden["image"][..., :channels]])
    names = [["invert", "identity", "rotate"], ["equalize", "sharpness", "posterize"], ["identity"] * 3, ["hue"] * 3]
    numbers = np.array([[operations.NUMBERS[name] for name in row] for row in names])
    arguments = np.array([[0.0, 0.0, 20.0], [0.0, 1.5, 3.0], [0.0] * 3, [0.1] * 3])
    fill = FILL[:channels]
    together = operations.operate(images, numbers, arguments, fill)
    for row, result in enumerate(together):
        image = images[row // 2]
        for name, argument in zip(names[row], arguments[row], strict=True):
            image = operated(image, name, argument, fill)
        np.testing.assert_array_equal(result, image)
    np.testing.assert_array_equal(together[2], images[1])


def operated(image: np.ndarray, name: str, argument: float, fill: tuple[int, ...]) -> np.ndarray:
    """One image after one operation."""
    return operations.operate(image[np.newaxis], np.array([[operations.NUMBERS[name]]]), np.array([[argument]]), fill)[
        0
    ]
