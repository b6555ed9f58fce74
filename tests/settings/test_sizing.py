"""What `auto` comes to for few photos and for many."""

import pytest

from keras_imagenet import recipes
from keras_imagenet.errors import SettingsError
from keras_imagenet.settings.sizing import sized


@pytest.mark.parametrize(
    ("examples", "batch_size", "epochs"),
    [(1, 8, 0), (99, 8, 0), (100, 8, 1), (250, 16, 2), (800, 64, 5), (20_000, 64, 2.8), (40_000, 64, 2)],
)
def test_batch_and_epochs_follow_from_the_number_of_photos(examples: int, batch_size: int, epochs: int) -> None:
    train = sized(recipes.load("photos/transfer"), examples).train
    assert (train.batch_size, train.epochs) == (batch_size, epochs)


def test_a_network_whose_head_is_not_solved_trains_however_few_the_photos() -> None:
    assert sized(recipes.load("photos/transfer", {"model.head": "fresh"}), 40).train.epochs == 1


def test_numbers_given_stay_and_the_sized_settings_are_a_recipe(tmp_path) -> None:
    given = sized(recipes.load("photos/transfer", {"train.epochs": 2, "train.batch_size": "16"}), 5000)
    assert (given.train.batch_size, given.train.epochs) == (16, 2)
    (tmp_path / "kept.yaml").write_text(recipes.to_yaml(given))
    assert recipes.load(tmp_path / "kept.yaml") == given
    assert sized(given, 40) == given


def test_what_does_not_fit_into_the_epochs_is_said() -> None:
    given = recipes.load("photos/transfer", {"schedule.warmup_epochs": 4})
    assert sized(given, 500).train.epochs == 5
    with pytest.raises(SettingsError, match=r"warmup_epochs = 4: is more than the run's 2 epochs.* auto is 2 for 250"):
        sized(given, 250)
