"""An option that would do nothing is a mistake, one line that names it, instead of a run that leaves it out silently."""

import pytest
import tensorflow as tf

from keras_imagenet import recipes
from keras_imagenet.cli import main
from keras_imagenet.errors import SettingsError

STEP = ("schedule.name", "step")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"augment.rand_augment": "{form: torchvision, deviation: 0.5}"}, "rand_augment: deviation: belongs to form timm"),
        ({"augment.rand_augment": "{form: torchvision, increasing: true}"}, "increasing: belongs to form timm"),
        ({"augment.rand_augment": "{form: torchvision, probability: 1}"}, "probability: belongs to form timm"),
        ({"augment.rand_augment": "{form: google, probability: 1}"}, "probability: belongs to form timm and garden"),
        ({"augment.rand_augment": "{form: google, exclude: [cutout]}"}, "exclude: belongs to form garden"),
        ({"augment.rand_augment": "{cutout: 10}"}, "cutout: belongs to form google and garden and does nothing in form timm"),
        ({"augment.rand_augment": "{form: torchvision, magnitude: 9.5}"}, "form torchvision knows whole numbers only"),
        ({"augment.rand_augment": "{magnitude: 11}"}, "magnitude = 11: form timm knows 0 to 10"),
        ({"augment.mixing": "{}"}, "mixing mixes nothing; give mixup or cutmix above 0"),
        ({"augment.mixing": "{mixup: 1, switch_probability: 0.3}"}, "switch_probability chooses between mixup and cutmix"),
        ({"augment.mixing": "{mixup: 1, choice: batch}"}, "mixing.choice is between mixup and cutmix"),
        ({"augment.mixing": "{cutmix: 1, fold: true}"}, "mixing.fold is of mixup's share"),
        ({"augment.mixing": "{mixup: 1, corrected: false}"}, "mixing.corrected is of cutmix' share"),
        ({"schedule.warmup_epochs": "10.5"}, "schedule.warmup_epochs = 10.5: is more than the run's 10 epochs"),
        ({"schedule.warmup_epochs": "3", "train.epochs": "2"}, "schedule.warmup_epochs = 3: is more than the run's 2"),
        ({"schedule.name": "step", "schedule.milestones": "[3, 10]"}, "schedule.milestones: 10 does not come before"),
        ({"schedule.warmup_from": "0.1"}, "warmup_from does nothing without warmup_epochs"),
        ({"optimizer.nesterov": "true", "optimizer.momentum": "0"}, "nesterov does nothing without momentum"),
        ({"train.clip_norm": "1", "train.clip_value": "1"}, "train: give one of clip_norm and clip_value"),
        ({"train.keep": "average"}, "train.keep average: there is no average; name one in average.name"),
        ({"average.name": "swa", "average.from_epoch": "11"}, "average.from_epoch = 11: is more than the run's 10 epochs"),
        ({"loss.name": "binary_cross_entropy", "loss.target_threshold": "0"}, "does nothing without augment.mixing"),
        (
            {"loss.name": "focal", "augment.augmix": "{consistency: 12}"},
            "augment.augmix.consistency compares answers by softmax, loss.name focal goes by sigmoids",
        ),
        ({"optimizer.name": "adamw", "optimizer.decay": "by_schedule"}, "by_schedule does nothing without weight_decay"),
        (
            {"schedule.name": "points", "schedule.points": "[[0, 1], [10, 0.5], [12, 0]]"},
            "schedule.points: epoch 10 does not come before the end of the run's 10 epochs",
        ),
        ({"data.source.fold": "3"}, "fold = 3: is one of several; give folds, too"),
        ({"model.freeze": "['*']"}, "model.freeze: * freezes every layer, and nothing is left to learn"),
    ],
)  # fmt: skip
def test_what_would_do_nothing_is_refused(flags, message):
    with pytest.raises(SettingsError) as caught:
        recipes.load(None, list(flags.items()))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "key",
    [
        "random_resized_crop.scale",
        "random_resized_crop.ratio",
        "grid_mask.unit",
        "random_erasing.area",
        "random_erasing.aspect",
    ],
)
def test_a_range_rises(key):
    high, low = ("9", "3") if key.endswith("unit") else ("0.9", "0.3")
    recipes.load(None, [(f"augment.{key}", f"[{low}, {high}]")])
    with pytest.raises(SettingsError, match=f"{key}: the range starts at {high} and ends before it, at {low}"):
        recipes.load(None, [(f"augment.{key}", f"[{high}, {low}]")])


def test_a_time_at_the_edge_of_the_run_is_right():
    """A warm-up over the whole run, and a milestone just before its end; of a run in steps nothing is known yet."""
    recipes.load(None, [("schedule.warmup_epochs", "2"), ("train.epochs", "2")])
    recipes.load(None, [STEP, ("schedule.milestones", "[1.9]"), ("train.epochs", "2")])
    recipes.load(None, [STEP, ("schedule.milestones", "[30]"), ("train.steps", "2")])


def test_folds_that_are_taken_back_take_their_number_back(tmp_path):
    (tmp_path / "folds.yaml").write_text(
        "data: {source: {name: digits, validation_fraction: null, folds: 5, fold: 3}}\n"
    )
    recipe = str(tmp_path / "folds.yaml")
    assert recipes.load(recipe, [("data.source.validation_fraction", "0.3")]).data.source.fold == 0
    assert recipes.load(recipe, [("data.source.folds", "null")]).data.source.fold == 0


@pytest.mark.parametrize("option", ["train.keep best", "train.patience 3", "schedule.name plateau"])
@pytest.mark.parametrize("dry", [True, False])
def test_what_goes_by_validation_needs_one(option, dry, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    key, value = option.split()
    words = ["fit", f"--{key}", value, "--data.source.validation_fraction", "null", "--train.steps", "1"]
    assert main([*words, "--dry_run"] if dry else words) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith(f"keras-imagenet: {key}")
    assert "the data has no validation split; hold examples out with data.source.validation_fraction" in printed.err
    assert printed.err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_freezing_every_layer_by_several_names_is_refused():
    from keras_imagenet.models.freezing import freeze

    layers = [tf.keras.layers.Dense(2, name="stem"), tf.keras.layers.Dense(2, name="head")]
    network = tf.keras.Sequential([tf.keras.Input([3]), *layers])
    with pytest.raises(SettingsError, match="freezes every layer, and nothing is left to learn"):
        freeze(network, ["stem", "he*"])
