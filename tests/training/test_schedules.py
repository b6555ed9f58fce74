"""Learning rates of published recipes, by their sources' own schedulers and lines (`tools/make_schedule_golden.py`), and at corners."""

import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from keras_imagenet.settings.schedule import ScheduleSettings
from keras_imagenet.training import schedules

GOLDEN = np.load(Path(__file__).parent.parent / "golden/schedules.npz")


def rates(
    total: int = 100, batch_size: int = 256, peak: float = 0.1, steps_per_epoch: float = 10, **settings
) -> schedules.Schedule:
    checked = TypeAdapter(ScheduleSettings).validate_python(settings)
    return schedules.build(checked, peak, batch_size=batch_size, steps_per_epoch=steps_per_epoch, total_steps=total)


@pytest.mark.parametrize(
    "settings",
    [
        {"name": "constant"},
        {"name": "step", "every": 3},
        {"name": "exponential"},
        {"name": "cosine"},
        {"name": "cosine", "restarts": 3},
        {"name": "linear"},
        {"name": "polynomial"},
        {"name": "one_cycle"},
        {"name": "points", "points": [(0, 1), (4, 0.5), (30, 0)]},
        {"name": "plateau"},
    ],
)
def test_a_schedule_that_ends_with_the_run_is_known(settings: dict) -> None:
    """A longer run makes the same steps first, or it is another run, and is said to be."""
    short, long = (rates(total, **settings) for total in (100, 200))
    differs = any(short(step) != long(step) for step in range(100))
    assert schedules.ends_with_the_run(TypeAdapter(ScheduleSettings).validate_python(settings)) == differs


EPOCHS = {"by": "epoch", "warmup_by": "epoch"}
CURVES = {
    "torchvision v1": {"name": "step", "every": 3},
    "torchvision v2": {"name": "cosine", "warmup_epochs": 5, "warmup_from": 0.01, **EPOCHS},
    "torchvision swin": {"name": "cosine", "warmup_epochs": 5, "warmup_from": 0.01, "final_rate": 0.01, **EPOCHS},
    "deit": {"name": "cosine", "warmup_epochs": 5, "warmup_from_rate": 1e-4, "final_rate": 1e-3, "warmup": "over", **EPOCHS},
    "restarts": {"name": "cosine", "restarts": 4, "final_factor": 0.1, "by": "epoch"},
    "nvidia": {"name": "cosine", "warmup_epochs": 8, "warmup_from": 0.125, "warmup_inclusive": True, **EPOCHS},
    "pycls": {"name": "cosine", "warmup_epochs": 5, "warmup_from": 0.1, "warmup": "multiplies", **EPOCHS},
    "convnext": {"name": "cosine", "warmup_epochs": 3, "warmup_inclusive": True, "final_rate": 0.01},
    "swin": {"name": "cosine", "warmup_epochs": 3, "final_rate": 0.01},
    "model garden": {"name": "exponential", "factor": 0.96, "every": 2.5, "staircase": True, "warmup_epochs": 2, "warmup": "joins"},
    "efficientnet": {"name": "exponential", "factor": 0.97, "every": 2.4, "staircase": True, "warmup_epochs": 3, "warmup": "over"},
    "ffcv": {"name": "points", "points": [(0, 1e-4), (2, 1), (8, 0)]},
    "big_vision cosine": {"name": "cosine", "warmup_steps": 25},
    "big_vision linear": {"name": "linear", "warmup_steps": 25, "final_factor": 1e-5},
    "one cycle": {"name": "one_cycle"},
    "one cycle linear": {
        "name": "one_cycle", "peak_at": 0.23, "start_factor": 0.2, "final_factor": 0.05, "anneal": "linear"
    },
}  # fmt: skip


@pytest.mark.parametrize(("curve", "given"), CURVES.items(), ids=CURVES)
def test_the_rate_is_the_sources_at_every_step(curve: str, given: dict) -> None:
    """1e-9 of the peak; torch works some curves out step by step from the one before."""
    wanted = GOLDEN[curve]
    total = 100 if curve.startswith("one cycle") else len(wanted)
    rate = rates(total, peak=0.4, **given)
    np.testing.assert_allclose([rate(step) for step in range(len(wanted))], wanted, rtol=0, atol=4e-10)


def test_a_plateau_s_rate_is_torchs() -> None:
    """With cooldown, a threshold and a floor; it follows from the losses alone, so that a run goes on to the same rates."""
    given = {"factor": 0.5, "patience": 1, "cooldown": 1, "final_rate": 0.06}
    rate, losses = rates(170, peak=0.4, name="plateau", **given), GOLDEN["plateau losses"].tolist()
    found = [rate(10 * epoch, losses[:epoch]) for epoch in range(len(losses) + 1)]
    np.testing.assert_allclose(found, GOLDEN["plateau"], rtol=1e-12)
    assert len(set(found)) > 2


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


def test_linear_ends_at_its_floor_and_stays_there() -> None:
    rate = rates(name="linear", final_factor=0.2)
    assert [rate(step) for step in (25, 50, 100, 150)] == pytest.approx([0.08, 0.06, 0.02, 0.02])


def test_polynomial_is_a_power_of_what_is_left() -> None:
    rate = rates(name="polynomial", power=3, final_factor=0.2)
    assert [rate(step) for step in (0, 50, 100)] == pytest.approx([0.1, 0.1 * (0.2 + 0.8 / 8), 0.02])


