"""Recipes are found, merged and checked; every mistake is one line that says where, what, and what would be right."""

import json
import unicodedata
from pathlib import Path

import pytest

from keras_imagenet import recipes
from keras_imagenet.arguments import split_settings
from keras_imagenet.errors import SettingsError


def complaint(*overrides: tuple[str, str], recipe: str | None = None) -> str:
    with pytest.raises(SettingsError) as caught:
        recipes.load(recipe, overrides)
    text = str(caught.value)
    assert "\n" not in text
    assert caught.value.exit_code == 2
    return text


@pytest.mark.parametrize(
    ("key", "value", "wanted"),
    [
        ("train.epoch", "5", "command line: train.epoch: unknown setting; did you mean epochs?"),
        ("trian.epochs", "5", "command line: trian: unknown setting; did you mean train?"),
        ("epochs", "5", "command line: epochs: unknown setting; did you mean train.epochs?"),
        ("train.epochs", "many", "command line: train.epochs = 'many': must be a number, or auto"),
        (
            "model.head_bias",
            "log_clases",
            "command line: model.head_bias = 'log_clases': must be a number, or log_classes; did",
        ),
        ("runtime.xla", "yess", "command line: runtime.xla = yess: must be one of auto, true, false"),
        ("phases", "[{from_epoch: 1, siz: 16}]", "command line: phases.0.siz: unknown setting; did you mean size?"),
        (
            "phases",
            "[{from_epoch: 1, augment: {fliip: none}}]",
            "command line: phases.0.augment.fliip: unknown setting; did you mean flip?",
        ),
        (
            "phases",
            "[{from_epoch: 1, augment: {flip: horizntal}}]",
            "command line: phases.0.augment.flip = horizntal: must be one of none, horizontal, vertical, both, alternating; did",
        ),
        ("train.epochs", "-1", "command line: train.epochs = '-1': input should be greater than or equal to 0"),
        ("train.batch_size", "2.5", "command line: train.batch_size = '2.5': must be a number, or auto"),
        (
            "optimizer.name",
            "sgdd",
            "command line: optimizer.name = sgdd: must be one of sgd, sgdw, rmsprop, adam, adamw, lamb, lars, lion, muon; "
            "did you mean sgd?",
        ),
        ("optimizer.beta_1", "0.5", "command line: optimizer.beta_1: unknown setting for this optimizer.name"),
        ("data.source.name", "folder", "command line: data.source.directory: is required"),
        (
            "data.source.directory",
            "x",
            "command line: data.source.directory: unknown setting for this data.source.name",
        ),
        (
            "augment.flip",
            "sideways",
            "command line: augment.flip = sideways: must be one of none, horizontal, vertical, both",
        ),
        (
            "augment.random_resized_crop",
            "yes",
            "command line: augment.random_resized_crop = 'yes': must be a group of settings",
        ),
        ("schedule.name", "step", "command line: schedule: give milestones or every"),
        ("train", "3", "command line: train = '3': must be a group of settings"),
    ],
)
def test_a_mistake_on_the_command_line(key: str, value: str, wanted: str) -> None:
    assert complaint((key, value)).startswith(wanted)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("train: {epochs: 1}\ntrain: {epochs: 2}\n", ":2: not valid YAML: train is given twice"),
        ("train: {epochs: [1\n", ": not valid YAML: "),
        ("- 1\n", ": must hold groups of settings"),
        ("train: {epochs: soon}\n", ": train.epochs = 'soon': must be a number, or auto"),
        ("base: no/such\n", "--config no/such: no such file or recipe"),
        ("train: {epochs: 1, steps: 2}\n", ": train: give epochs or steps, not both"),
    ],
)
def test_a_mistake_in_a_file(tmp_path: Path, text: str, wanted: str) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text(text)
    message = complaint(recipe=str(file))
    assert wanted in message
    assert message.startswith((str(file), "--config"))


def test_a_misspelt_recipe_names_the_nearest() -> None:
    assert complaint(recipe="digits/simple_cn").endswith("did you mean digits/simple_cnn?")


def test_every_recipe_that_comes_with_the_package_is_valid() -> None:
    names = recipes.recipe_names()
    assert recipes.DEFAULT_RECIPE in names
    for name in names:
        recipes.load(name)


def test_a_recipe_lies_above_its_base_and_flags_above_both(tmp_path: Path) -> None:
    (tmp_path / "below.yaml").write_text("train: {epochs: 3, batch_size: 16}\noptimizer: {name: sgd, momentum: 0.5}\n")
    (tmp_path / "above.yaml").write_text("base: below.yaml\ntrain: {epochs: 4}\n")
    settings = recipes.load(str(tmp_path / "above.yaml"), [("train.batch_size", "32")])
    assert (settings.train.epochs, settings.train.batch_size, settings.optimizer.momentum) == (4, 32, 0.5)


