"""Source, order, images and augmentation, as one tf.data pipeline that starts at any step in constant time."""

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import tensorflow as tf

from keras_imagenet.data import augment, images, mixing, order
from keras_imagenet.data.augment import flip, stock
from keras_imagenet.data.balance import balanced
from keras_imagenet.data.batches import MIXED_TOGETHER, Batches, padded
from keras_imagenet.data.seeds import fold
from keras_imagenet.data.sources import Source
from keras_imagenet.data.sources.source import held
from keras_imagenet.data.stream import Stream
from keras_imagenet.data.stretches import Stretch
from keras_imagenet.preset import Preset
from keras_imagenet.settings import AugmentSettings

Example = dict[str, tf.Tensor]
PlanOf = Callable[[int], order.Plan]
Report = Callable[[str, str], None]

PER_CALL = 32
"""Examples that go through the pipeline together, at most: what is done for all of them at once costs a share of it each."""


def training_stream(
    source: Source,
    preset: Preset,
    settings: AugmentSettings,
    strategy: tf.distribute.Strategy,
    *,
    batch_size: int,
    seed: int,
    threads: int,
    report: Report,
    repeats: int = 1,
    balance: float = 0.0,
    first_step: int = 0,
    later: Sequence[Stretch] = (),
    unreadable: Mapping[int, str] | None = None,
) -> Stream:
    """Endless global batches from `first_step` on, shuffled anew each epoch, as one batch for each replica.

    A batch: images uint8 [rows, height, width, channels] (float32 0-255 after stock KerasCV layers), labels int32 [rows],
    epochs int32 [rows] from 0, seeds int32 [rows, 2], weights float32 [rows]: 1, and 0 for unreadable examples; and what
    mixing.on_host draws for mixing.on_device.
    repeats: how often each drawn example comes. later: what changes at later steps, in their order. balance: how far classes
    are drawn equally often, 0-1. `report` is told the name of every unreadable example and what is wrong with it. Raises
    SettingsError for a batch that cannot be cut and for stock layers that do not exist, DataError for balance where a class
    has no example.
    """
    stretches = (Stretch(0, preset, settings), *later)
    mixed = any(stretch.augment.mixing for stretch in stretches)
    Batches(batch_size, strategy.num_replicas_in_sync, repeats=repeats, mixed=mixed)
    draw = balanced(source.labels, source.classes, balance) if balance else order.examples
    kinds = [_kind(source, stretch, seed) for stretch in stretches]
    borders = [stretch.step for stretch in later]

    def plan_of(step: int, worker: int, workers: int) -> order.Plan:
        return order.training_plan(step, batch_size, len(source), seed, worker, workers, repeats=repeats, draw=draw)

    def opened(step: int, plan: PlanOf, rows: int) -> tf.data.Dataset:
        place = bisect_right(borders, step)
        examples, draw_on_host, stock_layers = kinds[place]
        steps = tf.data.Dataset.range(step, [*borders, np.iinfo(np.int64).max][place])
        batches = _batches(steps, source, plan, examples, rows, threads, draw_on_host)
        for layer in stock_layers:
            batches = batches.map(partial(_apply_stock, layer))
        return batches

    at = {"step": first_step, "borders": borders}
    return Stream(source, batch_size, plan_of, opened, strategy, report, **at, unreadable=unreadable)


def _kind(
    source: Source, stretch: Stretch, seed: int
) -> tuple[Callable[[Example], Example], mixing.Draw, Sequence[Callable]]:
    """What makes a stretch's batches: a function from rows to images, what is drawn on the host, stock layers."""
    augmented = variation(stretch.augment, stretch.preset)

    @tf.function(reduce_retracing=True, autograph=False)
    def examples(rows: Example) -> Example:
        read = [source.read(index) for index in tf.unstack(rows["index"])]
        return augmented(read, {name: value for name, value in rows.items() if name != "index"})

    return examples, _drawn(stretch, seed), stock.build(stretch.augment.keras_cv)


def _drawn(stretch: Stretch, seed: int) -> mixing.Draw:
    """What is drawn on the host: for the device, and mirrored, bool [k], which goes into the images."""
    mixed = mixing.on_host(stretch.augment, stretch.preset, seed)
    if stretch.augment.flip != "alternating":
        return mixed
    return lambda step, plan: {"mirrored": flip.alternating(plan, seed), **mixed(step, plan)}


def variation(settings: AugmentSettings, preset: Preset) -> Callable[[Sequence[tf.Tensor], Example], Example]:
    """What training does to n images, encoded or uint8 [h, w, c], up to what stock layers do, as a function.

    It takes the images and their rows, of which seeds, int32 [n, 2], are needed, and for alternating flips mirrored, bool [n],
    which it takes out. It adds to the rows what comes of the images: uint8 [n, height, width, channels].
    """
    crop = settings.random_resized_crop
    drawing = {} if crop is None else crop.model_dump(exclude_none=True)
    # Mirrored while it is resampled, an image takes no time for it.
    mirrors = crop is not None and settings.flip == "horizontal" and not settings.pad_crop
    done = mirrors or settings.flip == "alternating"
    layers = augment.build(settings.model_copy(update={"flip": "none"}) if done else settings, preset)

    def augmented(read: Sequence[tf.Tensor], rows: Example) -> Example:
        rows = dict(rows)
        mirrored = flip.mirrored(fold(rows["seeds"], "flip")) if mirrors else rows.pop("mirrored", None)
        if crop is not None:
            pixels = images.random_resized_crops(read, rows["seeds"], preset, mirrored=mirrored, **drawing)
        else:
            pixels = images.evaluation_crops(read, preset)
            pixels = pixels if mirrored is None else flip.mirror(pixels, mirrored)
        group = {"images": pixels, **rows}
        for layer in layers:
            group = layer(group)
        return group

    return augmented


