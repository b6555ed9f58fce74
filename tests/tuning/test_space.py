"""What a search varies is checked against the settings before anything is trained."""

import pytest

from keras_imagenet.errors import SettingsError
from keras_imagenet.recipes import load
from keras_imagenet.tuning.space import Range, Values, applied, asked, candidates, read

SETTINGS = load("digits/simple_cnn")


def test_ranges_have_the_types_of_their_settings() -> None:
    words = ["optimizer.learning_rate=log:1e-4:1", "loss.label_smoothing=0:0.2", "train.batch_size=16:64"]
    space = read(asked([*words, "augment.flip=none,horizontal"]), SETTINGS)
    assert space == {
        "optimizer.learning_rate": Range(1e-4, 1.0, log=True),
        "loss.label_smoothing": Range(0.0, 0.2),
        "train.batch_size": Range(16, 64),
        "augment.flip": Values(("none", "horizontal")),
    }
    assert [type(space[name].low) for name in list(space)[:3]] == [float, float, int]


def test_values_of_python_are_those_of_the_command_line() -> None:
    space = read({"optimizer.nesterov": [True, False], "train.clip_norm": [None, 1.0]}, sgd := load(None))
    assert space == {"optimizer.nesterov": Values(("true", "false")), "train.clip_norm": Values(("null", "1.0"))}
    found = [(one.optimizer.nesterov, one.train.clip_norm) for one in candidates(space, sgd)]
    assert found == [(True, None), (True, 1.0), (False, None), (False, 1.0)]


def test_another_optimizer_starts_its_group_afresh() -> None:
    found = applied(SETTINGS, {"optimizer.learning_rate": 0.5, "optimizer.name": "sgd"})
    assert (found.optimizer.name, found.optimizer.learning_rate, found.train) == ("sgd", 0.5, SETTINGS.train)


@pytest.mark.parametrize(
    ("word", "wanted"),
    [
        (
            "optimizer.learning_rate",
            "--over optimizer.learning_rate: optimizer.learning_rate needs a range, such as 0:0.2",
        ),
        ("optimizer.learning=0:1", "--over: optimizer.learning: unknown setting; did you mean learning_rate?"),
        ("optimizer.learning_rate=0:1", "--over: optimizer.learning_rate = '0': input should be greater than 0"),
        ("optimizer.learning_rate=1:0.1", "--over optimizer.learning_rate=1:0.1: must rise"),
        ("model.dropout=log:0:0.5", "--over model.dropout=log:0:0.5: must rise, from above 0"),
        ("train.batch_size=16:64.5", "--over: train.batch_size = '64.5': "),
        ("augment.flip=none,horizontl", "--over: augment.flip = horizontl: must be one of"),
        ("augment.flip=none", "--over augment.flip=none: needs a range LOW:HIGH, or several values"),
        ("data.source.name=digits,folder", "--over data.source.name: other examples would be measured"),
        (
            "data.also.v2.validation_fraction=0.1:0.2",
            "--over data.also.v2.validation_fraction: nothing in a run goes by",
        ),
        ("runtime.threads=1:2", "--over runtime.threads=1:2: not every value makes another run"),
        ("augment.flip=none,none", "--over augment.flip=none,none: not every value makes another run"),
        ("optimizer.name=adam,sgdx", "--over: optimizer.name = sgdx: must be one of"),
    ],
)
def test_a_mistake_is_one_line(word: str, wanted: str) -> None:
    with pytest.raises(SettingsError) as raised:
        read(asked([word]), SETTINGS)
    assert str(raised.value).startswith(wanted)
    assert "\n" not in str(raised.value)


def test_values_that_do_not_go_together_are_found_before_the_first_trial() -> None:
    """Each by itself would do."""
    sgd = load("digits/simple_cnn", {"optimizer.name": "sgd"})
    with pytest.raises(SettingsError, match="nesterov does nothing without momentum"):
        read({"optimizer.momentum": "0:0.9", "optimizer.nesterov": ["false", "true"]}, sgd)


def test_one_value_of_python_is_nothing_to_search() -> None:
    with pytest.raises(SettingsError, match=r"^--over augment.rotation=10: needs a range LOW:HIGH, or several values$"):
        read({"augment.rotation": 10}, SETTINGS)


def test_a_setting_is_varied_once() -> None:
    with pytest.raises(SettingsError, match=r"model\.dropout is given twice"):
        asked(["model.dropout=0:0.5", "model.dropout=0:0.6"])
    with pytest.raises(SettingsError, match="needs something to vary"):
        read({}, SETTINGS)
