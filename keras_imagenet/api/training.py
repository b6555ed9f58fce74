"""What trains: a run, what it would do, the rate it should have, and a search over settings."""

import json
import os
import shlex
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_imagenet import cluster, recipes, run_folder, runtime
from keras_imagenet.api.opening import require_file, require_folder, with_data
from keras_imagenet.console import Console
from keras_imagenet.data import sources
from keras_imagenet.data.sources.places import source_at
from keras_imagenet.errors import Interrupted, SettingsError, TrainingStopped, writing_output
from keras_imagenet.models import assembly
from keras_imagenet.recipes import Overrides
from keras_imagenet.run_folder import RunFolder
from keras_imagenet.settings import Settings
from keras_imagenet.training import guards
from keras_imagenet.tuning import search, space
from keras_imagenet.ways_out import said_how_to_go_on

if TYPE_CHECKING:
    import keras
    import tensorflow as tf


def fit(
    what: Settings | str | os.PathLike[str] | None = None,
    overrides: Overrides = (),
    *,
    recipe: str | None = None,
    console: Console | None = None,
    callbacks: Sequence["keras.callbacks.Callback"] = (),
    debug: bool = False,
) -> RunFolder:
    """Train, and return the run folder, which holds everything that came of it: `.path`, `.metrics`, `.history`.

    what: photos (a folder with a subfolder a class, a CSV file, an .npz file, a folder of shards), or whole settings, which
    `load` makes; without either, the recipe's own data. recipe: a recipe's name or path, photos/transfer for photos and
    digits/simple_cnn without any, which names the folder too; of whole settings it is the name alone, else the network's.
    overrides: settings over the recipe's, such as {"train.epochs": 5}. callbacks: Keras' own or yours, besides TensorBoard
    and the progress display. console: where lines for people go; nowhere if not given.
    Raises SettingsError, DataError, TrainingStopped or Interrupted.
    """
    console = console or Console.silent()
    settings, recipe, splits = _to_train(what, overrides, recipe, console)
    team = cluster.find(settings.runtime)
    with _begun(settings, recipe, console, callbacks, debug=debug) as (folder, own, strategy):
        from keras_imagenet.training import fit as training

        metrics = training.fit(settings, splits, strategy, folder, own, callbacks)
    if team is None or team.index == 0:
        content = {"state": "not finished"} if metrics is None else metrics
        lines = [] if metrics is None else _closing_lines(folder, metrics)
        console.result(content | {"run_folder": str(folder.path)}, lines)
    return folder


def find_rate(
    what: Settings | str | os.PathLike[str] | None = None,
    overrides: Overrides = (),
    *,
    recipe: str | None = None,
    output: str | os.PathLike[str] | None = None,
    console: Console | None = None,
    debug: bool = False,
) -> dict[str, Any]:
    """Try what `fit` would train, for some hundred steps at rising learning rates, and suggest one; nothing else remains.

    what, overrides, recipe: as for fit. output: a PNG picture of the losses by rate. Returns suggestion, a value for
    optimizer.learning_rate in the recipe's units (None where the loss fell at no rate), and the lists rate and loss, of
    each step. Raises SettingsError, DataError, TrainingStopped or Interrupted.
    """
    console = console or Console.silent()
    picture = None if output is None else Path(output)
    if picture is not None:
        if picture.suffix.lower() != ".png":
            raise SettingsError(f"--output {picture}: is drawn as PNG; give a name that ends in .png")
        require_file(picture)
    settings, acting, splits = _to_train(what, overrides, recipe, console)
    if settings.train.epochs == 0:
        raise SettingsError("find_rate: no rate acts in a run of no epochs, whose head is solved; give train.epochs 1")
    team = cluster.find(settings.runtime)
    with guards.raising():
        console.doing("starting TensorFlow")
        strategy = runtime.start(settings.runtime, None, debug=debug, cluster=team)
        from keras_imagenet import report
        from keras_imagenet.training import range_test, workers

        with workers.missed(team):
            rates, losses = range_test.measure(settings, splits, strategy, console)
        found = range_test.suggestion(rates, losses)
        lines = range_test.lines(settings, found, rates)
        if found is not None and not isinstance(what, Settings):
            lines += ["to train with it:", f"  {_command(what, overrides, acting, found.settings(settings))}"]
        if picture is not None and workers.index(strategy) == 0:
            with writing_output(picture):
                report.write_rates(picture, rates, losses, range_test.smoothed(losses), found and found.rate)
            lines.append(f"picture: {picture}")
        content = {"suggestion": found and found.rate, "rate": rates, "loss": losses}
        if workers.index(strategy) == 0:
            console.result(content, lines)
    return content


