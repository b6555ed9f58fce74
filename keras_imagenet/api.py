"""The entry functions: what the commands do, and the Python API. TensorFlow starts inside them, as the settings say."""

import errno
import json
import os
import shlex
import signal
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_imagenet import cluster, recipes, run_folder, runtime
from keras_imagenet.console import Console
from keras_imagenet.data import sources
from keras_imagenet.data.sources.places import source_at
from keras_imagenet.errors import DataError, Interrupted, SettingsError, TrainingStopped, writing_output
from keras_imagenet.models import assembly, freezing, registry
from keras_imagenet.preset import Preset
from keras_imagenet.recipes import Overrides
from keras_imagenet.run_folder import RunFolder
from keras_imagenet.serving import subject
from keras_imagenet.settings import RuntimeSettings, Settings
from keras_imagenet.settings.prepare import PrepareSettings
from keras_imagenet.settings.resolution import resolve
from keras_imagenet.settings.sizing import sized
from keras_imagenet.training import guards
from keras_imagenet.tuning import search, space
from keras_imagenet.ways_out import said_how_to_go_on

if TYPE_CHECKING:
    import keras

    from keras_imagenet.serving.features import Features


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
    folder, metrics = _train(settings, recipe, splits, console, callbacks, debug=debug)
    if team is None or team.index == 0:
        content = {"state": "not finished"} if metrics is None else metrics
        lines = [] if metrics is None else _closing_lines(folder, metrics)
        console.result(content | {"run_folder": str(folder.path)}, lines)
    return folder


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
        _require_file(picture)
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
    _require_folder(folder)
    study = search.opened(folder, settings, varied, splits.fingerprint, prune=prune)

    def train(own: Settings, callbacks: Sequence["keras.callbacks.Callback"]) -> RunFolder:
        return _train(own, acting, splits, console, callbacks, debug=debug)[0]

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


def evaluate(
    run_or_name: str | os.PathLike[str] | RunFolder,
    overrides: Overrides = (),
    *,
    photos: str | os.PathLike[str] | None = None,
    weights: str | None = None,
    config: str | None = None,
    output: str | None = None,
    console: Console | None = None,
    debug: bool = False,
) -> dict[str, Any]:
    """Measure a run, or a network by its name, on a source's validation split, or on all of it.

    run_or_name: what `fit` returned, a run folder, or a network, which has its best published weights unless `weights` says
    otherwise. A run is measured on its own data unless photos, or overrides such as {"data.source.directory": "photos"}, name
    other images, in the run's label order. output: a folder for each answer, each class, confusions and mistakes, as tables
    and pictures. Raises SettingsError or DataError.
    """
    console = console or Console.silent()
    if output is not None:
        _require_folder(Path(output))
    asked = subject.opened(run_or_name, overrides, photos=photos, weights=weights, config=config)
    if asked.folder is None and photos is None and config is None and not subject.names_data(overrides):
        raise SettingsError(
            f"{asked.name}: is measured on labelled photos; name them behind it, or a recipe that has some with --config"
        )
    source = asked.settings.data.source
    console.doing("looking at the data")
    splits = sources.open_labelled(source, asked.classes_file)
    asked = replace(asked, settings=sized(asked.settings, len(splits.train or splits.validation)))
    console.doing("starting TensorFlow")
    trying = asked.folder is None or any(key == "runtime.logical_cpus" for key, _ in recipes.pairs(overrides))
    log_file = asked.folder.log_file if asked.folder else None
    strategy = runtime.start(asked.settings.runtime, log_file, debug=debug, trying=trying)
    from keras_imagenet.serving import evaluate as measuring

    result, lines = measuring.evaluate(asked, splits, strategy, partial(_of_run, console=console), console, output)
    console.result(result, lines)
    return result


