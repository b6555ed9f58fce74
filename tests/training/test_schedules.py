"""Learning rates at their corners."""

import math

import pytest
from pydantic import TypeAdapter

from keras_imagenet.settings.training import ScheduleSettings
from keras_imagenet.training import schedules


def rates(total: int = 100, batch_size: int = 256, **settings) -> schedules.Schedule:
    checked = TypeAdapter(ScheduleSettings).validate_python(settings)
    return schedules.build(checked, 0.1, batch_size=batch_size, steps_per_epoch=10, total_steps=total)


def test_warm_up_rises_step_by_step_to_the_peak() -> None:
    rate = rates(name="cosine", warmup_epochs=2, warmup_from=0.1)
    assert rate(0) == pytest.approx(0.01)
    assert rate(10) == pytest.approx(0.055)
    assert rate(20) == pytest.approx(0.1)


def test_cosine_ends_at_its_floor() -> None:
    rate = rates(name="cosine", final_factor=0.2)
    assert rate(50) == pytest.approx(0.06)
    assert rate(100) == pytest.approx(0.02)
    assert rate(25) == pytest.approx(0.1 * (0.2 + 0.8 * (1 + math.cos(math.pi / 4)) / 2))


def test_linear_halves_in_the_middle() -> None:
    assert rates(name="linear")(50) == pytest.approx(0.05)


def test_linear_ends_at_its_floor_and_stays_there() -> None:
    rate = rates(name="linear", final_factor=0.2)
    assert [rate(step) for step in (25, 50, 100, 150)] == pytest.approx([0.08, 0.06, 0.02, 0.02])


@pytest.mark.parametrize(("name", "half"), [("cosine", 0.05), ("linear", 0.05)])
def test_a_schedule_runs_over_the_steps_after_the_warm_up(name: str, half: float) -> None:
    rate = rates(name=name, warmup_epochs=2)
    assert [rate(step) for step in (20, 60, 100)] == pytest.approx([0.1, half, 0])


def test_steps_fall_at_their_milestones() -> None:
    rate = rates(name="step", milestones=(3, 6))
    assert [rate(step) for step in (29, 30, 59, 60)] == pytest.approx([0.1, 0.01, 0.01, 0.001])


def test_the_rate_is_scaled_from_its_reference_batch() -> None:
    """A rate of 0.1 written for 256 acts as 0.8 at 2,048 (arXiv:1706.02677)."""
    assert rates(name="constant", reference_batch=256, batch_size=2048)(5) == pytest.approx(0.8)
    assert rates(name="constant", batch_size=2048)(5) == pytest.approx(0.1)