def tune(
    what: Settings | str | os.PathLike[str] | None = None,
    overrides: Overrides = (),
    *,
    over: space.Over,
    output: str | os.PathLike[str],
    recipe: str | None = None,
    trials: int = 20,
    prune: bool = False,
    console: Console | None = None,
    debug: bool = False,
) -> dict[str, Any]:
    """Search settings: train trial after trial, each in a run folder of its own in `output`, for the best validation top-1.

    what, overrides, recipe: as for fit. over: what varies, such as {"optimizer.learning_rate": "log:0.001:1",
    "augment.flip": ["none", "horizontal"]}. trials: how many there are to be in all; the same call goes on where it was.
    prune: whether a trial ends after an epoch whose top-1 lies below the median of the others'. Returns best (a trial's
    row), recipe (a file of its settings) and trials (a row each). Raises SettingsError, DataError, TrainingStopped where no
    trial came to its end, or Interrupted.
    """
    console = console or Console.silent()
    search.require_optuna()
    if trials < 1:
        raise SettingsError(f"--trials {trials}: must be at least 1")
    settings, acting, splits = _to_train(what, overrides, recipe, console)
    _require_searchable(settings, splits)
    varied = space.read(over, settings)
    for candidate in space.candidates(varied, settings):
        assembly.require_known(candidate.model.name)
    folder = Path(output)
    require_folder(folder)
    study = search.opened(folder, settings, varied, splits.fingerprint, prune=prune)

    def train(own: Settings, callbacks: Sequence["keras.callbacks.Callback"]) -> RunFolder:
        with _begun(own, acting, console, callbacks, debug=debug) as (folder, shown, strategy):
            from keras_imagenet.training import fit as training

            training.fit(own, splits, strategy, folder, shown, callbacks)
        return folder

    with _the_same_command_goes_on():
        console.doing("starting TensorFlow")
        runtime.start(settings.runtime, None, debug=debug)
        found = search.run(study, folder, settings, varied, trials, train, console.say, prune=prune)
    best = search.best_of(found)
    if best is None:
        raise TrainingStopped(f"no trial came to its end; {folder / search.TABLE} says why")
    content = {"best": best, "recipe": str(folder / search.BEST), "trials": found}
    console.result(content, search.lines(folder, found, best))
    return content


def dry_run(
    what: Settings | str | os.PathLike[str] | None = None,
    overrides: Overrides = (),
    *,
    recipe: str | None = None,
    console: Console | None = None,
    debug: bool = False,
) -> dict[str, Any]:
    """Say what `fit` would do, send one batch through, and leave nothing behind."""
    console = console or Console.silent()
    settings, _, splits = _to_train(what, overrides, recipe, console)
    console.doing("starting TensorFlow")
    strategy = runtime.start(settings.runtime, None, debug=debug)
    from keras_imagenet.data.summary import odd_lines
    from keras_imagenet.training.announcement import announcement
    from keras_imagenet.training.dry_run import try_one_batch

    run, memory = try_one_batch(settings, splits, strategy, console)
    said = [*sources.left_out_lines(splits), *odd_lines(run.training, run.preset), *announcement(run)]
    lines = [*recipes.to_yaml(settings).rstrip().split("\n"), *said, memory.line]
    content = {
        "settings": settings.model_dump(mode="json"),
        "preset": run.preset.model_dump(mode="json"),
        "steps": run.course.steps,
        "memory": asdict(memory),
        "announcement": said,
    }
    console.result(content, lines)
    return content


def settings_for(photos: str | os.PathLike[str] | None, recipe: str, overrides: Overrides = ()) -> Settings:
    """A recipe's settings on the photos at a place, or on its own data where none is named."""
    if not isinstance(photos, str | os.PathLike | None):
        right = "photos by their path (a folder, a CSV, an .npz) or settings, which load makes"
        raise SettingsError(f"fit: takes {right}, not {photos!r:.60} ({type(photos).__name__})")
    return recipes.load(recipe, overrides, source=None if photos is None else source_at(photos))


def settings_to_look_at(what: str | None, overrides: Overrides = ()) -> Settings:
    """Settings of a recipe or a run, or those that photos would be trained with; without either, the first recipe's."""
    if what is None or what in recipes.recipe_names() or recipes.is_recipe(Path(what)):
        return recipes.load(what or recipes.DEFAULT_RECIPE, overrides)
    return settings_for(what, recipes.PHOTOS_RECIPE, overrides)


def _asked(
    what: Settings | str | os.PathLike[str] | None, overrides: Overrides, recipe: str | None
) -> tuple[Settings, str, list[str]]:
    """What `fit` is to train by, the recipe's name, and what to say once the data is found."""
    if isinstance(what, Settings):
        if recipes.pairs(overrides):
            raise SettingsError("fit: overrides belong to photos or a recipe; give whole settings theirs by load(...)")
        return what, recipe or what.model.name, []
    acting = recipe or (recipes.DEFAULT_RECIPE if what is None else recipes.PHOTOS_RECIPE)
    settings = settings_for(what, acting, overrides)
    nothing_named = what is None and recipe is None
    return settings, acting, recipes.made_for_digits(settings, overrides) if nothing_named else []


