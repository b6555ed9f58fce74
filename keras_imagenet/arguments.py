"""Words of a command line: settings among them, and what to write instead of those that nobody knows. No TensorFlow."""

import argparse
import os
import re
from collections.abc import Callable, Sequence
from typing import NoReturn

from keras_imagenet.errors import SettingsError, nearest

Overrides = list[tuple[str, str]]

_GO_ON = "a run goes on by: keras-imagenet fit --config {0} --runtime.run_folder {0}"
WHOLE = ("--phases", "--average")
"""Settings without a dot that a flag sets: a list, and a group that null takes away."""
_OTHER_WORDS = {
    "lr": "optimizer.learning_rate",
    "arch": "model.name",
    "data": "data.source.directory",
    "output": "runtime.run_folder",
}


def split_settings(arguments: Sequence[str]) -> tuple[list[str], Overrides]:
    """Arguments without the settings, and the settings among them, before a --: --group.key VALUE, --group.key=VALUE; WHOLE."""
    rest: list[str] = []
    overrides: Overrides = []
    queue = list(arguments)
    while queue:
        word = queue.pop(0)
        if word == "--":
            return [*rest, word, *queue], overrides
        name, equals, value = word.partition("=")
        if not name.startswith("--") or ("." not in name and name not in WHOLE):
            rest.append(word)
            continue
        if not equals:
            if not queue:
                raise SettingsError(f"command line: {name}: needs a value")
            value = queue.pop(0)
        overrides.append((name.removeprefix("--"), value))
    return rest, overrides


class Parser(argparse.ArgumentParser):
    """A parser whose complaint is one line, and whose help lists the settings where the command takes them."""

    takes_settings = False

    @property
    def options(self) -> list[str]:
        """The words that it knows, such as --config."""
        return [word for action in self._actions for word in action.option_strings]

    more_options: Callable[[argparse.ArgumentParser], None] | None = None  # added when the command is the one given

    def parse_known_args(self, args=None, namespace=None):
        """argparse's, with the options that need a loaded group of settings."""
        if self.more_options is not None:
            self.more_options, add = None, self.more_options
            add(self)
        return super().parse_known_args(args, namespace)

    def _check_value(self, action, value) -> None:
        """argparse's, with the nearest choice."""
        if action.choices is not None and value not in action.choices:
            choices = list(action.choices)
            raise SettingsError(
                f"command line: {value}: must be one of {', '.join(choices)}{nearest(value, choices)} ({self.prog} --help)"
            )

    def error(self, message: str) -> NoReturn:
        """Raise the complaint as a SettingsError."""
        message = re.sub(r"^argument (\S+): expected one argument$", r"\1: needs a value", message)
        raise SettingsError(f"command line: {message} ({self.prog} --help)")

    def format_help(self) -> str:
        """argparse's help, then every setting by group."""
        text = super().format_help()
        if self.takes_settings:
            from keras_imagenet.settings.explain import help_lines

            text += "\nsettings, in a recipe or here as --group.key VALUE:\n" + "\n".join(help_lines()) + "\n"
        return text


def require_no_dashed_files(arguments: Sequence[str]) -> None:
    """A file called -x.jpg is taken for options, unless it comes after a --."""
    from pathlib import Path

    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    for word in options:
        if word.startswith("-") and word != "-h" and Path(word).is_file():
            raise SettingsError(
                f"command line: {word}: a name that begins with - is read as an option; write -- before it"
            )


def require_no_empty_words(arguments: Sequence[str]) -> None:
    """An empty word is most often a variable that the shell does not know, and means nothing."""
    for before, word in zip(("", *arguments), arguments, strict=False):
        name, equals, value = word.partition("=")
        if not word or (name.startswith("--") and equals and not value):
            where = name or (before if before.startswith("--") else "an argument")
            raise SettingsError(f"command line: {where}: is empty; a variable of the shell may not be set")


def require_no_recipe(photos: str | None) -> None:
    """Raise the right words where somebody gave a recipe's name in place of photos."""
    from keras_imagenet.recipes import recipe_names

    if photos in recipe_names() and not os.path.exists(photos):
        raise SettingsError(f"{photos}: is a recipe, which is given as --config {photos}")


def require_no_settings(overrides: Overrides, command: str) -> None:
    if overrides:
        raise SettingsError(
            f"command line: --{overrides[0][0]}: {command} takes no settings; what it needs is in the run folder"
        )


def unknown_argument(word: str, parser: "Parser") -> str:
    """What to write instead: the command's nearest option, or setting by its last part (by the one before, of a name)."""
    from keras_imagenet.settings.explain import setting_names

    if not word.startswith("-"):
        return f"command line: {word}: unexpected argument"
    name = word.lstrip("-").partition("=")[0].replace("-", "_")
    if name == "resume":
        return f"command line: {word}: unknown argument; {_GO_ON.format('RUN')}"
    settings = [*reversed(list(setting_names()))] if parser.takes_settings else []
    known = {setting.removesuffix(".name").rpartition(".")[2]: f"--{setting}" for setting in settings}
    known |= {key: f"--{setting}" for key, setting in _OTHER_WORDS.items() if setting in settings}
    known |= {option.lstrip("-"): option for option in parser.options}
    return f"command line: {word}: unknown argument{nearest(name, known)}"
