"""Answers counted: each example's, each class', and which class is taken for which."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from keras_imagenet import files
from keras_imagenet.console import columns
from keras_imagenet.data.sources import Source
from keras_imagenet.evaluation import Answers
from keras_imagenet.report.lettering import shortened
from keras_imagenet.report.pictures import Pair

SHOWN_CLASSES = 20
SHOWN_CONFUSIONS = SHOWN_MISTAKES = 5


def write_predictions(file: Path, source: Source, answers: Answers, unreadable: Mapping[int, str]) -> None:
    """A row an example, in the source's order: what it is, what was answered, and with which probabilities.

    An example that could not be read has the reason in the last column, and no answer.
    """
    header = ("image", "label", "class", "answer", "answered_class", "probability", "label_probability", "right")
    names, classes = source.names, source.class_names
    with _table(file, (*header, "unreadable")) as writer:
        for index, (label, answer) in enumerate(zip(answers.labels, answers.answers, strict=True)):
            row = [names[index], label, classes[label]]
            if answer < 0:
                row += ["", "", "", "", "", unreadable.get(index, "cannot be read")]
            else:
                row += [answer, classes[answer], f"{answers.probabilities[index]:.6f}"]
                row += [f"{answers.label_probabilities[index]:.6f}", int(answers.right[index]), ""]
            writer.writerow(row)


def write_classes(file: Path, source: Source, answers: Answers) -> None:
    """A row a class, in label order, of what `counts` says, and the class it is most often taken for."""
    names, identifiers = source.class_names, source.classes
    most: dict[int, Pair] = {}
    for pair in confused(answers):
        most.setdefault(pair[0], pair)
    header = ("label", "identifier", "class", "examples", "answered", "right", "precision", "recall")
    with _table(file, (*header, "most_often_taken_for", "times")) as writer:
        for label, (examples, answered, right) in enumerate(counts(answers, len(names)).T):
            shares = [f"{right / whole:.6f}" if whole else "" for whole in (answered, examples)]
            _, other, times = most.get(label, (label, None, ""))
            taken_for = "" if other is None else names[other]
            writer.writerow(
                [label, identifiers[label], names[label], examples, answered, right, *shares, taken_for, times]
            )


def counts(answers: Answers, classes: int) -> np.ndarray:
    """Of each class, int64 [3, classes]: its examples, how often it was answered, and how often that was right.

    Where an example has several right labels, a right answer stands for the label.
    """
    seen = answers.answers >= 0
    answered = np.where(answers.right, answers.labels, answers.answers)
    kinds = (answers.labels[seen], answered[seen], answers.labels[seen & answers.right])
    return np.stack([np.bincount(kind, minlength=classes) for kind in kinds])


def confused(answers: Answers) -> list[Pair]:
    """Every pair of a label and a wrong answer to it, the most frequent first."""
    wrong = (answers.answers >= 0) & ~answers.right
    pairs, times = np.unique(np.stack((answers.labels[wrong], answers.answers[wrong])), axis=1, return_counts=True)
    return _worst_first(zip(*pairs.tolist(), times.tolist(), strict=True))


def confused_in(matrix: np.ndarray) -> list[Pair]:
    """The same of a confusion matrix, int64 [label, answer]."""
    wrong = matrix * (1 - np.eye(len(matrix), dtype=matrix.dtype))
    return _worst_first((label, answer, int(matrix[label, answer])) for label, answer in np.argwhere(wrong).tolist())


def surest_mistakes(answers: Answers, most: int) -> np.ndarray:
    """Indices of the wrong answers of the highest probability, the surest first; int64 [k], at most `most`."""
    wrong = np.flatnonzero((answers.answers >= 0) & ~answers.right)
    return wrong[np.argsort(-answers.probabilities[wrong], kind="stable")[:most]]


def lines(source: Source, answers: Answers) -> list[str]:
    """For a terminal: the classes, of many those of the lowest recall; the worst confusions; the surest mistakes."""
    names = source.class_names
    return [
        *_class_lines(names, answers),
        *_confusion_lines(names, answers),
        *(
            f"sure and wrong: {source.names[index]} is {names[answers.labels[index]]}, "
            f"answered {names[answers.answers[index]]} ({answers.probabilities[index]:.4f})"
            for index in surest_mistakes(answers, SHOWN_MISTAKES)
        ),
    ]


def _worst_first(pairs: Iterable[Pair]) -> list[Pair]:
    return sorted(pairs, key=lambda pair: (-pair[2], pair[0], pair[1]))


def _class_lines(names: Sequence[str], answers: Answers) -> list[str]:
    examples, answered, right = counts(answers, len(names))
    with np.errstate(invalid="ignore"):
        precision, recall = right / answered, right / examples
    many = len(names) > SHOWN_CLASSES
    shown = np.argsort(recall, kind="stable")[: SHOWN_CLASSES // 2] if many else range(len(names))
    cells = [
        (
            shortened(names[label], 40),
            f"{examples[label]:,}",
            *("-" if np.isnan(share[label]) else f"{share[label]:.4f}" for share in (precision, recall)),
        )
        for label in shown
    ]
    header = ("class of low recall" if many else "class", "examples", "precision", "recall")
    return columns(header, cells, right=(1, 2, 3))


def _confusion_lines(names: Sequence[str], answers: Answers) -> list[str]:
    worst = confused(answers)[:SHOWN_CONFUSIONS]
    taken = ", ".join(f"{names[label]} for {names[answer]} ({times:,})" for label, answer, times in worst)
    return [f"most often taken for another: {taken}"] if taken else []


@contextmanager
def _table(file: Path, header: Sequence[str]) -> Iterator[Any]:
    """A writer of rows of a CSV file in UTF-8, with escapes for halves of characters, of names that are not UTF-8."""
    with files.appearing(file) as stream:
        text = io.TextIOWrapper(stream, "utf-8", errors="backslashreplace", newline="", write_through=True)
        writer = csv.writer(text)
        writer.writerow(header)
        yield writer
        text.detach()
