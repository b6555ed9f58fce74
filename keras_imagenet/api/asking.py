"""What asks a network that has learned: on labelled photos, on others, before its last layer, on a page, or as what is served."""

import os
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_imagenet import recipes, run_folder, runtime
from keras_imagenet.api.opening import require_file, require_folder
from keras_imagenet.console import Console
from keras_imagenet.data import sources
from keras_imagenet.errors import DataError, SettingsError
from keras_imagenet.recipes import Overrides
from keras_imagenet.run_folder import RunFolder
from keras_imagenet.serving import subject
from keras_imagenet.settings import RuntimeSettings
from keras_imagenet.settings.sizing import sized
from keras_imagenet.training import guards

if TYPE_CHECKING:
    import keras

    from keras_imagenet.serving.features import Features
    from keras_imagenet.serving.files import Fault
    from keras_imagenet.serving.given import Given


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
        require_folder(Path(output))
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
    asked, given, missing = _asked(run_or_name, images, file)
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
    asked, given, missing = _asked(run_or_name, images, file)
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


def _asked(
    run_or_name: str | os.PathLike[str] | RunFolder, images: Any, file: str | os.PathLike[str] | None
) -> tuple[subject.Subject, list["Given"], list["Fault"]]:
    """Who is asked about which images, and those that are missing; a file for the answers can be written."""
    from keras_imagenet.serving.given import given_images

    asked = subject.opened(run_or_name)
    given, missing = given_images(images)
    if not given:
        raise DataError(_named(missing) or "images: there are none")
    if file is not None:
        require_file(Path(file))
    return asked, given, missing


def _of_run(folder: RunFolder, console: Console) -> "keras.Model":
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