def test_a_base_of_a_base_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("base: b.yaml\n")
    (tmp_path / "b.yaml").write_text("base: a.yaml\n")
    assert "one level only" in complaint(recipe=str(tmp_path / "a.yaml"))


def test_another_name_starts_the_group_afresh(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("optimizer: {name: sgd, momentum: 0.5}")
    settings = recipes.load(tmp_path / "recipe.yaml", [("optimizer.name", "adamw"), ("optimizer.weight_decay", "1e-2")])
    assert settings.optimizer.name == "adamw"
    assert settings.optimizer.weight_decay == 0.01


def test_flags_hold_on_either_side_of_a_name() -> None:
    rate, name = ("optimizer.learning_rate", "0.02"), ("optimizer.name", "sgd")
    for flags in ((rate, name), (name, rate)):
        assert recipes.load(recipes.DEFAULT_RECIPE, flags).optimizer.learning_rate == 0.02
    assert "optimizer.beta_1: unknown setting" in complaint(("optimizer.beta_1", "0.5"), name)


def test_null_takes_a_recipe_s_average_away(tmp_path: Path) -> None:
    (tmp_path / "averaged.yaml").write_text("average: {name: swa, from_epoch: 1}")
    rest, flags = split_settings(["fit", "--average", "null"])
    assert rest == ["fit"]
    assert recipes.load(tmp_path / "averaged.yaml").average is not None
    assert recipes.load(tmp_path / "averaged.yaml", flags).average is None


def test_a_threshold_acts_where_a_phase_mixes() -> None:
    binary = [("loss.name", "binary_cross_entropy"), ("loss.target_threshold", "0")]
    later = ("phases", "[{from_epoch: 1, augment: {mixing: {mixup: 0.2}}}]")
    assert recipes.load(None, [*binary, later]).loss.target_threshold == 0
    assert "does nothing without augment.mixing" in complaint(*binary)


def test_flags_are_text_and_become_what_the_setting_wants() -> None:
    flags = [
        ("data.channels", "1"),
        ("data.size", "[8, 9]"),
        ("model.weights", "5"),
        ("runtime.xla", "true"),
        ("train.clip_norm", "1e-1"),
    ]
    settings = recipes.load(None, flags)
    assert (settings.data.channels, settings.data.size, settings.model.weights) == (1, (8, 9), Path("5"))
    assert (settings.runtime.xla, settings.train.clip_norm) == (True, 0.1)


def test_steps_take_back_epochs_from_below() -> None:
    settings = recipes.load("digits/simple_cnn", [("train.steps", "7")])
    assert (settings.train.steps, settings.train.epochs) == (7, None)


def test_resolved_settings_are_a_recipe_again(tmp_path: Path) -> None:
    settings = recipes.load("digits/simple_cnn", [("data.size", "[8, 10]"), ("model.weights", "a folder/x.npz")])
    (tmp_path / "again.yaml").write_text(recipes.to_yaml(settings))
    assert recipes.load(str(tmp_path / "again.yaml")) == settings
    assert recipes.differing(settings, recipes.load(str(tmp_path / "again.yaml"))) == []


def test_words_for_published_weights_are_no_files_in_what_a_run_writes_down() -> None:
    for word in ("published", "keras", "timm:resnet50", "torchvision:resnet50"):
        settings = recipes.anywhere(recipes.load(None, [("model.weights", word)]))
        assert str(settings.model.weights) == word


def test_differing_names_keys_and_leaves_out_what_changes_no_result() -> None:
    one = recipes.load(None, [("runtime.threads", "1")])
    other = recipes.load(None, [("runtime.threads", "2"), ("train.batch_size", "8"), ("runtime.seed", "3")])
    assert recipes.differing(one, other) == ["runtime.seed", "train.batch_size"]


def test_the_schema_describes_every_setting() -> None:
    from keras_imagenet.settings.explain import setting_names

    assert all(setting_names().values()), [name for name, text in setting_names().items() if not text]
    assert "base" in recipes.json_schema()["properties"]


def test_recipes_name_the_schema_that_the_command_prints() -> None:
    """`keras-imagenet schema > configs/schema.json` after a setting has changed."""
    folder = recipes.recipe_folder()
    assert json.loads((folder / "schema.json").read_text()) == recipes.json_schema()
    for name in recipes.recipe_names():
        first = (folder / f"{name}.yaml").read_text().splitlines()[0]
        assert first == f"# yaml-language-server: $schema={'../' * name.count('/')}schema.json", name


WORDS = ["yes", "no", "on", "null", "~", "1e3", "1.0e3", "007", "0x10", "1_000", "12:30", "2024-01-01", "true", ".inf"]


@pytest.mark.parametrize("word", WORDS)
def test_yamls_words_are_names_of_classes_too(tmp_path, word):
    (tmp_path / "recipe.yaml").write_text(f"loss: {{class_weights: {{{word}: 2, other: 3}}}}\n")
    settings = recipes.load(str(tmp_path / "recipe.yaml"))
    assert settings.loss.class_weights == {word: 2, "other": 3}
    assert recipes.load(None, [("loss.class_weights", f"{{{word}: 2, other: 3}}")]).loss == settings.loss
    (tmp_path / "again.yaml").write_text(recipes.to_yaml(settings))
    assert recipes.load(str(tmp_path / "again.yaml")) == settings


def test_keys_of_a_merged_mapping_are_names_too(tmp_path):
    (tmp_path / "recipe.yaml").write_text(
        "model: {batch_norm: &b {momentum: 0.5}}\nloss: {class_weights: {no: 1, yes: 2}}\n"
    )
    assert recipes.load(str(tmp_path / "recipe.yaml")).loss.class_weights == {"no": 1, "yes": 2}
    (tmp_path / "recipe.yaml").write_text("loss: {class_weights: {<<: {no: 1}, yes: 2}}\n")
    assert recipes.load(str(tmp_path / "recipe.yaml")).loss.class_weights == {"no": 1, "yes": 2}


def test_class_weights_know_both_spellings_of_an_accent():
    nfc, nfd = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))
    assert recipes.load(None, [("loss.class_weights", f"{{{nfd}: 2}}")]).loss.class_weights == {nfc: 2}


