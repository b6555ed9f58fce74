"""What a network sees on images before its last layer: for search, clustering and classifiers of one's own."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from keras_imagenet import files
from keras_imagenet.errors import writing_output
from keras_imagenet.models.head import before_head
from keras_imagenet.preset import Preset
from keras_imagenet.serving.files import Fault
from keras_imagenet.serving.given import Given
from keras_imagenet.serving.predict import outputs, rows_of


class Features(NamedTuple):
    """images: names, n of them. features: float32 [n, features], in the same order."""

    images: list[str]
    features: np.ndarray


def features(network: keras.Model, preset: Preset, given: Sequence[Given]) -> tuple[Features, list[Fault]]:
    """Features of the images that can be read, in their order, as evaluation shows them; and what is wrong with the others.

    Raises SettingsError where the network's answers are not those of one dense layer.
    """
    inner = before_head(network)
    names, rows, faults = rows_of(given, lambda encoded: tf.cast(outputs(inner, preset, encoded), tf.float32).numpy())
    return Features(names, np.stack(rows) if rows else np.zeros((0, inner.output_shape[-1]), np.float32)), faults


def write(file: Path, found: Features) -> None:
    """An .npz file of two arrays: images, strings [n], and features, float32 [n, features].

    Raises SettingsError where it cannot be written.
    """
    # To a stream: given a path, NumPy adds .npz to one that ends otherwise.
    with writing_output(file), files.appearing(file) as stream:
        np.savez(stream, images=np.array(found.images, str), features=found.features)
