"""The front door: one short function a command. No TensorFlow before a command needs it."""

import argparse
import contextlib
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from functools import partial

from keras_imagenet import __version__
from keras_imagenet.arguments import (
    Overrides,
    Parser,
    require_no_dashed_files,
    require_no_empty_words,
    require_no_recipe,
    require_no_settings,
    split_settings,
    unknown_argument,
)
from keras_imagenet.console import Console, open_standard_streams
from keras_imagenet.errors import KerasImagenetError, SettingsError, nearest

_RUN_OR_NAME = "a run folder, or the name of a network with published weights"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code."""
    open_standard_streams()
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in arguments
    try:
        require_no_empty_words(arguments)
        rest, overrides = split_settings(arguments)
        require_no_dashed_files(rest)
        parsed, unknown = _parser().parse_known_args(rest)
        if unknown:
            raise SettingsError(unknown_argument(unknown[0], parsed.parser))
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
        Console(sys.stderr).say(f"keras-imagenet: {message}")


def fit(parsed: argparse.Namespace, overrides: Overrides) -> None:
    """Train."""
    from keras_imagenet import api

    require_no_recipe(parsed.photos)
    if parsed.find_rate and parsed.dry_run:
        raise SettingsError("command line: --find_rate, --dry_run: give one of them")
    if parsed.output is not None and not parsed.find_rate:
        raise SettingsError("command line: --output: is the picture of --find_rate; did you mean --runtime.run_folder?")
    act = api.dry_run if parsed.dry_run else api.fit
    if parsed.find_rate:
        act = partial(api.find_rate, output=parsed.output)
    act(parsed.photos, overrides, recipe=parsed.config, console=parsed.console, debug=parsed.debug)


def tune(parsed: argparse.Namespace, overrides: Overrides) -> None:
    """Search settings."""
    from keras_imagenet import api
    from keras_imagenet.tuning.space import asked

    require_no_recipe(parsed.photos)
    api.tune(
        parsed.photos,
        overrides,
        over=asked(parsed.over),
        output=parsed.output,
        recipe=parsed.config,
        trials=parsed.trials,
        prune=parsed.prune,
        console=parsed.console,
        debug=parsed.debug,
    )


def evaluate(parsed: argparse.Namespace, overrides: Overrides) -> None:
    """Measure a run, or a network with published weights, on labelled images."""
    from keras_imagenet import api

    api.evaluate(
        parsed.run_or_name,
        overrides,
        photos=parsed.photos,
        weights=parsed.weights,
        config=parsed.config,
        output=parsed.output,
        console=parsed.console,
        debug=parsed.debug,
    )


def predict(parsed: argparse.Namespace, overrides: Overrides) -> None:
    """Say what is on images."""
    from keras_imagenet import api

    require_no_settings(overrides, "predict")
    api.predict(
        parsed.run_or_name,
        parsed.images,
        top=parsed.top,
        file=parsed.output,
        console=parsed.console,
        debug=parsed.debug,
    )


def features(parsed: argparse.Namespace, overrides: Overrides) -> None:
    """Write what a network sees on images before its last layer."""
    from keras_imagenet import api

    require_no_settings(overrides, "features")
    api.features(parsed.run_or_name, parsed.images, file=parsed.output, console=parsed.console, debug=parsed.debug)


def demo(parsed: argparse.Namespace, overrides: Overrides) -> None:
    """Show a page to drop a photo on."""
    from keras_imagenet import api

    require_no_settings(overrides, "demo")
    api.demo(parsed.run_or_name, port=parsed.port, console=parsed.console, debug=parsed.debug)


def export(parsed: argparse.Namespace, overrides: Overrides) -> None:
    """Write a SavedModel for TF Serving."""
    from keras_imagenet import api

    require_no_settings(overrides, "export")
    api.export(
        parsed.run_folder,
        directory=parsed.output,
        max_pixels=parsed.max_pixels,
        console=parsed.console,
        debug=parsed.debug,
    )


def models(parsed: argparse.Namespace, overrides: Overrides) -> None:
    """List networks by pattern, or build one and show it in detail."""
    from keras_imagenet import api
    from keras_imagenet.models import describe, registry

    require_no_settings(overrides, "models")
    if parsed.name in registry.names():
        api.describe(
            parsed.name,
            batch_size=parsed.batch_size,
            picture=parsed.output,
            console=parsed.console,
            debug=parsed.debug,
        )
        return
    rows = describe.listing(parsed.name or "*")
    if not rows:
        raise SettingsError(f"models {parsed.name}: no network is called so{nearest(parsed.name, registry.names())}")
    parsed.console.result(rows, describe.listing_text(rows).split("\n"))


def recipes(parsed: argparse.Namespace, overrides: Overrides) -> None:
    """List recipes by pattern, or say what one means for so many examples."""
    from pathlib import Path

    from keras_imagenet import recipe_table
    from keras_imagenet.recipes import recipe_names

    require_no_settings(overrides, "recipes")
    if parsed.name not in recipe_names():
        given = {"--examples": parsed.examples, "--weights": parsed.weights or None, "--output": parsed.output}
        if useless := [option for option, value in given.items() if value is not None]:
            raise SettingsError(
                f"command line: {useless[0]}: is said of one recipe, by its whole name; a list has none"
            )
        rows = recipe_table.listing(parsed.name or "*")
        parsed.console.result(rows, recipe_table.listing_lines(rows))
        return
    content = recipe_table.details(parsed.name, parsed.examples)
    lines = recipe_table.details_lines(content)
    if parsed.output is not None:
        if parsed.examples is None:
            raise SettingsError("--output: the rate is drawn over steps; --examples N says of how many examples")
        recipe_table.draw(parsed.name, parsed.examples, Path(parsed.output))
        lines.append(f"picture: {parsed.output}")
    if parsed.weights:
        from keras_imagenet import api
        from keras_imagenet.recipes import load

        content["weights"], table = api.treatment(load(parsed.name), debug=parsed.debug)
        lines += ["what decay and rates act on:", *(f"  {line}" for line in table)]
    parsed.console.result(content, lines)


def data(parsed: argparse.Namespace, overrides: Overrides) -> None:
    """Show a data set."""
    from pathlib import Path

    from keras_imagenet import api

    file = Path(parsed.output) if parsed.output else None
    settings = api.settings_to_look_at(parsed.what, overrides)
    api.data(settings, file=file, limit=parsed.limit, console=parsed.console, debug=parsed.debug)


def prepare(parsed: argparse.Namespace, overrides: Overrides) -> None:
    """Write seekable shards."""
    from keras_imagenet import api
    from keras_imagenet.settings.prepare import read

    require_no_settings(overrides, "prepare")
    api.prepare(read(vars(parsed)), console=parsed.console, debug=parsed.debug)


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
        console=parsed.console,
        debug=parsed.debug,
    )


def runs(parsed: argparse.Namespace, overrides: Overrides) -> None:
    """Compare run folders."""
    from keras_imagenet.run_table import table

    require_no_settings(overrides, "runs")
    rows, lines = table(parsed.directory)
    parsed.console.result(rows, lines)


def schema(parsed: argparse.Namespace, overrides: Overrides) -> None:
    """Print the JSON schema of recipes."""
    import json

    from keras_imagenet.recipes import json_schema

    require_no_settings(overrides, "schema")
    print(json.dumps(json_schema(), indent=2))


def completion(parsed: argparse.Namespace, overrides: Overrides) -> None:
    """Print the script by which a shell completes command lines."""
    from keras_imagenet.completion import script

    require_no_settings(overrides, "completion")
    text = script(_parser(), parsed.shell)
    parsed.console.result({"shell": parsed.shell, "script": text}, text.split("\n"))


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="keras-imagenet", description="From photographs to a served classifier.", allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"keras-imagenet {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND", parser_class=Parser)

    def command(name: str, run: Callable, help_line: str, *, takes_settings: bool = False) -> argparse.ArgumentParser:
        child = commands.add_parser(name, help=help_line, description=help_line, allow_abbrev=False)
        child.add_argument(
            "--json",
            action="store_true",
            help="print one JSON object, of a list an array of them, and nothing else, on standard output",
        )
        child.add_argument("--debug", action="store_true", help="show tracebacks, and TensorFlow's own notices")
        child.set_defaults(run=run, parser=child)
        child.takes_settings = takes_settings
        return child

    _training_commands(command)
    _evaluate_command(command)
    _network_commands(command)
    _recipe_command(command)
    _data_commands(command)
    _further_commands(command)
    return parser


def _training_commands(command: Callable[..., argparse.ArgumentParser]) -> None:
    child = command(
        "fit", fit, "train a network on your photos, or, without arguments, on handwritten digits", takes_settings=True
    )
    _what_to_train(child)
    child.add_argument(
        "--dry_run", action="store_true", help="show what would be done, try one batch, and leave nothing behind"
    )
    child.add_argument(
        "--find_rate", action="store_true", help="try rising learning rates, suggest one, and leave nothing else behind"
    )
    child.add_argument(
        "--output", type=os.path.expanduser, metavar="FILE.png", help="draw the losses of --find_rate there, by rate"
    )

    child = command(
        "tune",
        tune,
        "search settings for the best validation top-1; needs Optuna, the extra [tune]",
        takes_settings=True,
    )
    _what_to_train(child)
    child.add_argument(
        "--over",
        action="append",
        default=[],
        metavar="NAME=RANGE",
        help="a setting to vary: LOW:HIGH, log:LOW:HIGH, or values A,B,...; once for each setting",
    )
    child.add_argument("--trials", type=int, default=20, metavar="N", help="trials in all (default: 20)")
    child.add_argument(
        "--prune", action="store_true", help="end trials that are below the median of the others after an epoch"
    )
    child.add_argument(
        "--output",
        type=os.path.expanduser,
        required=True,
        metavar="FOLDER",
        help="where the trials' run folders, tune.csv and best.yaml go; the same command goes on there",
    )


def _what_to_train(child: argparse.ArgumentParser) -> None:
    child.add_argument(
        "photos",
        type=os.path.expanduser,
        nargs="?",
        metavar="PHOTOS",
        help="a folder with a subfolder a class, a CSV file, an .npz file, or a folder of shards",
    )
    child.add_argument(
        "--config",
        metavar="RECIPE",
        help="a recipe by path or by name (default: photos/transfer for PHOTOS, digits/simple_cnn without)",
    )


def _evaluate_command(command: Callable[..., argparse.ArgumentParser]) -> None:
    child = command(
        "evaluate", evaluate, "measure a run, or a network with weights, on labelled images", takes_settings=True
    )
    child.add_argument("run_or_name", type=os.path.expanduser, metavar="RUN", help=_RUN_OR_NAME)
    child.add_argument(
        "photos",
        type=os.path.expanduser,
        nargs="?",
        metavar="PHOTOS",
        help="other labelled images than the run's own, as for fit",
    )
    child.add_argument(
        "--weights",
        type=os.path.expanduser,
        metavar="FILE",
        help="weights for a network given by name, as model.weights (default: published)",
    )
    child.add_argument("--config", metavar="RECIPE", help="a recipe whose data a network given by name is measured on")
    child.add_argument(
        "--output",
        type=os.path.expanduser,
        metavar="FOLDER",
        help="write predictions.csv, classes.csv, confusion.png and mistakes.png there",
    )


def _network_commands(command: Callable[..., argparse.ArgumentParser]) -> None:
    def of_network(name: str, run: Callable, help_line: str) -> argparse.ArgumentParser:
        child = command(name, run, help_line)
        child.add_argument("run_or_name", type=os.path.expanduser, metavar="RUN", help=_RUN_OR_NAME)
        return child

    def on_images(name: str, run: Callable, help_line: str) -> argparse.ArgumentParser:
        child = of_network(name, run, help_line)
        child.add_argument(
            "images", type=os.path.expanduser, metavar="IMAGE", nargs="+", help="image files, or folders of them"
        )
        return child

    child = on_images("predict", predict, "say what is on images")
    child.add_argument("--top", type=int, default=5, metavar="K", help="how many classes to name (default: 5)")
    child.add_argument(
        "--output", type=os.path.expanduser, metavar="FILE.csv", help="write the answers there, a line an image"
    )

    child = on_images("features", features, "write what a network sees on images before its last layer")
    child.add_argument(
        "--output",
        type=os.path.expanduser,
        required=True,
        metavar="FILE.npz",
        help="write images and features there, a row an image",
    )

    child = of_network("demo", demo, "show a page on this machine to drop a photo on; needs Gradio, the extra [demo]")
    child.add_argument("--port", type=int, default=0, metavar="N", help="of 127.0.0.1 (default: a free one)")

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
    child.add_argument("--weights", action="store_true", help="build the network, and say what decay and rates act on")
    child.add_argument("--output", type=os.path.expanduser, metavar="FILE.png", help="draw the learning rate there")


def _data_commands(command: Callable[..., argparse.ArgumentParser]) -> None:
    child = command(
        "data", data, "show what a data set holds, and a sheet of images as the network gets them", takes_settings=True
    )
    child.add_argument(
        "what",
        type=os.path.expanduser,
        nargs="?",
        metavar="WHAT",
        help="photos, as for fit, a recipe by path or by name, or a run folder",
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

    child = command("completion", completion, "print the script that lets a shell complete command lines")
    child.add_argument("shell", choices=["bash", "zsh"], metavar="SHELL", help="bash or zsh, which then evaluates it")


def _prepare_options(parser: argparse.ArgumentParser) -> None:
    """An option for each field of the group, with its help line."""
    from keras_imagenet.settings.prepare import PrepareSettings

    for name, field in PrepareSettings.model_fields.items():
        default = "" if field.default is None or field.is_required() else f" (default: {field.default})"
        parser.add_argument(f"--{name}", help=field.description + default, required=field.is_required())
