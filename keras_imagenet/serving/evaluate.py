"""A run's network, or a published one, measured on labelled images; what came of it in words."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from keras_imagenet import report, runtime
from keras_imagenet.console import Console
from keras_imagenet.data.sources import Source, Splits
from keras_imagenet.errors import SettingsError
from keras_imagenet.evaluation import measure_source, present_classes
from keras_imagenet.run_folder import RunFolder
from keras_imagenet.serving.subject import Subject


def evaluate(
    subject: Subject,
    splits: Splits,
    strategy: tf.distribute.Strategy,
    of_run: Callable[[RunFolder], keras.Model],
    console: Console,
    output: str | None = None,
) -> tuple[dict[str, Any], list[str]]:
    """Metrics on the validation split, or on all there is, as plain values and as lines.

    of_run: gives a run's network. output: a folder for the report.
    """
    settings, preset, source = subject.settings, subject.preset, splits.validation or splits.train
    subject.require_classes(source)
    with strategy.scope():
        network = subject.network(source.classes, of_run)
    if network.input_shape[1:] != preset.input_shape:
        asked = "data.size" if settings.data.evaluation_size is None else "data.evaluation_size"
        raise SettingsError(f"{asked}: {subject.name} takes images of {'x'.join(map(str, network.input_shape[1:]))}")
    measured = 0

    def count(examples: int) -> None:
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
        reached=count,
        xla=runtime.compiled(settings, communicates=False).on,
    )
    if subject.origin and (subject.origin.part or subject.origin.called):
        console.say(f"weights: {subject.origin.whence}")
    result = {**metrics.as_dict(), "unreadable": len(unreadable), "measured_on": _measured_on(subject, splits, source)}
    lines = [reached(result, len(source.classes))]
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
    return result, lines


def reached(metrics: dict[str, Any], classes: int) -> str:
    """What metrics.json or `evaluate` holds, as a line."""
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


def _measured_on(subject: Subject, splits: Splits, source: Source) -> str:
    examples = (
        "validation examples" if splits.validation else f"{'training ' * subject.own_data}examples, all there are"
    )
    return examples if source.answers is None else f"{examples}, where any of an image's labels is right"


def _among_present(among: dict[str, Any]) -> str:
    """What a network reaches that may only answer classes that occur, where others do not."""
    return (
        f"if only the {among['classes']:,} classes that occur may be answered: top-1 {among['top1']:.4f}, "
        f"{_top5(among['top5'], among['classes'])}loss {among['loss']:.4f}"
    )
