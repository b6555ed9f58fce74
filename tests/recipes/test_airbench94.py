"""cifar10/airbench94-legacy against the lines of legacy/airbench94.py, worked out as they are there."""

import pytest

from keras_imagenet import recipes
from keras_imagenet.training.course import course_of

EXAMPLES = 50_000
MOMENTUM, RATE, DECAY = 0.85, 11.5, 0.0153


def test_rates_and_decay_are_the_source_s() -> None:
    """There they are for the sum over 1,024 examples, and the decay is divided by its group's rate."""
    settings = recipes.load("cifar10/airbench94-legacy")
    optimizer, course = settings.optimizer, course_of(settings, EXAMPLES)
    kilostep = 1024 * (1 + 1 / (1 - MOMENTUM))
    rate, decay = RATE / kilostep, DECAY * 1024 / kilostep
    assert optimizer.learning_rate == pytest.approx(1024 * rate)
    assert optimizer.weight_decay == pytest.approx(decay / rate / 1024, rel=1e-5)
    ((norms, factor),), ((same, share),) = optimizer.rate_factors.items(), optimizer.decay_factors.items()
    assert (norms, factor) == (same, 64)
    assert optimizer.weight_decay * share == pytest.approx(decay / (64 * rate) / 1024, rel=1e-5)
    warmup = int(0.23 * course.steps)
    for step in range(0, course.steps, 20):
        wanted = 0.2 + 0.8 * step / warmup if step < warmup else 1 - 0.93 * (step - warmup) / (course.steps - warmup)
        # The peak lies at a fraction of a step here, and there at a whole one.
        assert course.schedule(step) == pytest.approx(1024 * rate * wanted, abs=1024 * rate * 0.8 / warmup)
