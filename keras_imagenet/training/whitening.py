"""The first layer's filters from the training images, before the first step."""

from collections.abc import Callable, Iterator

import keras
import numpy as np
import tensorflow as tf

from keras_imagenet.data import order
from keras_imagenet.data.images.normalise import normalise
from keras_imagenet.data.pipeline import evaluation_stream
from keras_imagenet.data.sources import Source
from keras_imagenet.data.sources.source import subset
from keras_imagenet.models import whitening
from keras_imagenet.preset import Preset
from keras_imagenet.training import workers

IMAGES = 5000
"""As many as legacy/airbench94.py looks at; drawn, where there are more."""
BATCH = 100


def whiten(
    network: keras.Model,
    preset: Preset,
    training: Source,
    strategy: tf.distribute.Strategy,
    *,
    seed: int,
    threads: int,
    report: Callable[[str, str], None],
) -> str:
    """Give the network's stem the filters that whiten the training images as evaluation shows them; return a line for people.

    Every worker has those that the first one finds. report: is told of images that cannot be read, and why.
    """
    drawn = np.sort(order.examples(np.arange(min(len(training), IMAGES)), len(training), seed)[1])

    def seen() -> Iterator[np.ndarray]:
        own = tf.distribute.get_strategy()
        stream = evaluation_stream(
            subset(training, drawn), preset, own, batch_size=BATCH, threads=threads, report=report
        )
        for batch in stream:
            yield normalise(batch["images"], preset).numpy()[batch["weights"].numpy() > 0]

    kernel = whitening.stem(network).kernel
    found = workers.from_first(strategy, lambda: whitening.filters(tuple(kernel.shape), seen()).tobytes())
    kernel.assign(np.frombuffer(found, np.float32).reshape(kernel.shape))
    return f"whitening: stem's filters from {len(drawn):,} training images; they do not learn"
