"""What is wrong with prepare's options is one line that names the option."""

import pytest

from keras_imagenet.errors import SettingsError
from keras_imagenet.settings.prepare import read


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"output": "o"}, "command line: prepare: give train_tar and/or validation_tar, or folder, or tfds"),
        ({"output": "o", "folder": "f", "tfds": "t"}, "command line: prepare: give train_tar and/or"),
        ({"output": "o", "folder": "f", "quality": "300"}, "command line: --quality = 300: input should be less than"),
        (
            {"output": "o", "folder": "f", "max_side": "big"},
            "command line: --max_side = big: input should be a valid int",
        ),
        ({"output": "o", "folder": "f", "name": "My Photos"}, "command line: --name = My Photos: string should match"),
    ],
)
def test_a_mistake_is_one_line(arguments, message):
    with pytest.raises(SettingsError) as caught:
        read(arguments)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_what_is_not_given_has_its_default():
    settings = read(
        {"output": "o", "train_tar": "t", "validation_tar": "v", "shuffle": "false", "json": True, "classes": None}
    )
    assert settings.shuffle is False
    assert settings.quality is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"train_tar": "t", "devkit": "d"},
            "devkit names the classes of validation_tar; give that, or leave devkit out",
        ),
        ({"folder": "f", "tfds_directory": "d"}, "tfds_directory is where tfds is; give that, or leave"),
    ],
)
def test_what_belongs_to_another_input_is_refused(given, message):
    with pytest.raises(SettingsError, match=message):
        read({"output": "o", **given})
