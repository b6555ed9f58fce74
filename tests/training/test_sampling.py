"""What a run draws, and what it says of it: on the built-in digits."""

import numpy as np
import pytest
import tensorflow as tf

from keras_imagenet import recipes
from keras_imagenet.console import Console
from keras_imagenet.data import sources
from keras_imagenet.data.images.normalise import normalise
from keras_imagenet.errors import SettingsError
from keras_imagenet.training.announcement import announcement
from keras_imagenet.training.assembly import Run, assemble, open_data


def prepared(*overrides: tuple[str, str]) -> Run:
    """The default recipe with overrides, before its first step."""
    settings = recipes.load(recipes.DEFAULT_RECIPE, overrides)
    return assemble(settings, sources.open_source(settings.data.source), tf.distribute.get_strategy())


def first_batch(run: Run) -> dict[str, tf.Tensor]:
    return next(open_data(run, Console.standard())[0])


def test_a_batch_shows_each_digit_several_times_turned_otherwise() -> None:
    run = prepared(("train.repeats", "4"), ("augment.rotation", "45"))
    assert "batches: 64 examples, 16 different ones 4 times each, 64 on each of 1 replica(s)" in announcement(run)[2]
    batch = first_batch(run)
    images = batch["images"].numpy().reshape(4, 16, -1)
    assert np.array_equal(np.roll(batch["labels"][16:32], 1), batch["labels"][:16])
    assert (np.roll(images[1], 1, axis=0) != images[0]).any(axis=1).all()


@pytest.mark.parametrize(
    ("overrides", "wanted"),
    [
        ({"train.repeats": "65"}, r"train.repeats = 65: is more than train.batch_size \(64\)"),
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
    assert "draws: balance 1; an epoch has 143 of 8 (131 images) and 144 of 1 (157 images)" in announcement(run)
    assert "loss: class weights as given, 1 (0) to 2 (3); validation's loss has none" in announcement(run)
    batch = first_batch(run)
    assert set(np.bincount(batch["labels"]).tolist()) == {143, 144}


def test_augmix_with_consistency_sends_three_images_an_example_through_the_network() -> None:
    """The loss of a first step, from the batch alone: cross-entropy of the image, 12 divergences to its two views."""
    words = {"augment.augmix": "{consistency: 12, severity: 8}", "model.dropout": "0", "train.batch_size": "16"}
    run = prepared(*words.items())
    assert any(line.startswith("loss: and 12 times the Jensen-Shannon divergence") for line in announcement(run))
    batch = first_batch(run)
    images, views = batch["images"].numpy(), batch["views"].numpy()
    plain = prepared(("train.batch_size", "16"))
    clean = first_batch(plain)
    assert np.array_equal(images, clean["images"])
    assert views.shape == (16, 2, 8, 8, 1)
    assert all(
        (views[:, one] != other).any(axis=(1, 2, 3)).mean() > 0.5 for one, other in ((0, images), (1, views[:, 0]))
    )
    seen = [normalise(part, run.preset) for part in (images, views[:, 0], views[:, 1])]
    answers = [tf.nn.softmax(run.state.network(part)).numpy() for part in seen]
    mixture = np.mean(answers, axis=0)
    divergence = np.mean([(p * np.log(p / mixture)).sum(axis=1) for p in answers], axis=0)
    own = -np.log(answers[0][np.arange(16), batch["labels"]])
    run.step(batch, tf.constant(0.1, tf.float64), tf.constant(0, tf.int64))
    np.testing.assert_allclose(run.state.sums.numpy()[0], (own + 12 * divergence).sum(), rtol=1e-4)


@pytest.mark.parametrize("other", ["augment.mixing", "augment.random_erasing", "augment.grid_mask"])
def test_consistency_goes_with_nothing_that_parts_the_views(other: str) -> None:
    with pytest.raises(SettingsError, match=f"which {other.partition('.')[2]} would part"):
        recipes.load(None, (("augment.augmix", "{consistency: 12}"), (other, "{}")))
