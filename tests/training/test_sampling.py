"""What a run draws, and what it says of it: on the built-in digits."""

import numpy as np
import pytest
import tensorflow as tf

from keras_imagenet import recipes
from keras_imagenet.data import sources
from keras_imagenet.errors import SettingsError
from keras_imagenet.output import Output
from keras_imagenet.training import checkpoints
from keras_imagenet.training.facts import facts
from keras_imagenet.training.run import Run, open_data, prepare


def prepared(*overrides: tuple[str, str]) -> Run:
    """The default recipe with overrides, before its first step."""
    settings = recipes.load(None, overrides)
    return prepare(settings, sources.open_source(settings.data.source), tf.distribute.get_strategy())


def test_a_batch_shows_each_digit_several_times_turned_otherwise() -> None:
    run = prepared(("train.repeats", "4"), ("augment.rotation", "45"))
    assert "batches: 64 examples, 16 different ones 4 times each, 64 on each of 1 replica(s)" in facts(run)[2]
    start = checkpoints.Progress(0, 0.0, run.training.fingerprint)
    batch = next(open_data(run, start, Output.standard())[0])
    images = batch["images"].numpy().reshape(4, 16, -1)
    assert np.array_equal(np.roll(batch["labels"][16:32], 1), batch["labels"][:16])
    assert (np.roll(images[1], 1, axis=0) != images[0]).any(axis=1).all()


@pytest.mark.parametrize(
    ("overrides", "wanted"),
    [
        ({"train.repeats": "3"}, r"train.batch_size = 64: must be divisible by train.repeats \(3\)"),
        (
            {"train.repeats": "16", "augment.mixing": "{mixup: 0.2}"},
            "train.repeats: leaves a batch 4 different examples; augment.mixing needs 8 or more",
        ),
    ],
)
def test_repeats_that_do_not_fit_the_batch_are_named(overrides: dict[str, str], wanted: str) -> None:
    with pytest.raises(SettingsError, match=wanted):
        prepared(*overrides.items())


def test_favoured_classes_are_said_and_drawn() -> None:
    run = prepared(("train.balance", "1"), ("loss.class_weights", "{3: 2}"), ("train.batch_size", "1435"))
    assert "draws: balance 1; an epoch has 143 of 8 (131 images) and 144 of 1 (157 images)" in facts(run)
    assert "loss: class weights as given, 1 (0) to 2 (3); validation's loss has none" in facts(run)
    batch = next(open_data(run, checkpoints.Progress(0, 0.0, run.training.fingerprint), Output.standard())[0])
    assert set(np.bincount(batch["labels"]).tolist()) == {143, 144}