def evaluation_stream(
    source: Source, preset: Preset, strategy: tf.distribute.Strategy, *, batch_size: int, threads: int, report: Report
) -> Stream:
    """One pass over a source in its own order, as training_stream; padding and unreadable rows have weight 0, others 1.

    A batch that the replicas cannot share is made larger until they can. Where images have several right labels, a batch
    holds them too: answers int32 [rows, m], -1 for none.
    """
    batch_size = padded(batch_size, strategy.num_replicas_in_sync)
    answers = {} if source.answers is None else {"answers": held(source.answers)}

    @tf.function(reduce_retracing=True, autograph=False)
    def examples(rows: Example) -> Example:
        pixels = images.evaluation_crops([source.read(index) for index in tf.unstack(rows["index"])], preset)
        known = {name: of(rows["index"]) for name, of in answers.items()}
        return {"images": pixels, "labels": rows["labels"], "weights": rows["weights"], **known}

    def plan_of(step: int, worker: int, workers: int) -> order.Plan:
        return order.evaluation_plan(step, batch_size, len(source), replica=worker, replicas=workers)

    def opened(step: int, plan: PlanOf, rows: int) -> tf.data.Dataset:
        steps = tf.data.Dataset.range(step, order.evaluation_steps(len(source), batch_size))
        return _batches(steps, source, plan, examples, rows, threads)

    return Stream(source, batch_size, plan_of, opened, strategy, report)


def _batches(
    steps: tf.data.Dataset,
    source: Source,
    plan_of: PlanOf,
    examples: Callable[[Example], Example],
    rows: int,
    threads: int,
    draw: mixing.Draw = lambda step, plan: {},
) -> tf.data.Dataset:
    """Batches of `rows` rows: the plan of each step and what is drawn for it are made in Python, once a batch; then a group
    of rows is one call."""
    group = group_size(rows)
    kinds = {"index": (np.int64, ()), "labels": (np.int32, ()), "weights": (np.float32, ())}
    kinds |= {"seeds": (np.int32, (2,)), "epochs": (np.int32, ())}
    example = draw(0, order.training_plan(0, MIXED_TOGETHER, MIXED_TOGETHER, 0))
    kinds |= {name: (drawn.dtype, drawn.shape[1:]) for name, drawn in example.items()}

    def planned(step: np.ndarray) -> list[np.ndarray]:
        plan = plan_of(int(step))
        found = {"index": plan.indices, "labels": source.labels[plan.indices], "weights": plan.weights}
        found |= {"seeds": plan.seeds, "epochs": plan.epochs.astype(np.int32), **draw(int(step), plan)}
        return [found[name].reshape(-1, group, *shape) for name, (_, shape) in kinds.items()]

    @tf.autograph.experimental.do_not_convert
    def plan_groups(step: tf.Tensor) -> Example:
        values = tf.numpy_function(planned, [step], [kind for kind, _ in kinds.values()], stateful=False)
        return {
            name: tf.ensure_shape(value, (None, group, *shape))
            for (name, (_, shape)), value in zip(kinds.items(), values, strict=True)
        }

    @tf.autograph.experimental.do_not_convert
    def joined(groups: Example) -> Example:
        return {name: tf.reshape(value, (rows, *value.shape[2:])) for name, value in groups.items()}

    dataset = steps.map(plan_groups).prefetch(2).unbatch()
    dataset = dataset.map(examples, num_parallel_calls=threads, deterministic=True)
    dataset = dataset.batch(rows // group, drop_remainder=True).map(joined)
    options = tf.data.Options()
    options.deterministic = True
    options.threading.private_threadpool_size = max(threads, 2)
    options.autotune.enabled = False  # nothing is left to it, and its bookkeeping takes time
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return dataset.with_options(options)


def group_size(rows: int) -> int:
    """How many of a batch's rows are read, cut and augmented in one call: the largest divisor of up to PER_CALL."""
    return next(size for size in range(PER_CALL, 0, -1) if rows % size == 0)


def _apply_stock(layer: Callable, batch: Example) -> Example:
    return {**batch, "images": layer(tf.cast(batch["images"], tf.float32), training=True)}


def describe_exactness(settings: AugmentSettings) -> str:
    """'exact', or what keeps batches from being a function of settings, data and seed alone."""
    names = [layer.name for layer in settings.keras_cv]
    return f"not exact: stock KerasCV layers draw by themselves ({', '.join(names)})" if names else "exact"
