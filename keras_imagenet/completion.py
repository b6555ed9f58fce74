"""The script by which a shell completes our command lines: words as they are now, so that no Python starts at a TAB."""

import argparse
from collections.abc import Callable, Sequence

import shtab

from keras_imagenet.arguments import Parser
from keras_imagenet.models import registry
from keras_imagenet.recipes import recipe_names
from keras_imagenet.settings.explain import setting_names

NAMES: dict[str, Callable[[], Sequence[str]]] = {
    "config": recipe_names,
    "what": recipe_names,
    "recipes": recipe_names,
    "run_or_name": registry.names,
    "models": registry.names,
    "model.name": registry.names,
}
"""The names that may stand as an argument, by its dest; as `name`, by its command. Paths may stand there, too."""


def script(parser: Parser, shell: str) -> str:
    """What the shell, bash or zsh, evaluates once to complete commands, options, settings, recipes, networks and files.

    parser: of all commands; it gets an option for each setting, and parses no more after this.
    """
    (commands,) = (action.choices for action in parser._actions if isinstance(action.choices, dict))
    for name, command in commands.items():
        if command.more_options is not None:
            command.more_options(command)
        for setting, line in setting_names().items() if command.takes_settings else ():
            command.add_argument(f"--{setting}", dest=setting, help=line.replace("%", "%%"), metavar="VALUE")
        for action in command._actions:
            _tell(action, name if action.dest == "name" else action.dest, shell)
    text = shtab.complete(parser, shell=shell)
    if shell == "bash":  # Where none of our words fit, Readline completes paths, and quotes them better than a script.
        text += f"\ncomplete -o bashdefault -o default -F _shtab_keras_imagenet {parser.prog}\n"
    return text


def _tell(action: argparse.Action, key: str, shell: str) -> None:
    """Let shtab know what may stand as an argument: names first."""
    if action.choices is not None or action.nargs == 0:
        return
    names = NAMES[key]() if key in NAMES else ()
    if shell == "bash":
        action.choices = names or None
    else:
        action.complete = {"zsh": f"{{compadd -- {' '.join(names)}; _files}}" if names else "_files"}
