"""Source, order, images and augmentation, as one tf.data pipeline that starts at any step in constant time."""

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
import tensorflow as tf

from keras_imagenet.data import augment, images, order
from keras_imagenet.data.augment import stock
from keras_imagenet.data.balance import balanced
from keras_imagenet.data.preset import Preset
from keras_imagenet.data.sources import Source
from keras_imagenet.data.sources.source import held
from keras_imagenet.data.stream import Stream
from keras_imagenet.settings import AugmentSettings

Example = dict[str, tf.Tensor]
PlanOf = Callable[[int], order.Plan]
Report = Callable[[str, str], None]


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
    unreadable: Mapping[int, str] | None = None,
) -> Stream:
    """Endless global batches from `first_step` on, shuffled anew each epoch, as one batch for each replica.

    A batch: images uint8 [rows, height, width, channels] (float32 0-255 after stock KerasCV layers), labels int32 [rows],
    epochs int32 [rows] from 0, seeds int32 [rows, 2], weights float32 [rows]: 1, and 0 for unreadable examples.
    repeats: how often each drawn example stands in its batch. balance: how far classes are drawn equally often, 0-1.
    `report` is told the name of every unreadable example and what is wrong with it. Raises SettingsError for stock layers
    that do not exist, DataError for balance where a class has no example.
    """
    draw = balanced(source.labels, source.classes, balance) if balance else order.examples
    layers = augment.build(settings, preset)
    stock_layers = stock.build(settings.keras_cv)
    crop = settings.random_resized_crop

    @tf.function(reduce_retracing=True)
    def example(row: Example) -> Example:
        image = source.read(row["index"])
        if crop is not None:
            image = images.random_resized_crop(image, row["seeds"], preset, crop.scale, crop.ratio)
        else:
            image = images.evaluation_crop(image, preset)
        example = {"images": image, **{name: row[name] for name in ("labels", "weights", "seeds", "epochs")}}
        for layer in layers:
            example = layer(example)
        return example

    def plan_of(step: int, worker: int, workers: int) -> order.Plan:
        return order.training_plan(step, batch_size, len(source), seed, worker, workers, repeats=repeats, draw=draw)

    def opened(step: int, plan: PlanOf, rows: int) -> tf.data.Dataset:
        batches = _batches(tf.data.Dataset.range(step, np.iinfo(np.int64).max), source, plan, example, rows, threads)
        for layer in stock_layers:
            batches = batches.map(partial(_apply_stock, layer))
        return batches

    return Stream(source, batch_size, plan_of, opened, strategy, report, step=first_step, unreadable=unreadable)


def evaluation_stream(
    source: Source, preset: Preset, strategy: tf.distribute.Strategy, *, batch_size: int, threads: int, report: Report
) -> Stream:
    """One pass over a source in its own order, as training_stream; padding and unreadable rows have weight 0, others 1.

    Where images have several right labels, a batch holds them too: answers int32 [rows, m], -1 for none.
    """
    answers = {} if source.answers is None else {"answers": held(source.answers)}

    @tf.function(reduce_retracing=True)
    def example(row: Example) -> Example:
        image = images.evaluation_crop(source.read(row["index"]), preset)
        known = {name: of(row["index"]) for name, of in answers.items()}
        return {"images": image, "labels": row["labels"], "weights": row["weights"], **known}

    def plan_of(step: int, worker: int, workers: int) -> order.Plan:
        return order.evaluation_plan(step, batch_size, len(source), replica=worker, replicas=workers)

    def opened(step: int, plan: PlanOf, rows: int) -> tf.data.Dataset:
        steps = tf.data.Dataset.range(step, order.evaluation_steps(len(source), batch_size))
        return _batches(steps, source, plan, example, rows, threads)

    return Stream(source, batch_size, plan_of, opened, strategy, report)


def _batches(
    steps: tf.data.Dataset,
    source: Source,
    plan_of: PlanOf,
    example: Callable[[Example], Example],
    rows: int,
    threads: int,
) -> tf.data.Dataset:
    """Batches of `rows` rows: the plan of each step is made in Python, once a batch; all the rest is TensorFlow's."""

    def planned(step: np.ndarray) -> tuple[np.ndarray, ...]:
        plan = plan_of(int(step))
        return plan.indices, source.labels[plan.indices], plan.weights, plan.seeds, plan.epochs.astype(np.int32)

    def plan_rows(step: tf.Tensor) -> Example:
        kinds = (tf.int64, tf.int32, tf.float32, tf.int32, tf.int32)
        index, labels, weights, seeds, epochs = tf.numpy_function(planned, [step], kinds, stateful=False)
        shapes = {"index": [None], "labels": [None], "weights": [None], "seeds": [None, 2], "epochs": [None]}
        values = {"index": index, "labels": labels, "weights": weights, "seeds": seeds, "epochs": epochs}
        return {name: tf.ensure_shape(values[name], shape) for name, shape in shapes.items()}

    dataset = steps.map(plan_rows).prefetch(2).unbatch()
    dataset = dataset.map(example, num_parallel_calls=threads, deterministic=True)
    dataset = dataset.batch(rows, drop_remainder=True)
    options = tf.data.Options()
    options.deterministic = True
    options.threading.private_threadpool_size = max(threads, 2)
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return dataset.with_options(options)


def _apply_stock(layer: Callable, batch: Example) -> Example:
    return {**batch, "images": layer(tf.cast(batch["images"], tf.float32), training=True)}


def describe_exactness(settings: AugmentSettings) -> str:
    """'exact', or what keeps batches from being a function of settings, data and seed alone."""
    names = [layer.name for layer in settings.keras_cv]
    return f"not exact: stock KerasCV layers draw by themselves ({', '.join(names)})" if names else "exact"
