"""How fast the data path is, and where its time goes."""

import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf

from keras_imagenet import files
from keras_imagenet.data import order
from keras_imagenet.data.augment import flip
from keras_imagenet.data.pipeline import group_size, variation
from keras_imagenet.data.sources import Source
from keras_imagenet.preset import Preset
from keras_imagenet.settings import AugmentSettings

STAGES = ("read", "decode", "augment", "batch")


def pipeline(
    source: Source,
    preset: Preset,
    settings: AugmentSettings,
    *,
    training: bool = True,
    batch_size: int = 64,
    threads: int = 2,
    seconds: float = 5.0,
    seed: int = 0,
    output: Path | None = None,
) -> dict[str, object]:
    """Images per second of the whole pipeline, and each stage's share of its time.

    The pipeline is run up to each stage in turn (read; decode, which holds crop and resampling; augment; batch), for
    `seconds` each, twice round; a stage's share is the time it adds, 0 where that drowns in the noise of the machine.

    Args:
        source: where the images come from.
        preset: size, kernel and channels.
        settings: the augmentation; not used if not training.
        training: random crops and augmentation, or evaluation's crop.
        output: where to write the result as JSON, and beside it, as .png, the plot.

    Returns:
        images_per_second, milliseconds_per_image by stage, share by stage, memory_megabytes (the process' largest so far),
        batch_size, threads, kernel, antialias, size.
    """
    steps = stages(source, preset, settings, training)
    streams = {stage: iter(stream(steps[stage], source, batch_size, threads, seed, stage)) for stage in STAGES}
    best = dict.fromkeys(STAGES, float("inf"))
    for _ in range(2):
        for stage, items in streams.items():
            best[stage] = min(best[stage], seconds_per_image(items, batch_size, seconds / 2))
    before = 0.0
    added = {}
    for stage in STAGES:
        added[stage] = max(best[stage] - before, 0.0)
        before = max(best[stage], before)
    result = {
        "images_per_second": round(1 / best["batch"], 1),
        "milliseconds_per_image": {stage: round(1000 * value, 4) for stage, value in added.items()},
        "share": {stage: round(value / max(sum(added.values()), 1e-12), 3) for stage, value in added.items()},
        "memory_megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "batch_size": batch_size,
        "threads": threads,
        "kernel": preset.kernel,
        "antialias": preset.antialias,
        "size": list(preset.size),
    }
    if output is not None:
        files.write_json(output, result)
        plot(result, output.with_suffix(".png"))
    return result


def plot(result: dict, path: Path) -> None:
    """Draw the stages of a result of `pipeline` as one bar of milliseconds per image."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 1.8), layout="constrained")
    axes = figure.subplots()
    start = 0.0
    for stage, milliseconds in result["milliseconds_per_image"].items():
        axes.barh(0, milliseconds, left=start, label=f"{stage} {result['share'][stage]:.0%}")
        start += milliseconds
    axes.set(yticks=[], xlabel=f"milliseconds per image ({result['images_per_second']:.0f} images/s)")
    axes.legend(ncols=len(STAGES), loc="lower center", bbox_to_anchor=(0.5, 1), frameon=False)
    files.write_with(path, figure.savefig)


def stages(source: Source, preset: Preset, settings: AugmentSettings, training: bool) -> dict[str, Callable]:
    """From each stage's name to a function of (indices [n], seeds [n, 2]) that goes as far as that stage."""
    augmented = variation(settings if training else AugmentSettings(), preset)
    crop = variation(AugmentSettings(random_resized_crop=settings.random_resized_crop if training else None), preset)

    alternates = training and settings.flip == "alternating"

    def drawn(seeds: tf.Tensor) -> dict[str, tf.Tensor]:
        """What the host would draw beside the seeds."""
        return {"mirrored": flip.mirrored(seeds)} if alternates else {}

    def read(indices: tf.Tensor, seeds: tf.Tensor) -> list[tf.Tensor]:
        return [source.read(index) for index in tf.unstack(indices)]

    def decode(indices: tf.Tensor, seeds: tf.Tensor) -> tf.Tensor:
        return crop(read(indices, seeds), {"seeds": seeds})["images"]

    def whole(indices: tf.Tensor, seeds: tf.Tensor) -> tf.Tensor:
        return augmented(read(indices, seeds), {"seeds": seeds, **drawn(seeds)})["images"]

    return {"read": read, "decode": decode, "augment": whole, "batch": whole}


def stream(step: Callable, source: Source, batch_size: int, threads: int, seed: int, stage: str) -> tf.data.Dataset:
    """Endless; an item is a batch of images, or for the stages before it as many images' work without their pixels."""
    group = group_size(batch_size)
    plan = order.training_plan(0, max(batch_size, len(source.labels)), len(source.labels), seed)
    rows = tf.data.Dataset.from_tensor_slices((plan.indices, plan.seeds.astype(np.int32))).repeat()

    @tf.autograph.experimental.do_not_convert
    def act(indices: tf.Tensor, seeds: tf.Tensor) -> tf.Tensor:
        result = step(indices, seeds)
        if stage == "batch":
            return result
        # Values that depend on the pixels: a size is known without them, and TensorFlow would leave the work out.
        if stage == "read":
            return tf.stack([_first_value(image) for image in result])
        return tf.cast(tf.reshape(result, (group, -1))[:, 0], tf.int32)

    @tf.autograph.experimental.do_not_convert
    def joined(groups: tf.Tensor) -> tf.Tensor:
        return tf.reshape(groups, (batch_size, *groups.shape[2:]))

    groups = rows.batch(group, drop_remainder=True).map(act, num_parallel_calls=threads, deterministic=True)
    batches = groups.batch(batch_size // group, drop_remainder=True).map(joined).prefetch(2)
    options = tf.data.Options()
    options.threading.private_threadpool_size = max(threads, 2)
    options.autotune.enabled = False
    return batches.with_options(options)


def _first_value(image: tf.Tensor) -> tf.Tensor:
    if image.dtype == tf.string:
        return tf.strings.length(image)
    return tf.cast(tf.reshape(image, (-1,))[0], tf.int32)


def seconds_per_image(batches: Iterator[tf.Tensor], batch_size: int, seconds: float) -> float:
    """The time an image takes, over `seconds` of an endless iterator of batches; the first two warm it up."""
    for _ in range(2):
        next(batches)
    start, seen = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        next(batches)
        seen += batch_size
    return (time.perf_counter() - start) / seen
