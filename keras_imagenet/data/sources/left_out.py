"""What a data set holds and a run does not use, said by whoever leaves it out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from keras_imagenet.data.sources.source import Source, Splits

LISTED = 5


def left_out_lines(splits: Splits) -> list[str]:
    """Lines for people, none where all is used.

    They hold what opening the splits remarked, files passed over by reason with the first names, and classes that a split
    lacks.
    """
    opened = {"train": splits.train, "validation": splits.validation}
    sources = {name: source for name, source in opened.items() if source is not None}
    lines = list(splits.remarks)
    told: list[dict[str, int]] = []
    for source in sources.values():
        if not any(source.skipped is other for other in told):  # both sides of what was held out know the same
            lines += _skipped(source)
        told.append(source.skipped)
    for name, source in sources.items():
        lines += _lacking(source, "train" if name == "train" else "validate")
    if len(splits.classes) == 1:
        lines.append(f"one class only, {splits.classes[0]}: there is nothing to tell it from")
    return lines


def _skipped(source: Source) -> list[str]:
    lines = []
    for reason, count in source.skipped.items():
        names = some(source.first_skipped.get(reason, ()), count)
        lines.append(f"left out: {count:,} {reason}" + (f": {names}" if names else ""))
    return lines


def _lacking(source: Source, purpose: str) -> list[str]:
    counts = np.bincount(source.labels, minlength=len(source.classes))
    lacking = [source.classes[label] for label in np.flatnonzero(counts == 0)]
    if not lacking:
        return []
    return [f"no image to {purpose} on in {len(lacking):,} of {len(counts):,} classes: {some(lacking, len(lacking))}"]


def some(names: Sequence[str], count: int) -> str:
    """The first of count names, and how many more there are."""
    more = count - len(names[:LISTED])
    return ", ".join(names[:LISTED]) + (f" and {more:,} more" if names and more else "")
