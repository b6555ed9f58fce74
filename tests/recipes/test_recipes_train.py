"""Every recipe of configs/imagenet builds, and makes two steps on sample photos, at a batch that two cores bear."""

import gc
import math
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_imagenet import recipes
from keras_imagenet.console import Console
from keras_imagenet.data import sources
from keras_imagenet.training.assembly import assemble, open_data
from keras_imagenet.training.state import first_copy

NAMES = [name for name in recipes.recipe_names() if name.startswith("imagenet/")]
STEPS = 2
BATCH_SIZE = 8
REPEATED = {"batch_size": 40, "size": 96}
"""Where photos stand in a batch several times, up to four: mixing wants more than eight different ones."""
# Sizes of networks that take any size and more than 3 GiB, or a minute a step, at their own.
SMALLER = {
    "convnext_large": 96,
    "regnet_y_16gf": 96,
    "regnet_x_16gf": 96,
    "efficientnet_v2_m": 96,
    "efficientnet_v2_l": 96,
}


@pytest.fixture(scope="module")
def photos(shared: Path) -> list[tuple[str, str]]:
    """Settings that put the sample photos, of 1,000 classes, in the place of ImageNet."""
    data = shared / "data"
    return [
        ("data.source.name", "folder"),
        ("data.source.directory", str(data / "imagenet_samples" / "val")),
        ("data.source.classes", str(data / "imagenet_classes.tsv")),
    ]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_makes_two_steps(name: str, photos: list[tuple[str, str]]) -> None:
    """With its own size, augmentation, mixing, objective, rule, schedule and average; the rate is that of the small batch."""
    recipe = recipes.load(name)
    repeated = recipe.train.repeats > 1
    batch_size = REPEATED["batch_size"] if repeated else BATCH_SIZE
    overrides = [*photos, ("train.batch_size", str(batch_size)), ("runtime.xla", "false")]
    if size := REPEATED["size"] if repeated else SMALLER.get(recipe.model.name):
        overrides += [("data.size", str(size)), ("data.evaluation_size", "null")]
    settings = recipes.load(name, overrides)
    run = assemble(settings, sources.open_source(settings.data.source), tf.distribute.get_strategy())
    batches, _ = open_data(run, Console.standard())
    before = [first_copy(variable.value) for variable in run.state.network.trainable_variables]
    for step in range(STEPS):
        run.step(next(batches), tf.constant(run.course.schedule(step), tf.float64), tf.constant(step, tf.int64))
    after = [first_copy(variable.value) for variable in run.state.network.trainable_variables]
    loss, examples = first_copy(run.state.sums)[[0, 3]]
    keras.backend.clear_session()
    gc.collect()
    assert examples == STEPS * batch_size
    assert math.isfinite(loss)
    assert all(np.isfinite(values).all() for values in after)
    assert any((one != other).any() for one, other in zip(before, after, strict=True))