def _to_train(
    what: Settings | str | os.PathLike[str] | None, overrides: Overrides, recipe: str | None, console: Console
) -> tuple[Settings, str, sources.Splits]:
    """What `fit` is to train by, checked, the recipe's name, and the data."""
    settings, recipe, lines = _asked(what, overrides, recipe)
    assembly.require_known(settings.model.name)
    console.doing("looking at the data")
    settings, splits = with_data(settings, also=True)
    sources.require_validation(settings, splits)
    for line in lines:
        console.say(line)
    return settings, recipe, splits


@contextmanager
def _begun(
    settings: Settings,
    recipe: str,
    console: Console,
    callbacks: Sequence["keras.callbacks.Callback"],
    *,
    debug: bool,
) -> Iterator[tuple[RunFolder, Console, "tf.distribute.Strategy"]]:
    """The settings' run folder, or a new one named after the recipe, a console that logs there, and the strategy to train under.

    Whatever ends the block before its time is told with the command that goes on.
    """
    team = cluster.find(settings.runtime)
    writes = team is None or team.index == 0
    with (
        run_folder.created(settings, recipe, writes=writes) as folder,
        said_how_to_go_on(folder, team),
        guards.raising(),
    ):
        console = replace(console, log_file=folder.log_file if writes else None)
        if team is not None:
            console.say(
                f"worker {team.index} of {len(team.addresses)} waits for the others: {', '.join(team.addresses)}"
            )
        console.doing("starting TensorFlow")
        strategy = runtime.start(settings.runtime, console.log_file, debug=debug, cluster=team)
        from keras_imagenet.training import callbacks as keras_callbacks
        from keras_imagenet.training import workers

        keras_callbacks.require_honourable(callbacks)
        with workers.missed(team):
            yield folder, console, strategy


def _require_searchable(settings: Settings, splits: sources.Splits) -> None:
    """Raises SettingsError where trials could not be compared, or not be made one after the other."""
    if splits.validation is None:
        raise SettingsError(
            "tune: goes by validation, and the data has no validation split; hold examples out with "
            "data.source.validation_fraction"
        )
    if not settings.train.epochs and settings.train.steps is None:
        raise SettingsError("tune: in a run of no epochs there is nothing to search; give train.epochs 1 or more")
    if settings.train.time_limit is not None:
        raise SettingsError("tune: train.time_limit would leave trials unfinished; leave it out")
    placed = settings.runtime.model_copy(update={"run_folder": Path("anywhere")})  # which workers need
    if (team := cluster.find(placed)) is not None:
        raise SettingsError(f"tune: trials are made by one process, and {team.source} names {len(team.addresses)}")
    if settings.runtime.run_folder is not None:
        raise SettingsError("tune: each trial has a run folder of its own in --output; leave runtime.run_folder out")


@contextmanager
def _the_same_command_goes_on() -> Iterator[None]:
    """A signal ends a search in words of its own: what goes on is not the run alone that was under way."""
    try:
        with guards.raising():
            yield
    except (Interrupted, KeyboardInterrupt) as error:
        number = error.exit_code - 128 if isinstance(error, Interrupted) else signal.SIGINT
        raise Interrupted("interrupted; the same command goes on with the search", number) from error


def _command(
    photos: str | os.PathLike[str] | None, overrides: Overrides, recipe: str, more: Mapping[str, float]
) -> str:
    """The command that trains so, with more settings over those that were given."""
    given = {key: value for key, value in recipes.pairs(overrides) if key not in more} | more
    words = ["keras-imagenet", "fit", *([] if photos is None else [str(photos)]), "--config", recipe]
    for key, value in given.items():
        words += [f"--{key}", value if isinstance(value, str) else json.dumps(value, default=str)]
    return shlex.join(words)


def _closing_lines(folder: RunFolder, metrics: dict[str, Any]) -> list[str]:
    """What the run reached, where it is, and what to try next."""
    from keras_imagenet.serving import evaluate as measuring

    best = metrics["best"]
    when = f"after epoch {best['epoch']}" if best and best["epoch"] else "of the solved head alone"
    earlier = f" (best top-1 {best['top1']:.4f} {when})" if best and metrics["epochs"] else ""
    run, tensorboard, example = (
        shlex.quote(str(path)) for path in (folder.path, folder.tensorboard, folder.example_file)
    )
    return [
        f"reached: {measuring.reached(metrics, len(folder.classes.names))}{earlier}",
        *(f"also: {measuring.reached(one, len(folder.classes.names))}" for one in metrics.get("also", {}).values()),
        f"run folder: {folder.path}",
        f"report: {folder.report} (curves{', classes, confusions, mistakes' * (folder.report / 'classes.csv').exists()})",
        "try next:",
        f"  tensorboard --logdir {tensorboard}",
        f"  keras-imagenet evaluate {run}",
        f"  keras-imagenet predict {run} {example}",
    ]
