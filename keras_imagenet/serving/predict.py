"""What is on images: the evaluation's own preprocessing, then the network."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_imagenet import files
from keras_imagenet.data import images
from keras_imagenet.data.images.logits import logits_of
from keras_imagenet.preset import Preset

BATCH = 32


def predict(
    network: keras.Model, preset: Preset, classes: Sequence[str], image_files: Sequence[Path], top: int
) -> tuple[list[dict[str, Any]], list[tuple[Path, str]]]:
    """Answers for the files that can be read, in their order, and (file, reason) of those that cannot.

    An answer: image, and predictions of label, class and probability, the most probable first.
    """
    if len(image_files) <= BATCH:
        with _without_graphs():
            return _predict(network, preset, classes, image_files, top)
    return _predict(network, preset, classes, image_files, top)


def _predict(
    network: keras.Model, preset: Preset, classes: Sequence[str], image_files: Sequence[Path], top: int
) -> tuple[list[dict[str, Any]], list[tuple[Path, str]]]:
    answers: list[dict[str, Any]] = []
    faults: list[tuple[Path, str]] = []
    for first in range(0, len(image_files), BATCH):
        read = [(path, *_read(path)) for path in image_files[first : first + BATCH]]
        faults += [(path, reason) for path, _, reason in read if reason is not None]
        readable = [(path, content) for path, content, reason in read if reason is None]
        if readable:
            shares = probabilities(network, preset, [content for _, content in readable])
            answers += [_answer(path, row, classes, top) for (path, _), row in zip(readable, shares, strict=True)]
    return answers, faults


@contextmanager
def _without_graphs() -> Iterator[None]:
    """To trace the graphs that decode and cut takes as long as to do both for hundreds of images without."""
    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(before)


def probabilities(network: keras.Model, preset: Preset, encoded: Sequence[bytes]) -> np.ndarray:
    """Class probabilities float32 [images, classes] of encoded images.

    Raises tf.errors.InvalidArgumentError for one that cannot be decoded.
    """
    crops = images.evaluation_crops([tf.constant(content) for content in encoded], preset)
    return tf.nn.softmax(logits_of(partial(network, training=False), crops, preset)).numpy()


def lines(answer: dict[str, Any]) -> list[str]:
    """An answer for people: the file, then a line a class."""
    rows = [f"  {prediction['probability']:7.4f}  {prediction['class']}" for prediction in answer["predictions"]]
    return [answer["image"], *rows]


def _read(path: Path) -> tuple[bytes, str | None]:
    """The bytes of an image file, and why it cannot be answered for."""
    try:
        content = files.read_bytes(path, files.MAXIMUM_IMAGE)
    except OSError as error:
        return b"", f"cannot be read: {error.strerror or error}"
    return content, images.fault(content)


def _answer(path: Path, shares: np.ndarray, classes: Sequence[str], top: int) -> dict[str, Any]:
    order = np.argsort(-shares, kind="stable")[:top]
    predictions = [
        {"label": int(label), "class": classes[label], "probability": round(float(shares[label]), 6)} for label in order
    ]
    return {"image": str(path), "predictions": predictions}
