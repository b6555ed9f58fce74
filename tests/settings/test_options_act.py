"""An option that would do nothing is a mistake, one line that names it, instead of a run that leaves it out silently."""

import pytest
import tensorflow as tf

from keras_imagenet import preset as presets
from keras_imagenet import recipes
from keras_imagenet.cli import main
from keras_imagenet.errors import SettingsError
from keras_imagenet.settings.resolution import resolve

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
        ({"augment.random_resized_crop": "{min_object_covered: 0.1}"}, "min_object_covered: belongs to form tensorflow"),
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
        ({"optimizer.decay_factors": "{logits: 2}"}, "decay_factors do nothing without weight_decay"),
        ({"optimizer.freeze_after": "{logits: 10}"}, "freeze_after: logits learns to the end of the run's 10 epochs"),
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
        ({"augment.color_jitter": "{}"}, "augment.color_jitter: jitters nothing; give brightness, contrast, saturation"),
        ({"augment.grid_mask.probability": "0"}, "grid_mask.probability = '0': input should be greater than 0"),
        ({"augment.random_erasing.probability": "0"}, "random_erasing.probability = '0': input should be greater than 0"),
        ({"augment.mixing": "{mixup: 1, probability: 0}"}, "mixing.probability = 0: input should be greater than 0"),
        ({"augment.mixing": "{mixup: 1, cutmix: 1, switch_probability: 1}"}, "switch_probability = 1: input should be less"),
        ({"train.patience": "10"}, "train.patience = 10: never stops a run of 10 epochs; give less, or more train.epochs"),
        ({"optimizer.name": "lars"}, "optimizer: lars without weight_decay is sgd"),
        ({"optimizer.spare": "[]"}, "optimizer: spare does nothing without weight_decay; give weight_decay above 0"),
        ({"schedule.name": "plateau"}, "schedule.patience = 10: never lowers the rate of a run of 10 epochs"),
        ({"schedule.name": "step", "schedule.every": "30"}, "schedule.every = 30: never lowers the rate of a run of 10"),
        ({"loss.class_weights": "{}"}, "class_weights names no class; give {class: factor}, balanced or effective"),
        ({"teacher.name": "hard"}, "teacher: give one of source, a folder, and network, a name"),
        ({"teacher": "{name: soft, source: a, network: resnet50}"}, "teacher: give one of source, a folder, and network"),
        ({"teacher": "{name: soft, source: a, weights: keras}"}, "teacher: weights belongs to network and does nothing beside"),
        ({"teacher": "{name: hard, source: a, temperature: 2}"}, "teacher.temperature: unknown setting for this teacher.name"),
        (
            {"teacher": "{name: hard, source: a}", "loss.name": "focal"},
            "teacher compares answers by softmax, loss.name focal goes by sigmoids",
        ),
        (
            {"teacher": "{name: hard, source: a, token: true}", "augment.augmix": "{consistency: 12}"},
            "teacher.token does not go together with augment.augmix.consistency",
        ),
        (
            {"teacher": "{name: hard, source: a, token: true}", "train.gradient_checkpointing": "true"},
            "teacher.token does not go together with train.gradient_checkpointing",
        ),
        ({"model.freeze": "['*']"}, "model.freeze: * freezes every layer, and nothing is left to learn"),
    ],
)  # fmt: skip
def test_what_would_do_nothing_is_refused(flags, message):
    with pytest.raises(SettingsError) as caught:
        recipes.load(None, list(flags.items()))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            {"fit": "pad", "crop_fraction": "0.9"},
            "data.crop_fraction = 0.9: does nothing with data.fit pad; leave it out",
        ),
        ({"antialias": "false"}, "data.antialias = False: does nothing with data.kernel area; leave it out"),
    ],
)
def test_a_preset_field_that_does_nothing_beside_the_others_is_refused(flags, message):
    settings = recipes.load(None, [(f"data.{name}", value) for name, value in flags.items()]).data
    with pytest.raises(SettingsError) as caught:
        resolve(settings)
    assert message in str(caught.value)


def test_a_size_of_training_that_is_evaluation_s_is_no_mistake():
    """`--data.size 224` over a recipe that trains at 160 and evaluates at 224."""
    settings = recipes.load(None, [("data.size", "224"), ("data.evaluation_size", "224")]).data
    assert resolve(settings).evaluation.size == (224, 224)


def test_a_preset_field_that_takes_the_weights_own_back_acts():
    origin = presets.Preset(evaluation_size=(288, 288), evaluation_kernel="bicubic")
    settings = recipes.load(None, [("data.evaluation_size", "224"), ("data.evaluation_kernel", "area")]).data
    assert resolve(settings, origin).evaluation.size == (224, 224)


@pytest.mark.parametrize(
    "words", [["--weights", "a.pth"], ["--config", "a.yaml"], ["--train.epochs", "3"], ["--model.dropout", "0.1"]]
)
def test_what_changes_nothing_in_the_measure_of_a_run_is_refused(words, tmp_path, capsys):
    assert main(["evaluate", str(tmp_path), *words]) == 2
    assert capsys.readouterr().err.startswith(
        f"keras-imagenet: command line: {words[0]}: does nothing where a run is evaluated; data, runtime and"
    )


def test_grey_images_have_no_colours_to_jitter():
    from keras_imagenet.data.augment import build

    settings = recipes.load(None, [("augment.color_jitter", "{brightness: 0.1, hue: 0.2}")]).augment
    grey = presets.Preset(channels=1, mean=(0.5,), std=(0.5,))
    with pytest.raises(SettingsError, match=r"color_jitter.hue = 0.2: does nothing to grey images \(data.channels 1\)"):
        build(settings, grey)


def test_an_average_from_the_end_of_the_last_epoch_on_is_reached(capsys):
    words = ["fit", "--dry_run", "--train.epochs", "1", "--average.name", "swa", "--average.from_epoch", "1"]
    assert main(words) == 0
    assert "not reached" not in capsys.readouterr().out


def test_a_run_in_steps_says_what_it_does_not_reach(capsys):
    words = ["fit", "--dry_run", "--train.steps", "30", "--train.patience", "3", "--schedule.name", "step"]
    assert main([*words, "--schedule.milestones", "[0.5, 2, 7]"]) == 0
    assert "not reached in 1.3" in (printed := capsys.readouterr().out)
    assert "epochs: schedule.milestones 2, schedule.milestones 7, train.patience 3" in printed


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


@pytest.mark.parametrize(
    "option", ["train.keep best", "train.patience 3", "schedule.name plateau", "average.name best"]
)
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