def predict(
    run_or_name: str | os.PathLike[str] | RunFolder,
    images: Any,
    *,
    top: int = 5,
    file: str | os.PathLike[str] | None = None,
    console: Console | None = None,
    debug: bool = False,
) -> list[dict[str, Any]]:
    """The most probable classes of images, by a run's network or by a published one of that name.

    images: a path of a file, or of a folder for all in it, an array uint8 [height, width, 3], a PIL image, or a list of
    these. An answer: image, and predictions of label, class and probability, the most probable first. file: a CSV for them,
    a line an image. Files that cannot be read are named, and end with DataError after the others are answered.
    """
    console = console or Console.silent()
    if top < 1:
        raise SettingsError(f"--top {top}: must be at least 1")
    from keras_imagenet.serving.given import given_images

    asked = subject.opened(run_or_name)
    given, missing = given_images(images)
    if not given:
        raise DataError(_named(missing) or "images: there are none")
    if file is not None:
        _require_file(Path(file))
    classes = asked.classes
    console.doing("starting TensorFlow")
    runtime.start(RuntimeSettings(), None, debug=debug)
    from keras_imagenet.serving import predict as prediction

    network = asked.network(classes.identifiers, partial(_of_run, console=console))
    answers, faults = prediction.predict(network, asked.preset, classes.names, given, top)
    if file is not None:
        prediction.write(Path(file), answers)
    lines = [line for answer in answers for line in prediction.lines(answer)]
    console.result({"images": answers}, [f"{file}: {len(answers):,} images"] if file is not None else lines)
    if faults := [*missing, *faults]:
        raise DataError(_named(faults))
    return answers


def features(
    run_or_name: str | os.PathLike[str] | RunFolder,
    images: Any,
    *,
    file: str | os.PathLike[str] | None = None,
    console: Console | None = None,
    debug: bool = False,
) -> "Features":
    """What a run's network, or a published one of that name, sees on images before its last layer: `.images`, `.features`.

    images: as for predict. file: an .npz file for both arrays. Files that cannot be read are named, and end with DataError
    after the others are written. Raises SettingsError where the answers are not those of one dense layer.
    """
    console = console or Console.silent()
    from keras_imagenet.serving.given import given_images

    asked = subject.opened(run_or_name)
    given, missing = given_images(images)
    if not given:
        raise DataError(_named(missing) or "images: there are none")
    if file is not None:
        _require_file(Path(file))
    console.doing("starting TensorFlow")
    runtime.start(RuntimeSettings(), None, debug=debug)
    from keras_imagenet.serving import features as seeing

    network = asked.network(asked.classes.identifiers, partial(_of_run, console=console))
    found, faults = seeing.features(network, asked.preset, given)
    if file is not None:
        seeing.write(Path(file), found)
    count, size = found.features.shape
    content = {"images": count, "features": size, "output": None if file is None else str(file)}
    place = "" if file is None else f"{file}: "
    console.result(content, [f"{place}{count:,} images, {size:,} features each"])
    if faults := [*missing, *faults]:
        raise DataError(_named(faults))
    return found


def demo(
    run_or_name: str | os.PathLike[str] | RunFolder,
    *,
    port: int = 0,
    console: Console | None = None,
    debug: bool = False,
) -> None:
    """Show a page on 127.0.0.1 to drop a photo on, which answers as `predict` does, until a signal ends it.

    port: 0 for a free one; the console gets the address. Raises SettingsError or DataError, and in the end
    KeyboardInterrupt or Interrupted.
    """
    console = console or Console.silent()
    from keras_imagenet.serving import demo as showing

    asked = subject.opened(run_or_name)
    classes = asked.classes
    with guards.raising(), showing.listening(port) as server:
        console.doing("starting TensorFlow")
        runtime.start(RuntimeSettings(), None, debug=debug)
        from keras_imagenet.serving import predict as prediction

        network = asked.network(classes.identifiers, partial(_of_run, console=console))
        answer = partial(prediction.predict, network, asked.preset, classes.names, top=showing.TOP)
        console.doing("making the page")
        address = showing.address(server)
        said = [address, "drop a photo on that page; Ctrl-C ends it"]
        showing.serve(server, asked.name, answer, ready=partial(console.result, {"address": address}, said))


def export(
    run: str | os.PathLike[str] | RunFolder,
    *,
    directory: str | None = None,
    max_pixels: int | None = None,
    console: Console | None = None,
    debug: bool = False,
) -> dict[str, Any]:
    """Write a run's network as a SavedModel in TF Serving's layout, and compare its answers in a new process.

    run: what `fit` returned, or a run folder. max_pixels: the largest image that the SavedModel decodes (default:
    serving.export.MAX_PIXELS).
    """
    console = console or Console.silent()
    if not isinstance(run, str | os.PathLike | RunFolder):
        raise SettingsError(
            f"expected what fit returned, or a run folder's path, not {run!r:.60} ({type(run).__name__})"
        )
    folder = run_folder.opened(run.path if isinstance(run, RunFolder) else run)
    console.doing("starting TensorFlow")
    runtime.start(RuntimeSettings(), None, debug=debug)
    from keras_imagenet.serving import export as exporting

    network = _of_run(folder, console)
    target = Path(directory) if directory else folder.saved_model
    with runtime.quiet(None if debug else Path("/dev/null")):
        most = exporting.MAX_PIXELS if max_pixels is None else max_pixels
        version, difference = exporting.export(network, folder.preset.evaluation, folder.classes.names, target, most)
    result = {
        "saved_model": str(version),
        "largest_difference": difference,
        "signatures": ["serving_default", "images"],
    }
    console.result(
        result, [f"{version}: answers as the network does (largest difference of a probability {difference:.1e})"]
    )
    return result


