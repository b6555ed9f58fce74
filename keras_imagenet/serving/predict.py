"""What is on images: the evaluation's own preprocessing, then the network."""

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_imagenet import files
from keras_imagenet.data import images
from keras_imagenet.data.images.logits import logits_of
from keras_imagenet.errors import writing_output
from keras_imagenet.models import folding
from keras_imagenet.preset import Preset
from keras_imagenet.serving.files import Fault
from keras_imagenet.serving.given import Given

BATCH = 32


def predict(
    network: keras.Model, preset: Preset, classes: Sequence[str], given: Sequence[Given], top: int
) -> tuple[list[dict[str, Any]], list[Fault]]:
    """Answers for the images that can be read, in their order, and what is wrong with those that cannot.

    An answer: image, and predictions of label, class and probability, the most probable first.
    """
    names, shares, faults = rows_of(given, partial(probabilities, network, preset))
    return [_answer(name, row, classes, top) for name, row in zip(names, shares, strict=True)], faults


def rows_of(
    given: Sequence[Given], of_encoded: Callable[[Sequence[bytes]], np.ndarray]
) -> tuple[list[str], list[np.ndarray], list[Fault]]:
    """Names and rows of the images that can be read, in their order, and what is wrong with those that cannot.

    of_encoded: makes of encoded images, up to BATCH, an array [images, ...].
    """
    names: list[str] = []
    rows: list[np.ndarray] = []
    faults: list[Fault] = []
    with _without_graphs() if len(given) <= BATCH else nullcontext():
        for first in range(0, len(given), BATCH):
            read = [(name, *_read(image)) for name, image in given[first : first + BATCH]]
            faults += [(name, reason) for name, _, reason in read if reason is not None]
            readable = [(name, content) for name, content, reason in read if reason is None]
            if readable:
                names += [name for name, _ in readable]
                rows += list(of_encoded([content for _, content in readable]))
    return names, rows, faults


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
    return tf.nn.softmax(outputs(network, preset, encoded)).numpy()


def outputs(network: keras.Model, preset: Preset, encoded: Sequence[bytes]) -> tf.Tensor:
    """What a network makes of encoded images as evaluation shows them, [images, ...]; of mirror images too with flip_average.

    Raises tf.errors.InvalidArgumentError for one that cannot be decoded.
    """
    crops = images.evaluation_crops([tf.constant(content) for content in encoded], preset)
    return logits_of(folding.inference(network), crops, preset)


def lines(answer: dict[str, Any]) -> list[str]:
    """An answer for people: the file, then a line a class."""
    rows = [f"  {prediction['probability']:7.4f}  {prediction['class']}" for prediction in answer["predictions"]]
    return [answer["image"], *rows]


def write(file: Path, answers: Sequence[Mapping[str, Any]]) -> None:
    """A CSV file of a line an image: image, class, probability, and class_2, probability_2, ... of those that follow.

    Raises SettingsError where it cannot be written.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    places = range(len(answers[0]["predictions"]) if answers else 1)
    numbers = ["" if place == 0 else f"_{place + 1}" for place in places]
    writer.writerow(["image", *(f"{column}{number}" for number in numbers for column in ("class", "probability"))])
    for answer in answers:
        named = [value for found in answer["predictions"] for value in (found["class"], found["probability"])]
        writer.writerow([answer["image"], *named])
    with writing_output(file):
        files.write(file, text.getvalue())


def _read(image: Path | bytes) -> tuple[bytes, str | None]:
    """The bytes of an image, and why it cannot be answered for."""
    if isinstance(image, bytes):
        return image, None
    try:
        content = files.read_bytes(image, files.MAXIMUM_IMAGE)
    except OSError as error:
        return b"", f"cannot be read: {error.strerror or error}"
    return content, images.fault(content)


def _answer(name: str, shares: np.ndarray, classes: Sequence[str], top: int) -> dict[str, Any]:
    order = np.argsort(-shares, kind="stable")[:top]
    predictions = [
        {"label": int(label), "class": classes[label], "probability": round(float(shares[label]), 6)} for label in order
    ]
    return {"image": name, "predictions": predictions}