def test_exponential_falls_all_the_time_unless_it_is_a_staircase() -> None:
    """After the warm-up it begins anew, as torch's ExponentialLR behind a LinearLR."""
    rate = rates(name="exponential", factor=0.5, every=2, warmup_epochs=1)
    assert [rate(step) for step in (10, 20, 30)] == pytest.approx([0.1, 0.1 * 0.5**0.5, 0.05])
    rate = rates(name="exponential", factor=0.5, every=2, staircase=True)
    assert [rate(step) for step in (19, 20, 39, 40)] == pytest.approx([0.1, 0.05, 0.05, 0.025])


@pytest.mark.parametrize(("name", "half"), [("cosine", 0.05), ("linear", 0.05)])
def test_a_schedule_runs_over_the_steps_after_the_warm_up(name: str, half: float) -> None:
    rate = rates(name=name, warmup_epochs=2)
    assert [rate(step) for step in (20, 60, 100)] == pytest.approx([0.1, half, 0])


def test_steps_fall_at_their_milestones() -> None:
    rate = rates(name="step", milestones=(3, 6))
    assert [rate(step) for step in (29, 30, 59, 60)] == pytest.approx([0.1, 0.01, 0.01, 0.001])


def test_an_epoch_s_rate_begins_with_the_first_step_whose_first_example_is_the_epoch_s() -> None:
    """103 examples in batches of 10: epoch 2 begins in step 10, whose first example is still epoch 1's."""
    rate = rates(name="step", milestones=(1,), by="epoch", steps_per_epoch=Fraction(103, 10))
    assert [rate(step) for step in (10, 11)] == pytest.approx([0.1, 0.01])
    staircase = rates(name="exponential", factor=0.5, every=0.1, staircase=True, steps_per_epoch=Fraction(103, 10))
    assert [round(math.log2(0.1 / staircase(step))) for step in (1, 2, 3)] == [0, 1, 2]


def test_the_rate_is_scaled_from_its_reference_batch() -> None:
    """A rate of 0.1 written for 256 acts as 0.8 at 2,048 (arXiv:1706.02677); ends given as rates only where asked for."""
    assert rates(name="constant", reference_batch=256, batch_size=2048)(5) == pytest.approx(0.8)
    assert rates(name="constant", batch_size=2048)(5) == pytest.approx(0.1)
    given = {"name": "linear", "warmup_epochs": 1, "warmup_from_rate": 0.02, "final_rate": 0.01}
    deit = rates(reference_batch=256, batch_size=512, **given)
    swin = rates(reference_batch=256, batch_size=512, scale_ends=True, **given)
    assert [deit(step) for step in (0, 10, 100)] == pytest.approx([0.02, 0.2, 0.01])
    assert [swin(step) for step in (0, 10, 100)] == pytest.approx([0.04, 0.2, 0.02])


def test_a_rise_goes_to_where_it_joins_the_schedule_or_multiplies_it() -> None:
    """A line over ten epochs, of which the first two rise: half-way up, and at the end of the rise."""
    line = {"name": "linear", "warmup_epochs": 2}
    assert [rates(warmup="joins", **line)(step) for step in (10, 20)] == pytest.approx([0.1 * 0.8 / 2, 0.08])
    assert [rates(warmup="multiplies", **line)(step) for step in (10, 20)] == pytest.approx([0.1 * 0.9 / 2, 0.08])
    assert [rates(warmup="over", **line)(step) for step in (10, 20)] == pytest.approx([0.1 / 2, 0.08])


def test_a_rise_by_epochs_is_over_with_an_epoch_s_last_step() -> None:
    """102 examples in batches of 10: two epochs are 20.4 steps."""
    for by, steps in (("step", 20), ("epoch", 21)):
        given = TypeAdapter(ScheduleSettings).validate_python({"name": "cosine", "warmup_epochs": 2, "warmup_by": by})
        assert schedules.warmup_steps(given, Fraction(102, 10)) == steps


def test_a_line_ends_with_the_run_by_steps_and_by_the_epochs_that_it_begins() -> None:
    """Of a run that ends within an epoch, and of epochs that are one step each, or no whole number of them."""
    assert [rates(95, name="linear")(step) for step in (19, 95)] == pytest.approx([0.08, 0])
    for total, steps_per_epoch in ((91, 10), (95, 10), (100, 10), (10, 1), (103, Fraction(103, 10))):
        rate = rates(total, name="linear", by="epoch", steps_per_epoch=steps_per_epoch)
        assert rate(total - 1) == pytest.approx(0.01), total


def test_a_plateau_rests_after_a_fall() -> None:
    """torch's cooldown: three epochs in which nothing is counted, then the first without a better loss falls again."""
    given = {"name": "plateau", "factor": 0.5, "patience": 0, "cooldown": 3}
    settings = TypeAdapter(ScheduleSettings).validate_python(given)
    assert [schedules.falls(settings, [1.0] * epochs) for epochs in range(8)] == [0, 0, 1, 1, 1, 1, 2, 2]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"name": "cosine", "warmup_by": "epoch"}, "warmup_by does nothing without warmup_epochs"),
        ({"name": "cosine", "warmup_by": "epoch", "warmup_epochs": 2.5}, "warmup_by epoch needs whole warmup_epochs"),
        ({"name": "cosine", "warmup_steps": 3, "warmup_epochs": 2}, "give warmup_epochs or warmup_steps, not both"),
        ({"name": "cosine", "final_factor": 0.1, "final_rate": 0.1}, "give final_factor or final_rate, not both"),
        ({"name": "cosine", "scale_ends": True}, "scale_ends does nothing without reference_batch"),
        ({"name": "step"}, "give milestones or every"),
        ({"name": "points", "points": [(0, 1), (0, 0)]}, "epoch 0 does not come after 0"),
        ({"name": "points", "points": [(0, 1), (1, 0)], "warmup_epochs": 1}, "Extra inputs are not permitted"),
    ],
)
def test_what_contradicts_itself_is_refused(given: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        rates(**given)
