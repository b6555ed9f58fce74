"""Every recipe for ImageNet is held to published.csv, cell by cell, and its learning rates to curves.py.

cells.py puts a recipe's settings into the table's columns and words; README.md beside says what they mean. Numbers are
equal (both are decimals that somebody wrote); those of phases, thirds among them, to four digits.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import cells
import curves
import pytest

from keras_imagenet import recipes
from keras_imagenet.models import registry
from keras_imagenet.settings import Settings
from keras_imagenet.settings.about import About
from keras_imagenet.training.course import course_of

LINES = curves.published()

UNCHECKED = {"recipe", "row", "source", "notes", "published_weights"}
"""Columns that are no setting; published_weights has a test of its own."""

OTHERWISE: dict[str, dict[str, str | None]] = {
    # Kept beside the weights there, but never evaluated.
    **{f"imagenet/deit/{size}": {"average": None, "average_decay": None} for size in ("tiny", "small", "base")},
    **{
        f"imagenet/deit3/{name}": {"average": None, "average_decay": None}
        for name in ("small-800ep", "base-800ep-192", "base-20ep-224")
    },
    # There the weights of the three checkpoints that improved last are averaged by hand.
    **{f"imagenet/torchvision/mobilenet_v3_{size}-v1": {"average": None} for size in ("large", "small")},
    # 780 steps, which are 2.5 epochs of 312 there.
    "imagenet/tfgarden/mobilenetv2": {"every": "2.49372"},
    # What the Garden draws is uniform, whatever alpha it is given.
    "imagenet/tfgarden/vit_s16-deit": {"mixup_alpha": "1.0"},
}
"""What recipes hold instead of the table's cells; about.differs says why."""

SAMPLES = "imagenet/resnet50_samples"
"""A few steps on sample photos; published by nobody."""


def _here() -> list[str]:
    return [name for name in recipes.recipe_names() if name.startswith("imagenet/") and name != SAMPLES]


@cache
def _loaded(name: str) -> tuple[Settings, About]:
    return recipes.load(name), recipes.about(recipes.find(name))


def test_recipes_and_published_lines_are_the_same() -> None:
    assert sorted(LINES) == sorted(_here())


@pytest.mark.parametrize("name", _here())
def test_settings_are_the_published_ones(name: str) -> None:
    settings, about = _loaded(name)
    line = {column: cell or None for column, cell in LINES[name].items() if column not in UNCHECKED}
    said = cells.of(settings, about, line)
    assert said.keys() == line.keys()
    expected = line | OTHERWISE.get(name, {})
    assert all(expected[column] != line[column] for column in OTHERWISE.get(name, {})), "no longer otherwise"
    assert about.differs or name not in OTHERWISE
    wrong = {column: (said[column], cell) for column, cell in expected.items() if not _same(said[column], cell)}
    assert not wrong, f"{name}: (recipe, published.csv) of {wrong}"


@pytest.mark.parametrize("name", _here())
def test_rates_are_the_published_ones(name: str) -> None:
    schedule = course_of(_loaded(name)[0], curves.IMAGENET).schedule
    for step, rate in curves.points(name):
        assert schedule(step) == pytest.approx(rate, rel=0, abs=curves.slack(name, step)), f"step {step}"


@pytest.mark.parametrize("name", _here())
def test_a_run_leaves_the_weights_that_were_published(name: str) -> None:
    settings, about = _loaded(name)
    published = "average" if settings.train.keep == "average" else "raw"
    stated = LINES[name]["published_weights"]
    assert stated in (published, "not stated") or name in OTHERWISE
    assert LINES[name]["source"].partition("@")[0] == about.source.partition("@")[0]


def test_every_row_is_a_recipe_or_left_out_for_a_reason() -> None:
    left_out = Path(__file__).with_name("left_out.csv").read_text(encoding="utf-8").splitlines()[1:]
    assert all(len(line.partition(",")[2]) > 10 for line in left_out)
    both = {line.partition(",")[0] for line in left_out} & {line["row"] for line in LINES.values()}
    assert not both


def test_the_catalogue_names_the_recipes_of_each_network() -> None:
    named = {recipe: name for name, record in registry.catalogue().items() for recipe in record.recipe.split()}
    assert {name: named.get(name) for name in _here()} == {name: LINES[name]["model"] for name in _here()}


def _same(said: Any, cell: str | None) -> bool:
    if isinstance(said, int | float):
        return cell is not None and said == pytest.approx(float(cell), rel=1e-9, abs=0)
    return said == cell
