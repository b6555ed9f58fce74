"""The entry functions: what the commands do, and the Python API. TensorFlow starts inside them, as the settings say."""

import math
import os
import signal
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_imagenet import cluster, recipes, run_folder, runtime
from keras_imagenet import preset as presets
from keras_imagenet.console import Console
from keras_imagenet.data import sources
from keras_imagenet.errors import (
    DataError,
    DataUnavailable,
    Interrupted,
    KerasImagenetError,
    SettingsError,
    WorkerLost,
    nearest,
)
from keras_imagenet.models import assembly, registry
from keras_imagenet.models.weights import Origin
from keras_imagenet.preset import Preset
from keras_imagenet.run_folder import RunFolder
from keras_imagenet.settings import RuntimeSettings, Settings
from keras_imagenet.settings.prepare import PrepareSettings
from keras_imagenet.training import guards

if TYPE_CHECKING:
    import keras


ELSEWHERE = {f"data.source.{key}" for key in ("name", "directory", "file", "dataset")}
"""Settings that say where data is: with another value, it is not the data that a run's split was made for."""

EVALUATED = ("data.", "runtime.", "train.batch_size", "train.evaluation_batch_size")
"""Beginnings of the settings that act where a run is measured."""


def fit(
    settings: Settings | None = None,
    *,
    recipe: str = recipes.DEFAULT_RECIPE,
    console: Console | None = None,
    callbacks: Sequence["keras.callbacks.Callback"] = (),
    debug: bool = False,
) -> RunFolder:
    """Train as the settings say and return the run folder, which holds everything that came of it.

    settings: those of `recipe` if not given; `recipe` names the folder where the settings do not. callbacks: Keras' own or
    yours, besides TensorBoard and the progress display. Raises SettingsError, DataError, TrainingStopped or Interrupted.
    """
    settings = settings or recipes.load(recipe)
    console = console or Console.standard()
    assembly.require_known(settings.model.name)
    console.doing("looking at the data")
    splits = sources.open_source(settings.data.source)
    sources.require_validation(settings, splits)
    team = cluster.find(settings.runtime)
    writes = team is None or team.index == 0
    with (
        run_folder.created(settings, recipe, writes=writes) as folder,
        _said_how_to_go_on(folder, team),
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
    if metrics is not None and writes:
        console.result(metrics | {"run_folder": str(folder.path)}, _closing_lines(folder, metrics))
    return folder


@contextmanager
def _said_how_to_go_on(folder: RunFolder, team: cluster.Cluster | None) -> Iterator[None]:
    """What ends a run early names the command that goes on, which every worker of a team needs."""
    resume = folder.resume_command
    if team is not None:
        # A worker that does not write need not have the folder, nor the settings in it.
        resume = (
            f"{resume}{team.flags}, and likewise on the other workers" if team.index == 0 else "the same command on all"
        )
    go_on = f"To go on from the last checkpoint: {resume}"
    try:
        yield
    except (Interrupted, KeyboardInterrupt) as error:
        number = error.exit_code - 128 if isinstance(error, Interrupted) else signal.SIGINT
        if not folder.settings_file.exists() and not (team and team.index):  # whose folder need not be here
            raise Interrupted("interrupted before the run began", number) from error
        said = f"{error}. To go on: {resume}" if isinstance(error, Interrupted) else f"interrupted. {go_on}"
        raise Interrupted(said, number) from error
    except DataUnavailable as error:
        raise DataUnavailable(f"{error}; the state is saved. To go on: {resume}") from error
    except WorkerLost as error:
        raise WorkerLost(f"{error}. {go_on}") from error
    except BrokenPipeError as error:
        raise KerasImagenetError(f"whoever read the output has closed it, so the run has stopped. {go_on}") from error
    except OSError as error:
        reason = error.strerror or str(error).splitlines()[0]
        # Python names the file that an error is about; one of the run's is never read while training.
        inside = error.filename is None or Path(os.fsdecode(error.filename)).is_relative_to(folder.path)
        what = f"{folder.path}: cannot be written" if inside else f"{os.fsdecode(error.filename)}: cannot be opened"
        raise KerasImagenetError(f"{what}: {reason}; what was written before is whole. {go_on}") from error


def dry_run(settings: Settings, *, console: Console | None = None, debug: bool = False) -> dict[str, Any]:
    """Say what `fit` would do, send one batch through, and leave nothing behind."""
    console = console or Console.standard()
    assembly.require_known(settings.model.name)
    console.doing("looking at the data")
    splits = sources.open_source(settings.data.source)
    sources.require_validation(settings, splits)
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


def evaluate(
    run_or_model: str,
    overrides: Sequence[tuple[str, str]] = (),
    *,
    weights: str | None = None,
    config: str | None = None,
    output: str | None = None,
    console: Console | None = None,
    debug: bool = False,
) -> dict[str, Any]:
    """Measure a run folder, or a network by name with weights, on a source's validation split, or on all of it.

    A run is measured on its own data unless overrides such as ("data.source.directory", "photos") say otherwise, in the
    run's label order. output: a folder for each answer, each class, confusions and mistakes, as tables and pictures.
    Raises SettingsError or DataError.
    """
    console = console or Console.standard()
    if output is not None:
        _require_folder(Path(output))
    if Path(run_or_model).is_dir():
        _require_effect_on_run(overrides, weights=weights, config=config)
        subject = _open_run(run_or_model, overrides)
    else:
        subject = _open_published(run_or_model, overrides, weights, config)
    settings, folder = subject.settings, subject.folder
    trying = folder is None or any(key == "runtime.logical_cpus" for key, _ in overrides)
    source_settings = settings.data.source.model_copy(
        update={"classes": settings.data.source.classes or subject.classes_file}
    )
    console.doing("looking at the data")
    splits = sources.open_source(source_settings)
    source = splits.validation or splits.train
    console.doing("starting TensorFlow")
    strategy = runtime.start(settings.runtime, folder.log_file if folder else None, debug=debug, trying=trying)
    from keras_imagenet import report
    from keras_imagenet.evaluation import measure_source, present_classes

    stored = folder.preset if folder else None
    preset = (
        presets.resolve(settings.data, stored) if stored else assembly.preset_of(settings, subject.origin)
    ).evaluation
    _require_classes(source, subject)
    with strategy.scope():
        network = _network(folder, console) if folder else _published(settings, preset, subject.origin, source)
    if network.input_shape[1:] != preset.input_shape:
        raise SettingsError(f"data.size: {run_or_model} takes images of {'x'.join(map(str, network.input_shape[1:]))}")
    measured = 0

    def reached(examples: int) -> None:
        nonlocal measured
        measured = examples

    console.doing(lambda: f"measuring: {measured:,} of {len(source):,} examples")
    metrics, answers, unreadable = measure_source(
        network,
        preset,
        source,
        strategy,
        batch_size=settings.train.evaluation_batch_size or settings.train.batch_size,
        threads=runtime.threads(settings.runtime),
        report=lambda name, reason: console.say(f"left out: {name}: {reason}"),
        reached=reached,
        xla=runtime.compiled(settings, communicates=False).on,
    )
    if subject.origin and subject.origin.part:
        console.say(f"weights: {subject.origin.whence}")
    measured_on = (
        "validation examples" if splits.validation else f"{'training ' * subject.own_data}examples, all there are"
    )
    if source.answers is not None:
        measured_on += ", where any of an image's labels is right"
    result = {**metrics.as_dict(), "unreadable": len(unreadable), "measured_on": measured_on}
    classes = len(source.classes)
    lines = [_reached(result, classes)]
    if (present := present_classes(source)) is not None:
        result["among_present"]["classes"] = int(present.sum())
        lines.append(_among_present(result["among_present"]))
    lines += report.lines(source, answers)
    if source.answers is not None:
        result["left_out"] = source.skipped
        lines += [f"left out: {count:,} {reason}" for reason, count in source.skipped.items()]
    if output is not None:
        console.doing("drawing the report")
        report.write(Path(output), source, preset, answers, unreadable)
        result["report"] = output
        lines.append(f"each answer, each class, confusions and mistakes: {output}")
    console.result(result, lines)
    return result


def predict(
    run: str, images: Sequence[str], *, top: int = 5, console: Console | None = None, debug: bool = False
) -> list[dict[str, Any]]:
    """The most probable classes of image files, or of all in a folder, by a run's network.

    Files that cannot be read are named, and end with DataError after the others are answered.
    """
    console = console or Console.standard()
    folder = run_folder.opened(run)
    if top < 1:
        raise SettingsError(f"--top {top}: must be at least 1")
    from keras_imagenet.serving.files import find_images

    files, missing = find_images(images)
    if not files:
        raise DataError(_named(missing))
    console.doing("starting TensorFlow")
    runtime.start(RuntimeSettings(), None, debug=debug)
    from keras_imagenet.serving import predict as prediction

    answers, faults = prediction.predict(
        _network(folder, console), folder.preset.evaluation, folder.classes.names, files, top
    )
    console.result({"images": answers}, [line for answer in answers for line in prediction.lines(answer)])
    if faults := [*missing, *faults]:
        raise DataError(_named(faults))
    return answers


def export(
    run: str,
    *,
    directory: str | None = None,
    max_pixels: int | None = None,
    console: Console | None = None,
    debug: bool = False,
) -> dict[str, Any]:
    """Write a run's network as a SavedModel in TF Serving's layout, and compare its answers in a new process.

    max_pixels: the largest image that the SavedModel decodes (default: serving.export.MAX_PIXELS).
    """
    console = console or Console.standard()
    folder = run_folder.opened(run)
    console.doing("starting TensorFlow")
    runtime.start(RuntimeSettings(), None, debug=debug)
    from keras_imagenet.serving import export as exporting

    network = _network(folder, console)
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
    console = console or Console.standard()
    if seconds <= 0:
        raise SettingsError(f"--seconds {seconds:g}: must be above 0")
    console.doing("looking at the data")
    splits = sources.open_source(settings.data.source)
    source = (splits.validation if evaluation else splits.train) or splits.train or splits.validation
    console.doing("starting TensorFlow")
    runtime.start(settings.runtime, None, debug=debug)
    from keras_imagenet.data import benchmark as benchmarking

    try:
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
    except OSError as error:
        raise SettingsError(f"--output {file}: cannot be written: {error.strerror}") from error
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


def describe(
    name: str, *, batch_size: int = 32, picture: str | None = None, console: Console | None = None, debug: bool = False
) -> dict[str, Any]:
    """Build a network at its published size and count it layer by layer; draw its graph to `picture`, an SVG file."""
    console = console or Console.standard()
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
        try:
            drawing.draw(network, Path(picture))
        except OSError as error:
            raise SettingsError(f"--output {picture}: cannot be written: {error.strerror}") from error
        lines.append(f"picture      {picture}")
    console.result(details.as_json(), lines)
    return details.as_json()


@dataclass(frozen=True)
class _Subject:
    """What is evaluated: a run, or a network with published weights."""

    settings: Settings
    classes_file: Path | None
    folder: RunFolder | None = None
    origin: Origin | None = None
    own_data: bool = False


def _open_run(path: str, overrides: Sequence[tuple[str, str]]) -> _Subject:
    """The run, and its own data or, where overrides name another place, all that is there."""
    folder = run_folder.opened(path)
    own_data = not any(key in ELSEWHERE for key, _ in overrides)
    whole = [] if own_data else [(f"data.source.{key}", "null") for key in ("validation_fraction", "folds")]
    settings = recipes.load(str(folder.settings_file), [*whole, *overrides])
    return _Subject(settings, folder.classes_file, folder=folder, own_data=own_data)


def _require_effect_on_run(overrides: Sequence[tuple[str, str]], **options: str | None) -> None:
    """Raise SettingsError for what changes nothing where a run is measured, whose network is as it was trained."""
    useless = [name for name, value in options.items() if value is not None]
    useless += [key for key, _ in overrides if not key.startswith(EVALUATED)]
    if useless:
        raise SettingsError(
            f"command line: --{useless[0]}: does nothing where a run is evaluated; data, runtime and train.evaluation_batch_size act"
        )


def _open_published(
    name: str, overrides: Sequence[tuple[str, str]], weights: str | None, config: str | None
) -> _Subject:
    if name not in registry.names():
        hint = nearest(name, registry.names())
        raise SettingsError(f"{name}: no such run folder, and no such model{hint}")
    if weights is None:
        raise SettingsError(f"{name}: a network by its name needs --weights; without, it would guess")
    settings = recipes.load(config, [("model.name", name), ("model.weights", weights), *overrides])
    origin = assembly.origin_of(settings)
    return _Subject(settings, assembly.classes_file_of(origin), origin=origin)


def prepare(settings: PrepareSettings, *, console: Console | None = None, debug: bool = False) -> dict[str, Any]:
    """Write seekable shards of a folder, tars or a TFDS set, and return the summary; a second call goes on with the first.

    Raises SettingsError, DataError, or KerasImagenetError where the shards cannot be written.
    """
    console = console or Console.standard()
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
    console = console or Console.standard()
    if limit < 1:
        raise SettingsError(f"--limit {limit}: must be at least 1")
    console.doing("looking at the data")
    splits = sources.open_source(settings.data.source)
    console.doing("starting TensorFlow")
    runtime.start(settings.runtime, None, debug=debug)
    from keras_imagenet.data.sheet import draw_first_batch
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


def _require_classes(source: sources.Source, subject: _Subject) -> None:
    """The data's label order must be the network's, where that is known."""
    known = subject.folder.classes.identifiers if subject.folder else subject.origin.classes
    if known is not None and source.classes != tuple(known):
        raise DataError(
            f"data.source: its {len(source.classes)} classes are not the network's {len(known)}, or in another order; "
            "data.source.classes names a file that fixes the order"
        )


def _published(settings: Settings, preset: Preset, origin: Origin, source: sources.Source) -> "keras.Model":
    network, fitted = assembly.build(settings, preset, origin, source.classes)
    if fitted.new_head:
        raise DataError(
            f"data.source: has {len(source.classes)} classes, which is not what {settings.model.weights} tells apart"
        )
    return network


def _network(folder: RunFolder, console: Console) -> "keras.Model":
    """A run's network; of a run that is not finished, what its last checkpoint holds, which is said."""
    if not folder.model_file.exists():
        from keras_imagenet.training import unfinished

        network, said = unfinished.network(folder)
        console.say(said)
        return network
    from keras_imagenet.models import saved

    return saved.load(folder.model_file, folder.preset.evaluation.input_shape)


def _named(faults: Sequence[tuple[Path, str]]) -> str:
    return "; ".join(f"{path}: {reason}" for path, reason in faults)


def _closing_lines(folder: RunFolder, metrics: dict[str, Any]) -> list[str]:
    """What the run reached, where it is, and what to try next."""
    best = metrics["best"]
    earlier = f" (best top-1 {best['top1']:.4f} after epoch {best['epoch']})" if best else ""
    return [
        f"reached: {_reached(metrics, len(folder.classes.names))}{earlier}",
        f"run folder: {folder.path}",
        f"report: {folder.report} (curves{', classes, confusions, mistakes' * (folder.report / 'classes.csv').exists()})",
        "try next:",
        f"  tensorboard --logdir {folder.tensorboard}",
        f"  keras-imagenet evaluate {folder.path}",
        f"  keras-imagenet predict {folder.path} {folder.example_file}",
    ]


def _among_present(among: dict[str, Any]) -> str:
    """What a network reaches that may only answer classes that occur, where others do not."""
    return (
        f"if only the {among['classes']:,} classes that occur may be answered: top-1 {among['top1']:.4f}, "
        f"{_top5(among['top5'], among['classes'])}loss {among['loss']:.4f}"
    )


def _reached(metrics: dict[str, Any], classes: int) -> str:
    unreadable = f", {metrics['unreadable']} unreadable left out" if metrics["unreadable"] else ""
    # metrics.json holds null for what is not finite.
    top1, top5, loss = (math.nan if metrics[name] is None else metrics[name] for name in ("top1", "top5", "loss"))
    return (
        f"top-1 {top1:.4f}, {_top5(top5, classes)}loss {loss:.4f} "
        f"on {metrics.get('examples', 0):,} {metrics['measured_on']}{unreadable}"
    )


def _top5(share: float, classes: int) -> str:
    """Nothing where five classes are all there are."""
    return f"top-5 {share:.4f}, " if classes > 5 else ""


def _require_folder(path: Path) -> None:
    """Make a folder, before anything is computed for it."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=path).close()
    except OSError as error:
        raise SettingsError(f"--output {path}: cannot be written: {error.strerror}") from error
