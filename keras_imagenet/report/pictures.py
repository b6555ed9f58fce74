"""Confusions, mistakes and curves as PNG pictures, in which every name can be read."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from matplotlib import style
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from keras_imagenet.data.sheet import sheet
from keras_imagenet.report.lettering import legible, shortened

MOST_IN_A_MATRIX = 50
"""Classes up to which a confusion matrix can be read; above, the worst pairs are drawn."""
MOST_PAIRS = 30
DOTS_PER_INCH = 110

Pair = tuple[int, int, int]
"""A label, another class that was answered in its place, and how often."""


def confusion(names: Sequence[str], identifiers: Sequence[str], pairs: Sequence[Pair], right: np.ndarray) -> bytes:
    """A matrix with names and numbers, a row a label and a column an answer; of more than 50 classes, the worst pairs.

    pairs: all confusions, the worst first. right: how often each label was answered rightly, int64 [classes].
    """
    if len(names) > MOST_IN_A_MATRIX:
        return _worst_pairs(names, identifiers, pairs[:MOST_PAIRS])
    matrix = np.diag(right)
    for label, answer, times in pairs:
        matrix[label, answer] = times
    return _matrix(names, identifiers, matrix)


def mistakes(
    names: Sequence[str],
    identifiers: Sequence[str],
    images: np.ndarray,
    captions: Sequence[tuple[str, int, int, float]],
) -> bytes:
    """A sheet of images uint8 [n, height, width, channels], each with what was answered, how surely, and what is right.

    captions: the image's name, its label, the answer and the answer's probability.
    """
    shown, families = legible(names, identifiers)
    files, more = legible([name for name, *_ in captions], [""] * len(captions))
    texts = [
        f"{shortened(shown[answer], 17)} {probability:.3f}\nis {shortened(shown[label], 20)}\n{shortened(file, -23)}"
        for file, (_, label, answer, probability) in zip(files, captions, strict=True)
    ]
    with _drawing([*families, *more]):
        return _png(sheet(images, texts, "the surest mistakes: answer and probability, what it is, file"))


def curves(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Loss, top-1 and learning rate after each epoch, of rows of history.csv; a solved head's, epoch 0, has no rate."""
    trained = [row for row in rows if row["epoch"]]
    panels = {"loss": ("loss", rows), "top1": ("top-1", rows)}
    panels |= {"learning_rate": ("learning rate", trained)} if trained else {}
    with _drawing():
        figure = Figure(figsize=(4 * len(panels), 3.6), layout="constrained")
        for axes, (column, (title, drawn)) in zip(figure.subplots(1, len(panels)), panels.items(), strict=True):
            epochs = [row["epoch"] for row in drawn]
            for name, what in ((column, "training"), (f"validation_{column}", "validation")):
                if name in rows[0]:
                    axes.plot(epochs, [row[name] for row in drawn], marker="o", markersize=3, label=what)
            axes.set(title=title, xlabel="epoch")
            axes.xaxis.get_major_locator().set_params(integer=True)
            if len(epochs) == 1:  # else fractions of an epoch stand around it
                axes.set_xticks(epochs, ["solved head"] if epochs == [0] else None)
            axes.grid(alpha=0.3)
            if column != "learning_rate":
                axes.legend()
        return _png(figure)


def rates(rates: Sequence[float], losses: Sequence[float], smoothed: Sequence[float], suggested: float | None) -> bytes:
    """The loss of each step by its learning rate, the smoothed loss, and the rate that is suggested."""
    with _drawing():
        figure = Figure(figsize=(6.4, 3.6), layout="constrained")
        axes = figure.subplots()
        axes.plot(rates, losses, color="tab:blue", alpha=0.3, label="of each step")
        axes.plot(rates, smoothed, color="tab:blue", label="smoothed")
        if suggested is not None:
            axes.axvline(suggested, color="tab:orange", label=f"suggested: {suggested:g}")
        top = np.quantile(losses, 0.9) if losses else 1.0  # what diverges leaves the picture
        axes.set(xscale="log", ylim=(0, 1.5 * top), title="loss", xlabel="learning rate")
        axes.grid(alpha=0.3)
        axes.legend()
        return _png(figure)


def _matrix(names: Sequence[str], identifiers: Sequence[str], matrix: np.ndarray) -> bytes:
    """Each cell as dark as its share of the row's label, with its number where there is one."""
    shown, families = legible(names, identifiers)
    side = 0.36 * len(names) + 2.4
    with _drawing(families):
        figure = Figure(figsize=(max(side, 4.0), max(side, 4.0)), layout="constrained")
        axes = figure.subplots()
        shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        words = [shortened(name, 20) for name in shown]
        axes.set_xticks(range(len(names)), words, rotation=90, fontsize=8, parse_math=False)
        axes.set_yticks(range(len(names)), words, fontsize=8, parse_math=False)
        axes.set(xlabel="answer", ylabel="class", title=f"confusions of {matrix.sum():,} examples")
        for label, answer in np.argwhere(matrix):
            colour = "white" if shares[label, answer] > 0.5 else "black"
            number = f"{matrix[label, answer]:,}"
            axes.text(
                answer, label, number, ha="center", va="center", color=colour, fontsize=8 if len(number) < 4 else 6
            )
        return _png(figure)


def _worst_pairs(names: Sequence[str], identifiers: Sequence[str], pairs: Sequence[Pair]) -> bytes:
    shown, families = legible(names, identifiers)
    with _drawing(families):
        figure = Figure(figsize=(9, 0.26 * len(pairs) + 1.2), layout="constrained")
        axes = figure.subplots()
        axes.barh(range(len(pairs)), [times for *_, times in pairs])
        words = [
            f"{shortened(shown[label], 28)}, answered {shortened(shown[answer], 28)}" for label, answer, _ in pairs
        ]
        axes.set_yticks(range(len(pairs)), words, fontsize=8, parse_math=False)
        axes.invert_yaxis()
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.set(xlabel="examples", title=f"the {len(pairs)} most frequent confusions of {len(names):,} classes")
        return _png(figure)


@contextmanager
def _drawing(families: Sequence[str] = ()) -> Iterator[None]:
    """Matplotlib's own style, whatever the user's files ask for, in these fonts."""
    fonts = {"font.family": [*dict.fromkeys(families)]} if families else {}
    with style.context(["default", fonts]):
        yield


def _png(figure: Figure) -> bytes:
    figure.set_dpi(DOTS_PER_INCH)
    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_png(buffer, metadata={"Software": None})  # Drawn once; by savefig, twice.
    return buffer.getvalue()
