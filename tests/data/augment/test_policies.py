"""The random policies: every operation against timm's and torchvision's, the draws by their counts."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from keras_imagenet.data.augment import policies

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "augment.npz"
FILL = (124, 116, 104)
# Where float32 decides which way a value is cut, a few differ by one; all else is exact.
CUT = {
    "rotate",
    "shear_x",
    "shear_y",
    "translate_x",
    "translate_y",
    "sharpness",
    "contrast",
    "brightness",
    "saturation",
}


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    with np.load(GOLDEN) as file:
        return dict(file)


@pytest.mark.parametrize("kind", ["timm", "timm_increasing", "rand_augment", "trivial_augment"])
def test_operations_agree_with_timm_and_torchvision(golden, kind):
    image = tf.constant(golden["image"])
    if kind.startswith("timm"):
        choices, fill = policies.timm_choices(kind == "timm_increasing"), FILL
    else:
        choices, fill = policies.torchvision_choices(kind == "trivial_augment", image.shape[:2]), (0, 0, 0)
    by_name = {choice.name: choice for choice in choices}
    compared = 0
    for key, expected in golden.items():
        if key.split("/")[0] != kind:
            continue
        _, name, level, sign = key.split("/")
        choice = by_name[name]
        argument = choice.argument(tf.constant(float(level)), tf.constant(1.0 if sign == "+" else -1.0))
        difference = np.abs(choice.apply(image, argument, fill).numpy().astype(int) - expected)
        assert difference.max() <= (name in CUT), key
        assert (difference > 0).mean() < 0.03, key
        compared += 1
    assert compared >= 12


def test_timm_draws_operations_evenly_and_each_with_its_probability(monkeypatch):
    counts = _draws(
        monkeypatch, lambda image, seed: policies.rand_augment_timm(image, seed, FILL, count=2, magnitude=9.0)
    )
    drawn = sum(count for name, count in counts.items() if name is not None)
    assert drawn / 4000 == pytest.approx(0.5, abs=0.03)
    names = [choice.name for choice in policies.timm_choices(True)]
    for name in names:
        assert counts[name] / drawn == pytest.approx(1 / 15, abs=0.025), name


def test_trivial_augment_draws_operations_and_strengths_evenly(monkeypatch):
    levels = []
    counts = _draws(monkeypatch, lambda image, seed: policies.trivial_augment_wide(image, seed, FILL), levels)
    for choice in policies.torchvision_choices(True, (24, 24)):
        assert counts[choice.name] / 2000 == pytest.approx(1 / 14, abs=0.025), choice.name
    bins = Counter(np.round(np.array(levels) * 30).astype(int))
    assert set(bins) == set(range(31))
    assert max(bins.values()) < 2 * min(bins.values()) + 20


def _draws(monkeypatch, policy, levels: list[float] | None = None) -> Counter:
    """How often each operation is drawn over 2,000 seeds; None where none acts."""
    indices, strengths = [], []

    def record(image, choices, index, level, sign, fill):
        indices.append(index)
        strengths.append(level)
        record.names = [*(choice.name for choice in choices), None]
        return image

    monkeypatch.setattr(policies, "apply", record)

    @tf.function
    def draw(seed):
        indices.clear()
        strengths.clear()
        policy(tf.zeros((24, 24, 3), tf.uint8), seed)
        return tf.stack(indices), tf.stack(strengths)

    seeds = tf.stack((tf.range(2000), tf.fill(2000, 5)), axis=1)
    found, level = tf.map_fn(draw, seeds, fn_output_signature=(tf.int32, tf.float32))
    if levels is not None:
        levels.extend(level.numpy().ravel())
    return Counter(record.names[index] for index in found.numpy().ravel())