def benchmark(
    settings: Settings,
    *,
    evaluation: bool = False,
    seconds: float = 5.0,
    file: Path | None = None,
    console: Console | None = None,
    debug: bool = False,
) -> dict[str, Any]:
    """Images per second of a recipe's data path, and each stage's share; as JSON and a plot beside it in `file`."""
    console = console or Console.silent()
    if not 0.01 <= seconds <= 86_400:
        raise SettingsError(f"--seconds {seconds:g}: must be from 0.01 to 86,400, a day")
    console.doing("looking at the data")
    settings, splits = _with_data(settings)
    source = (splits.validation if evaluation else splits.train) or splits.train or splits.validation
    console.doing("starting TensorFlow")
    runtime.start(settings.runtime, None, debug=debug)
    from keras_imagenet.data import benchmark as benchmarking

    with writing_output(file):
        result = benchmarking.pipeline(
            source,
            assembly.preset_of(settings, assembly.origin_of(settings)),
            settings.augment,
            training=not evaluation,
            batch_size=settings.train.batch_size,
            threads=runtime.threads(settings.runtime),
            seconds=seconds,
            seed=settings.runtime.seed,
            output=file,
        )
    stages = ", ".join(f"{stage} {share:.0%}" for stage, share in result["share"].items())
    height, width = result["size"]
    console.result(
        result,
        [
            f"{result['images_per_second']:.0f} images/s at {height}x{width}, kernel {result['kernel']}, "
            f"{result['threads']} threads, batches of {result['batch_size']}",
            f"time: {stages}; this process held at most {result['memory_megabytes']} MiB",
        ],
    )
    return result


def treatment(settings: Settings, *, debug: bool = False) -> tuple[list[dict[str, Any]], list[str]]:
    """What decay and rates act on in a recipe's network, as plain values and as the lines of a table; it builds the network.

    Kinds of weights that are treated alike share a row, the first one's path with them.
    """
    runtime.start(RuntimeSettings(), None, debug=debug)
    from keras_imagenet.training import assembly as training
    from keras_imagenet.training import optimizers

    record = registry.catalogue().get(settings.model.name)
    preset = resolve(settings.data)
    network = assembly.fresh(settings, preset.input_shape, record.classes if record else 1000)
    freezing.freeze(network, settings.model.freeze)
    size = settings.train.batch_size if isinstance(settings.train.batch_size, int) else 1
    treated = optimizers.table(training.optimizer_of(settings, network, size), network.trainable_variables)
    return [row._asdict() for row in treated], optimizers.lines(treated)


def describe(
    name: str, *, batch_size: int = 32, picture: str | None = None, console: Console | None = None, debug: bool = False
) -> dict[str, Any]:
    """Build a network at its published size and count it layer by layer; draw its graph to `picture`, an SVG file."""
    console = console or Console.silent()
    assembly.require_known(name)
    if batch_size < 1:
        raise SettingsError(f"--batch_size {batch_size}: must be at least 1")
    console.doing("starting TensorFlow")
    runtime.start(RuntimeSettings(), None, debug=debug)
    from keras_imagenet.models import describe as describing
    from keras_imagenet.models import drawing

    record = registry.catalogue().get(name)
    shape = (record.input_size, record.input_size, record.channels) if record else Preset().input_shape
    network = registry.build(name, input_shape=shape, classes=record.classes if record else 1000)
    details = describing.details(network, batch_size)
    lines = describing.details_text(details).split("\n")
    if picture is not None:
        with writing_output(picture):
            drawing.draw(network, Path(picture))
        lines.append(f"picture      {picture}")
    console.result(details.as_json(), lines)
    return details.as_json()