@pytest.mark.parametrize(
    ("key", "text", "wanted"),
    [
        ("epochs", "yes", "must be a number"),
        ("epochs", "on", "must be a number"),
        ("epochs", "1:30", "must be a number"),
        ("epochs", "0x10", "must be a number"),
        ("epochs", "0b11", "must be a number"),
        ("epochs", "017", 17),
        ("epochs", "1e1", 10),
        ("epochs", "+2.5", 2.5),
        ("gradient_checkpointing", "yes", True),
        ("gradient_checkpointing", "False", False),
    ],
)
def test_numbers_and_words_are_what_people_take_them_for(tmp_path: Path, key: str, text: str, wanted: object) -> None:
    """YAML 1.1 makes 1 of yes, 90 of 1:30 and 15 of 017."""
    (tmp_path / "recipe.yaml").write_text(f"train: {{{key}: {text}}}\n")
    if isinstance(wanted, str):
        assert wanted in complaint(recipe=str(tmp_path / "recipe.yaml"))
    else:
        assert getattr(recipes.load(str(tmp_path / "recipe.yaml")).train, key) == wanted


def test_a_path_that_no_file_can_have_is_refused(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text('runtime: {run_folder: "a\\0b"}\n')
    assert "no file can be called so" in complaint(recipe=str(tmp_path / "recipe.yaml"))


LAUGHS = "a: &a {x: [1, 2, 3, 4, 5, 6, 7, 8, 9]}\n" + "".join(
    f"{name}: &{name} [{', '.join(['*' + chr(ord(name) - 1)] * 9)}]\n" for name in "bcdefghi"
)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (LAUGHS, ":1: not valid YAML: its aliases make more than 1,000,000 values of it"),
        ("train: &a [*a]\n", ":1: not valid YAML: its aliases make more than 1,000,000 values of it"),
        ("a: &a {x: 1}\nb: &b {<<: [*a, *a]}\ntrain: {<<: *b}\n", "unknown setting"),
        ("train: {[1, 2]: 3}\n", ":1: not valid YAML: a key must be a word"),
        ("train:\n  ? {a: 1}\n  : 3\n", ":2: not valid YAML: a key must be a word"),
        ("train: {<<: {[1]: 2}}\n", ":1: not valid YAML: a key must be a word"),
        ("[1]: 3\n", ":1: not valid YAML: a key must be a word"),
        ("train: {epochs: 2024-13-45}\n", ":1: not valid YAML: '2024-13-45' is no timestamp; write text in quotes"),
        ("train: {epochs: !!int ten}\n", ":1: not valid YAML: 'ten' is no int"),
        ("train: {epochs: !!bool ten}\n", ":1: not valid YAML: 'ten' is no bool"),
        ("train: " + "[" * 5000, ":1: not valid YAML: groups inside groups without an end"),
        ("train: {epochs: \0}\n", ": not valid YAML: "),
        ("#" * 2**20 + "\n", ": cannot be read: is larger than 1 MiB"),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else None,
)
def test_a_text_that_no_one_can_mean_is_one_line(tmp_path: Path, text: str, wanted: str) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text(text)
    message = complaint(recipe=str(file))
    assert message.startswith(str(file))
    assert wanted in message
    assert len(message) < 600


