"""The front door: one short function a command. No TensorFlow before a command needs it."""

import argparse
import contextlib
import os
import re
import shlex
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import NoReturn

from keras_imagenet import __version__
from keras_imagenet.console import Console, open_standard_streams, printable
from keras_imagenet.errors import KerasImagenetError, SettingsError, nearest

Overrides = list[tuple[str, str]]

_GO_ON = "a run goes on by: keras-imagenet fit --config {0} --runtime.run_folder {0}"
_OTHER_WORDS = {
    "lr": "optimizer.learning_rate",
    "arch": "model.name",
    "data": "data.source.directory",
    "output": "runtime.run_folder",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code."""
    open_standard_streams()
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in arguments
    try:
        rest, overrides = split_settings(arguments)
        _no_dashed_files(rest)
        parsed, unknown = _parser().parse_known_args(rest)
        if unknown:
            raise SettingsError(_unknown_argument(unknown[0], parsed.parser))
        parsed.console = Console.standard(as_json=parsed.json)
        with parsed.console.redrawn():
            parsed.console.doing("starting")
            return parsed.run(parsed, overrides) or 0
    except KerasImagenetError as error:
        if debug:
            traceback.print_exc()
        _complain(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        _complain("interrupted")
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except Exception as error:  # The last resort: one line, unless the traceback is asked for.
        if debug:
            raise
        first_line = next(iter(str(error).splitlines()), "")
        _complain(f"{type(error).__name__}: {first_line} (--debug shows the traceback)")
        return 1


def _complain(message: str) -> None:
    with contextlib.suppress(OSError):  # nobody reads it; the exit code says so, too
        print(f"keras-imagenet: {printable(message)}", file=sys.stderr, flush=True)


def split_settings(arguments: Sequence[str]) -> tuple[list[str], Overrides]:
    """Arguments without the settings, and the settings among them, before a --: --group.key VALUE, --group.key=VALUE, --phases VALUE."""
    rest: list[str] = []
    overrides: Overrides = []
    queue = list(arguments)
    while queue:
        word = queue.pop(0)
        if word == "--":
            return [*rest, word, *queue], overrides
        name, equals, value = word.partition("=")
        if not name.startswith("--") or ("." not in name and name != "--phases"):
            rest.append(word)
            continue
        if not equals:
            if not queue:
                raise SettingsError(f"command line: {name}: needs a value")
            value = queue.pop(0)
        overrides.append((name.removeprefix("--"), value))
    return rest, overrides


def fit(parsed: argparse.Namespace, overrides: Overrides) -> None:
    """Train."""
    from keras_imagenet import api, recipes

    recipe = parsed.config or recipes.DEFAULT_RECIPE
    settings = recipes.load(recipe, overrides)
    if parsed.dry_run:
        api.dry_run(settings, console=_console(parsed), debug=parsed.debug)
    else:
        api.fit(settings, recipe=recipe, console=_console(parsed), debug=parsed.debug)


def evaluate(parsed: argparse.Namespace, overrides: Overrides) -> None:
    """Measure a run, or a network with published weights, on labelled images."""
    from keras_imagenet import api

    api.evaluate(
        parsed.run_or_model,
        overrides,
        weights=parsed.weights,
        config=parsed.config,
        output=parsed.output,
        console=_console(parsed),
        debug=parsed.debug,
    )


def predict(parsed: argparse.Namespace, overrides: Overrides) -> None:
    """Say what is on images."""
    from keras_imagenet import api

    _no_settings(overrides, "predict")
    api.predict(parsed.run_folder, parsed.images, top=parsed.top, console=_console(parsed), debug=parsed.debug)


def export(parsed: argparse.Namespace, overrides: Overrides) -> None:
    """Write a SavedModel for TF Serving."""
    from keras_imagenet import api

    _no_settings(overrides, "export")
    api.export(
        parsed.run_folder,
        directory=parsed.output,
        max_pixels=parsed.max_pixels,
        console=_console(parsed),
        debug=parsed.debug,
    )


def models(parsed: argparse.Namespace, overrides: Overrides) -> None:
    """List networks by pattern, or build one and show it in detail."""
    from keras_imagenet import api
    from keras_imagenet.models import describe, registry

    _no_settings(overrides, "models")
    if parsed.name in registry.names():
        api.describe(
            parsed.name,
            batch_size=parsed.batch_size,
            picture=parsed.output,
            console=_console(parsed),
            debug=parsed.debug,
        )
        return
    rows = describe.listing(parsed.name or "*")
    if not rows:
        raise SettingsError(f"models {parsed.name}: no network is called so{nearest(parsed.name, registry.names())}")
    _console(parsed).result(rows, describe.listing_text(rows).split("\n"))


def recipes(parsed: argparse.Namespace, overrides: Overrides) -> None:
    """List recipes by pattern, or say what one means for so many examples."""
    from pathlib import Path

    from keras_imagenet import recipe_table
    from keras_imagenet.recipes import recipe_names

    _no_settings(overrides, "recipes")
    if parsed.name not in recipe_names():
        rows = recipe_table.listing(parsed.name or "*")
        _console(parsed).result(rows, recipe_table.listing_lines(rows))
        return
    content = recipe_table.details(parsed.name, parsed.examples)
    lines = recipe_table.details_lines(content)
    if parsed.output is not None:
        if parsed.examples is None:
            raise SettingsError("--output: the rate is drawn over steps; --examples N says of how many examples")
        recipe_table.draw(parsed.name, parsed.examples, Path(parsed.output))
        lines.append(f"picture: {parsed.output}")
    _console(parsed).result(content, lines)


def data(parsed: argparse.Namespace, overrides: Overrides) -> None:
    """Show a data set."""
    from pathlib import Path

    from keras_imagenet import api, recipes

    settings = recipes.load(parsed.recipe or recipes.DEFAULT_RECIPE, overrides)
    file = Path(parsed.output) if parsed.output else None
    api.data(settings, file=file, limit=parsed.limit, console=_console(parsed), debug=parsed.debug)


def prepare(parsed: argparse.Namespace, overrides: Overrides) -> None:
    """Write seekable shards."""
    from keras_imagenet import api
    from keras_imagenet.settings.prepare import read

    _no_settings(overrides, "prepare")
    api.prepare(read(vars(parsed)), console=_console(parsed), debug=parsed.debug)


def benchmark(parsed: argparse.Namespace, overrides: Overrides) -> None:
    """Measure the data path."""
    from pathlib import Path

    from keras_imagenet import api, recipes

    settings = recipes.load(parsed.config or recipes.DEFAULT_RECIPE, overrides)
    file = Path(parsed.output) if parsed.output else None
    api.benchmark(
        settings,
        evaluation=parsed.evaluation,
        seconds=parsed.seconds,
        file=file,
        console=_console(parsed),
        debug=parsed.debug,
    )


def runs(parsed: argparse.Namespace, overrides: Overrides) -> None:
    """Compare run folders."""
    from keras_imagenet.run_table import table

    _no_settings(overrides, "runs")
    rows, lines = table(parsed.directory)
    _console(parsed).result(rows, lines)


def schema(parsed: argparse.Namespace, overrides: Overrides) -> None:
    """Print the JSON schema of recipes."""
    import json

    from keras_imagenet.recipes import json_schema

    _no_settings(overrides, "schema")
    print(json.dumps(json_schema(), indent=2))


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="keras-imagenet", description="From photographs to a served classifier.", allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"keras-imagenet {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND", parser_class=_Parser)

    def command(name: str, run: Callable, help_line: str, *, takes_settings: bool = False) -> argparse.ArgumentParser:
        child = commands.add_parser(name, help=help_line, description=help_line, allow_abbrev=False)
        child.add_argument(
            "--json", action="store_true", help="print one JSON object, and nothing else, on standard output"
        )
        child.add_argument("--debug", action="store_true", help="show tracebacks, and TensorFlow's own notices")
        child.set_defaults(run=run, parser=child)
        child.takes_settings = takes_settings
        return child

    _network_commands(command)
    _recipe_command(command)
    _data_commands(command)
    _further_commands(command)
    return parser


def _network_commands(command: Callable[..., argparse.ArgumentParser]) -> None:
    child = command(
        "fit", fit, "train a network; without arguments, the simple CNN on handwritten digits", takes_settings=True
    )
    child.add_argument("--config", metavar="RECIPE", help="a recipe by path or by name, such as digits/simple_cnn")
    child.add_argument(
        "--dry_run", action="store_true", help="show what would be done, try one batch, and leave nothing behind"
    )

    child = command(
        "evaluate", evaluate, "measure a run, or a network with weights, on labelled images", takes_settings=True
    )
    child.add_argument(
        "run_or_model", type=os.path.expanduser, metavar="RUN", help="a run folder, or a network's name with --weights"
    )
    child.add_argument(
        "--weights",
        type=os.path.expanduser,
        metavar="FILE",
        help="weights for a network given by name, as model.weights",
    )
    child.add_argument("--config", metavar="RECIPE", help="a recipe whose data a network given by name is measured on")
    child.add_argument(
        "--output",
        type=os.path.expanduser,
        metavar="FOLDER",
        help="write predictions.csv, classes.csv, confusion.png and mistakes.png there",
    )

    child = command("predict", predict, "say what is on images")
    child.add_argument("run_folder", type=os.path.expanduser, metavar="RUN", help="a run folder")
    child.add_argument(
        "images", type=os.path.expanduser, metavar="IMAGE", nargs="+", help="image files, or folders of them"
    )
    child.add_argument("--top", type=int, default=5, metavar="K", help="how many classes to name (default: 5)")

    child = command("export", export, "write a SavedModel for TF Serving")
    child.add_argument("run_folder", type=os.path.expanduser, metavar="RUN", help="a run folder")
    child.add_argument(
        "--output",
        type=os.path.expanduser,
        metavar="FOLDER",
        help="where the numbered versions go (default: RUN/saved_model)",
    )
    child.add_argument(
        "--max_pixels", type=int, metavar="N", help="largest image that is decoded, in pixels (default: 178,956,970)"
    )

    child = command("models", models, "list networks, or show one in detail")
    child.add_argument(
        "name", nargs="?", metavar="NAME", help="a network to build and show, or a pattern such as 'resnet*'"
    )
    child.add_argument(
        "--batch_size", type=int, default=32, metavar="N", help="images the memory is counted for (default: 32)"
    )
    child.add_argument("--output", type=os.path.expanduser, metavar="FILE.svg", help="draw the graph there")


def _recipe_command(command: Callable[..., argparse.ArgumentParser]) -> None:
    child = command("recipes", recipes, "list recipes, or say what one means for so many examples")
    child.add_argument(
        "name", nargs="?", metavar="NAME", help="a recipe, or a pattern such as 'imagenet/torchvision/*'"
    )
    child.add_argument("--examples", type=int, metavar="N", help="training examples that steps and rates are told for")
    child.add_argument("--output", type=os.path.expanduser, metavar="FILE.png", help="draw the learning rate there")


def _data_commands(command: Callable[..., argparse.ArgumentParser]) -> None:
    child = command(
        "data", data, "show what a data set holds, and a sheet of images as the network gets them", takes_settings=True
    )
    child.add_argument(
        "recipe",
        type=os.path.expanduser,
        nargs="?",
        metavar="RECIPE",
        help="a recipe by path or by name, or a run folder",
    )
    child.add_argument(
        "--output",
        type=os.path.expanduser,
        metavar="FILE.png",
        help="draw the first training batch there, before mixing",
    )
    child.add_argument(
        "--limit", type=int, default=5000, metavar="N", help="most images of a split that are opened (default: 5000)"
    )

    child = command("prepare", prepare, "write tars, a folder or a TFDS set as seekable shards, every image checked")
    child.more_options = _prepare_options

    child = command("benchmark", benchmark, "measure how fast a recipe's images come", takes_settings=True)
    child.add_argument(
        "what", choices=["pipeline"], metavar="pipeline", help="reading, decoding, augmenting and batching"
    )
    child.add_argument("--config", metavar="RECIPE", help="a recipe by path or by name")
    child.add_argument("--evaluation", action="store_true", help="evaluation's crop instead of training's")
    child.add_argument("--seconds", type=float, default=5.0, metavar="S", help="for each stage (default: 5)")
    child.add_argument(
        "--output", type=os.path.expanduser, metavar="FILE.json", help="write the result there, and a plot beside it"
    )


def _further_commands(command: Callable[..., argparse.ArgumentParser]) -> None:
    child = command("runs", runs, "compare run folders")
    child.add_argument(
        "directory",
        type=os.path.expanduser,
        nargs="?",
        default="runs",
        metavar="FOLDER",
        help="the folder of run folders (default: runs)",
    )

    command("schema", schema, "print the JSON schema of recipes, for editors")


class _Parser(argparse.ArgumentParser):
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


def _prepare_options(parser: argparse.ArgumentParser) -> None:
    """An option for each field of the group, with its help line."""
    from keras_imagenet.settings.prepare import PrepareSettings

    for name, field in PrepareSettings.model_fields.items():
        default = "" if field.default is None or field.is_required() else f" (default: {field.default})"
        parser.add_argument(f"--{name}", help=field.description + default, required=field.is_required())


def _no_dashed_files(arguments: Sequence[str]) -> None:
    """A file called -x.jpg is taken for options, unless it comes after a --."""
    from pathlib import Path

    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    for word in options:
        if word.startswith("-") and word != "-h" and Path(word).is_file():
            raise SettingsError(
                f"command line: {word}: a name that begins with - is read as an option; write -- before it"
            )


def _no_settings(overrides: Overrides, command: str) -> None:
    if overrides:
        raise SettingsError(
            f"command line: --{overrides[0][0]}: {command} takes no settings; what it needs is in the run folder"
        )


def _console(parsed: argparse.Namespace) -> Console:
    return parsed.console


def _unknown_argument(word: str, parser: "_Parser") -> str:
    """What to write instead: the command's nearest option, or setting by its last part (by the one before, of a name)."""
    from keras_imagenet.settings.explain import setting_names

    if not word.startswith("-"):
        return f"command line: {word}: unexpected argument{_instead_of(word) if parser.takes_settings else ''}"
    name = word.lstrip("-").partition("=")[0].replace("-", "_")
    if name == "resume":
        return f"command line: {word}: unknown argument; {_GO_ON.format('RUN')}"
    settings = [*reversed(list(setting_names()))] if parser.takes_settings else []
    known = {setting.removesuffix(".name").rpartition(".")[2]: f"--{setting}" for setting in settings}
    known |= {key: f"--{setting}" for key, setting in _OTHER_WORDS.items() if setting in settings}
    known |= {option.lstrip("-"): option for option in parser.options}
    return f"command line: {word}: unknown argument{nearest(name, known)}"


def _instead_of(word: str) -> str:
    """What to type where somebody gave a run, a recipe or images without an option."""
    from keras_imagenet.recipes import recipe_names

    ending, quoted = os.path.splitext(word)[1].lower(), shlex.quote(word)
    if os.path.isfile(os.path.join(word, "settings.yaml")):
        return f"; {_GO_ON.format(quoted)}"
    if word in recipe_names() or ending in (".yaml", ".yml"):
        return f"; a recipe is given as --config {quoted}"
    if os.path.isdir(word):
        return f"; a folder of images is given as --config photos/resnet18 --data.source.directory {quoted}"
    if ending in (".csv", ".tsv", ".npz"):
        return f"; its images are given as --data.source.name {'arrays' if ending == '.npz' else 'csv'} --data.source.file {quoted}"
    return ""
