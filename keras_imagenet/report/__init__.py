"""What a network answered on examples whose classes are known, as a folder of tables and pictures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from keras_imagenet import files
from keras_imagenet.data import images
from keras_imagenet.data.sources import Source
from keras_imagenet.evaluation import Answers
from keras_imagenet.labels import ClassList
from keras_imagenet.preset import Preset
from keras_imagenet.report import pictures, tables
from keras_imagenet.report.tables import lines

__all__ = ["confusion", "lines", "write", "write_curves", "write_rates"]

MISTAKES = 32
"""Images on the sheet of mistakes."""


def write(folder: Path, source: Source, preset: Preset, answers: Answers, unreadable: Mapping[int, str]) -> None:
    """predictions.csv, classes.csv, confusion.png and, where there are any, the surest mistakes as mistakes.png.

    preset: what the network saw the images by. unreadable: indices of the examples that could not be read, with the reason.
    Raises OSError where a file cannot be written.
    """
    tables.write_predictions(folder / "predictions.csv", source, answers, unreadable)
    tables.write_classes(folder / "classes.csv", source, answers)
    right = tables.counts(answers, len(source.classes))[2]
    words = source.class_names, source.classes
    files.write(folder / "confusion.png", pictures.confusion(*words, tables.confused(answers), right))
    wrong = tables.surest_mistakes(answers, MISTAKES)
    if not len(wrong):
        (folder / "mistakes.png").unlink(missing_ok=True)
        return
    captions = [
        (source.names[index], answers.labels[index], answers.answers[index], answers.probabilities[index])
        for index in wrong
    ]
    files.write(folder / "mistakes.png", pictures.mistakes(*words, _pixels(source, preset, wrong), captions))


def write_curves(folder: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """curves.png: loss, top-1 and learning rate by epoch, of rows of history.csv."""
    files.write(folder / "curves.png", pictures.curves(rows))


def write_rates(
    file: Path, rates: Sequence[float], losses: Sequence[float], smoothed: Sequence[float], suggested: float | None
) -> None:
    """The losses of a range test by learning rate, as PNG, with the rate that is suggested."""
    files.write(file, pictures.rates(rates, losses, smoothed, suggested))


def confusion(classes: ClassList, matrix: np.ndarray) -> bytes:
    """The picture of a confusion matrix, int64 [label, answer], as PNG."""
    return pictures.confusion(classes.names, classes.identifiers, tables.confused_in(matrix), np.diag(matrix))


def _pixels(source: Source, preset: Preset, indices: np.ndarray) -> np.ndarray:
    """What the network saw of examples, uint8 [n, height, width, channels]."""
    read = [source.read(tf.constant(index, tf.int64)) for index in indices]
    return np.concatenate([images.evaluation_crops([image], preset).numpy() for image in read])