@pytest.mark.parametrize("value", ["{[1]: 2}", "[2024-13-45]", "[" * 5000, "[\1]", "{a: &a [*a]}"])
def test_a_flag_that_no_one_can_mean_is_one_line(value: str) -> None:
    assert ": not valid YAML: " in complaint(("loss.class_weights", value))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("train.epochs", "1e12"),
        ("train.steps", "10000000000"),
        ("train.batch_size", "1000000000"),
        ("train.evaluation_batch_size", "1000000000"),
        ("train.checkpoint_steps", "10000000000"),
        ("train.time_limit", "1e12"),
        ("schedule.warmup_epochs", "1e300"),
        ("schedule.reference_batch", "1000000000"),
        ("runtime.threads", "1000000"),
        ("runtime.compute_threads", "1000000"),
        ("runtime.logical_cpus", "10000"),
        ("data.size", "1000000"),
        ("data.size", "[224, 1000000]"),
        ("data.source.folds", "1000000"),
        ("augment.pad_crop", "1000000"),
        ("augment.rand_augment", "{count: 1000000}"),
        ("augment.augmix", "{width: 1000000}"),
    ],
)
def test_a_number_that_no_one_can_mean_is_refused(key: str, value: str) -> None:
    message = complaint((key, value))
    assert message.startswith(f"command line: {key}")
    assert "less than or equal to" in message


@pytest.mark.parametrize(
    ("key", "given", "meant"),
    [
        ("mean", "[123.675, 116.28, 103.53]", "[0.485, 0.456, 0.406]"),
        ("std", "[58.395, 57.12, 57.375]", "[0.229, 0.224, 0.225]"),
        ("mean", "[127.5]", "[0.5]"),
    ],
)
def test_a_mean_on_the_scale_of_bytes_is_refused_with_what_was_meant(key: str, given: str, meant: str) -> None:
    """The network saw numbers near -540, trained badly, and nothing said why."""
    message = complaint((f"data.{key}", given))
    assert message.startswith(f"command line: data.{key}: the scale is 0-1")
    assert message.endswith(f"divided by 255: {meant}")
    assert getattr(recipes.load(None, [(f"data.{key}", "[1, 0.5, 0.003]")]).data, key) == (1, 0.5, 0.003)


@pytest.mark.parametrize("path", ["[2024]photos", "{a}", "[1, 2]", "[", "~"])
def test_brackets_in_a_path_are_its_own(path: str, monkeypatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    wanted = Path("/home/me" if path == "~" else path)
    flags = [("data.source.name", "folder"), ("data.source.directory", path), ("model.weights", path)]
    settings = recipes.load(None, [*flags, ("runtime.run_folder", path), ("data.source.classes", path)])
    assert settings.data.source.directory == settings.data.source.classes == wanted
    assert settings.model.weights == settings.runtime.run_folder == wanted
    assert recipes.load(None, [*flags, ("model.weights", "null")]).model.weights is None


def test_a_home_is_expanded_where_no_shell_did_so(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "recipe.yaml").write_text("data: {source: {name: folder, directory: ~/photos}}\n")
    assert recipes.load("~/recipe.yaml").data.source.directory == tmp_path / "photos"


def test_the_help_of_a_setting_of_several_sources_speaks_of_all() -> None:
    from keras_imagenet.settings.explain import setting_names

    assert "digit" not in setting_names()["data.source.validation_fraction"]


@pytest.mark.parametrize("sized", [{"data.size": 16}, {"data": {"size": 16}}])
def test_whoever_gives_photos_a_size_knows_of_the_digits_recipe(sized) -> None:
    photos = {"data.source.name": "folder", "data.source.directory": "photos"}
    for overrides, lines in ((photos, 1), (photos | sized, 0)):
        assert len(recipes.made_for_digits(recipes.load(recipes.DEFAULT_RECIPE, overrides), overrides)) == lines


def test_of_what_is_not_read_of_a_run_nothing_is_left(tmp_path: Path) -> None:
    """`predict` and `evaluate` read a run's model and data; its average and teacher are other groups, which need a name."""
    run = tmp_path / "settings.yaml"
    run.write_text(
        "model: {name: cifar_net}\naverage: {name: lookahead, every: 5}\nteacher: {name: soft, source: runs/large}\n"
    )
    read = recipes.load(run, only=("model.", "data.source"))
    assert (read.model.name, read.average, read.teacher) == ("cifar_net", None, None)