def prepare(settings: PrepareSettings, *, console: Console | None = None, debug: bool = False) -> dict[str, Any]:
    """Write seekable shards of a folder, tars or a TFDS set, and return the summary; a second call goes on with the first.

    Raises SettingsError, DataError, or KerasImagenetError where the shards cannot be written.
    """
    console = console or Console.silent()
    console.doing("starting TensorFlow")
    runtime.start(RuntimeSettings(), None, debug=debug)
    from keras_imagenet.data.prepare import preparation

    summary = preparation.prepare(settings, report=console.say)
    console.result(summary, preparation.summary_lines(summary))
    return summary


def data(
    settings: Settings,
    *,
    file: Path | None = None,
    limit: int = 5000,
    console: Console | None = None,
    debug: bool = False,
) -> dict[str, Any]:
    """Say what a data set holds, and draw a contact sheet of the first training batch before mixing, into `file`.

    At most `limit` images a split are opened. Without a training split the sheet shows the validation split.
    Raises SettingsError or DataError.
    """
    console = console or Console.silent()
    if limit < 1:
        raise SettingsError(f"--limit {limit}: must be at least 1")
    from keras_imagenet.data.sheet import draw_first_batch, require_drawable

    if file is not None:
        require_drawable(Path(file))
    console.doing("looking at the data")
    settings, splits = _with_data(settings)
    console.doing("starting TensorFlow")
    runtime.start(settings.runtime, None, debug=debug)
    from keras_imagenet.data.summary import summary, summary_lines

    # A sheet shows what the network gets, for which published weights may have to be downloaded.
    preset = assembly.preset_of(settings, assembly.origin_of(settings) if file is not None else None)
    content = summary(splits, preset, limit, runtime.threads(settings.runtime))
    lines = summary_lines(content)
    if file is not None:
        draw_first_batch(settings, preset, splits, file, threads=runtime.threads(settings.runtime))
        content, lines = content | {"sheet": str(file)}, [*lines, f"contact sheet: {file}"]
    console.result(content, lines)
    return content


def _of_run(folder: RunFolder, console: Console) -> "keras.Model":
    """A run's network; of a run that is not finished, what its last checkpoint holds, which is said."""
    if not folder.model_file.exists():
        from keras_imagenet.training import unfinished

        network, said = unfinished.network(folder)
        console.say(said)
        return network
    from keras_imagenet.models import saved

    return saved.load(folder.model_file, folder.preset.evaluation.input_shape)


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
    settings, splits = _with_data(settings, also=True)
    sources.require_validation(settings, splits)
    for line in lines:
        console.say(line)
    return settings, recipe, splits


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


def _train(
    settings: Settings,
    recipe: str,
    splits: sources.Splits,
    console: Console,
    callbacks: Sequence["keras.callbacks.Callback"],
    *,
    debug: bool,
) -> tuple[RunFolder, dict[str, Any] | None]:
    """Train in the settings' run folder, or a new one named after the recipe; its metrics, or None at the time limit."""
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
        from keras_imagenet.training import fit as training
        from keras_imagenet.training import workers

        keras_callbacks.require_honourable(callbacks)
        with workers.missed(team):
            metrics = training.fit(settings, splits, strategy, folder, console, callbacks)
    return folder, metrics


def _command(
    photos: str | os.PathLike[str] | None, overrides: Overrides, recipe: str, more: Mapping[str, float]
) -> str:
    """The command that trains so, with more settings over those that were given."""
    given = {key: value for key, value in recipes.pairs(overrides) if key not in more} | more
    words = ["keras-imagenet", "fit", *([] if photos is None else [str(photos)]), "--config", recipe]
    for key, value in given.items():
        words += [f"--{key}", value if isinstance(value, str) else json.dumps(value, default=str)]
    return shlex.join(words)


def _with_data(settings: Settings, *, also: bool = False) -> tuple[Settings, sources.Splits]:
    """What the settings' source holds, with `also` the further sets, and the settings with what follows from its number of examples."""
    splits = sources.open_with_also(settings.data) if also else sources.open_source(settings.data.source)
    return sized(settings, len(splits.train or splits.validation)), splits


def _named(faults: Sequence[tuple[Path, str]]) -> str:
    return "; ".join(f"{path}: {reason}" for path, reason in faults)


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


def _require_folder(path: Path) -> None:
    """Make a folder, before anything is computed for it."""
    with writing_output(path):
        path.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=path).close()


def _require_file(path: Path) -> None:
    """See that a file can be written there, before anything is computed for it."""
    with writing_output(path):
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        tempfile.TemporaryFile(dir=path.parent).close()
