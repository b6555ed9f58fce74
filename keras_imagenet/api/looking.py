"""What looks at data, networks and speed without training."""

from pathlib import Path
from typing import Any

from keras_imagenet import runtime
from keras_imagenet.api.opening import with_data
from keras_imagenet.console import Console
from keras_imagenet.errors import SettingsError, writing_output
from keras_imagenet.models import assembly, registry
from keras_imagenet.preset import Preset
from keras_imagenet.settings import RuntimeSettings, Settings
from keras_imagenet.settings.prepare import PrepareSettings
from keras_imagenet.settings.resolution import resolve


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
    settings, splits = with_data(settings)
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
    assembly.freeze(network, settings.model)
    size = settings.train.batch_size if isinstance(settings.train.batch_size, int) else 1
    treated = optimizers.table(training.optimizer_of(settings, network, size), network.trainable_variables)
    return [row._asdict() for row in treated], optimizers.lines(treated)


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
    settings, splits = with_data(settings)
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
