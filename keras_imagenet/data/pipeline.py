"""Source, order, images and augmentation, as one tf.data pipeline that starts at any step in constant time."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from keras_imagenet.data import augment, images, order
from keras_imagenet.data.augment import stock
from keras_imagenet.data.preset import Preset
from keras_imagenet.data.sources import Source
from keras_imagenet.data.stream import without
from keras_imagenet.settings import AugmentSettings

Example = dict[str, tf.Tensor]
PlanOf = Callable[[int], order.Plan]


def training_batches(
    source: Source,
    preset: Preset,
    settings: AugmentSettings,
    *,
    batch_size: int,
    seed: int,
    replicas: int,
    threads: int,
) -> Callable[[int, Mapping[int, str]], tf.data.Dataset]:
    """A function (first step, unreadable examples) -> an endless dataset of each replica's rows, one replica after the other.

    A row: images uint8 [height, width, channels] (float32 0-255 after stock KerasCV layers), labels int32, weights
    float32 that sum to batch_size over a global batch (0 for unreadable examples), seeds int32 [2].
    """
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
        example = {"images": image, "labels": row["labels"], "weights": row["weights"], "seeds": row["seeds"]}
        for layer in layers:
            example = layer(example)
        return example

    def plan_of(step: int, unreadable: Mapping[int, str]) -> order.Plan:
        plan = order.training_plan(step, batch_size, len(source.labels), seed)
        return without(plan, unreadable, len(source.labels), keep_total=True)

    def opened(first_step: int, unreadable: Mapping[int, str]) -> tf.data.Dataset:
        steps = tf.data.Dataset.range(first_step, np.iinfo(np.int64).max)
        batches = _batches(steps, source, lambda step: plan_of(step, unreadable), example, batch_size // replicas, threads)
        for layer in stock_layers:
            batches = batches.map(lambda batch, layer=layer: {**batch, "images": layer(tf.cast(batch["images"], tf.float32), training=True)})
        return batches.prefetch(2 * replicas)

    return opened


def evaluation_batches(
    source: Source, preset: Preset, *, batch_size: int, replicas: int, threads: int
) -> Callable[[int, Mapping[int, str]], tf.data.Dataset]:
    """As training_batches, for one pass in the examples' own order; padding and unreadable rows have weight 0."""
    steps_in_all = order.evaluation_steps(len(source.labels), batch_size)

    @tf.function(reduce_retracing=True)
    def example(row: Example) -> Example:
        image = images.evaluation_crop(source.read(row["index"]), preset)
        return {"images": image, "labels": row["labels"], "weights": row["weights"]}

    def plan_of(step: int, unreadable: Mapping[int, str]) -> order.Plan:
        plan = order.evaluation_plan(step, batch_size, len(source.labels))
        return without(plan, unreadable, len(source.labels), keep_total=False)

    def opened(first_step: int, unreadable: Mapping[int, str]) -> tf.data.Dataset:
        steps = tf.data.Dataset.range(first_step, steps_in_all)
        return _batches(steps, source, lambda step: plan_of(step, unreadable), example, batch_size // replicas, threads).prefetch(2 * replicas)

    return opened


def _batches(
    steps: tf.data.Dataset, source: Source, plan_of: PlanOf, example: Callable[[Example], Example], rows: int, threads: int
) -> tf.data.Dataset:
    """Batches of `rows` rows: the plan of each step is made in Python, once a batch; all the rest is TensorFlow's."""

    def planned(step: np.ndarray) -> tuple[np.ndarray, ...]:
        plan = plan_of(int(step))
        return plan.indices, source.labels[plan.indices], plan.weights, plan.seeds

    def plan_rows(step: tf.Tensor) -> Example:
        kinds = (tf.int64, tf.int32, tf.float32, tf.int32)
        index, labels, weights, seeds = tf.numpy_function(planned, [step], kinds, stateful=False)
        shapes = {"index": [None], "labels": [None], "weights": [None], "seeds": [None, 2]}
        values = {"index": index, "labels": labels, "weights": weights, "seeds": seeds}
        return {name: tf.ensure_shape(values[name], shape) for name, shape in shapes.items()}

    dataset = steps.map(plan_rows).prefetch(2).unbatch()
    dataset = dataset.map(example, num_parallel_calls=threads, deterministic=True)
    dataset = dataset.batch(rows, drop_remainder=True)
    options = tf.data.Options()
    options.deterministic = True
    options.threading.private_threadpool_size = max(threads, 2)
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return dataset.with_options(options)


def describe_exactness(settings: AugmentSettings) -> str:
    """'exact', or what keeps batches from being a function of settings, data and seed alone."""
    names: list[Any] = [layer.name for layer in settings.keras_cv]
    return f"not exact: stock KerasCV layers draw by themselves ({', '.join(names)})" if names else "exact"
