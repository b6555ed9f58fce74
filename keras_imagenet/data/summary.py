"""What a data set holds: examples per class, sizes and formats of images, copies, and what cannot be read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_imagenet.data import order
from keras_imagenet.data.sources import Source, Splits
from keras_imagenet.preset import Preset

if TYPE_CHECKING:
    from keras_imagenet.data.images.rendering import Rendering

LISTED = 20
GLANCED = 24
"""Images that a run looks at before it begins, at most."""
_GLANCED_PIXELS = 8_000_000
"""Of one of them, so that it takes seconds at most."""


@dataclass(frozen=True)
class _Look:
    """One image looked at. size: (height, width), None where a fault says why there is none. oddity: as images.oddity says."""

    digest: bytes
    kind: str
    size: tuple[int, int] | None
    fault: str | None
    oddity: str | None = None


def summary(splits: Splits, preset: Preset, limit: int = 5000, threads: int = 2) -> dict[str, Any]:
    """Facts of both splits, for JSON.

    At most `limit` images a split, chosen at random where there are more, are decoded, as the preset says.
    """
    from keras_imagenet.data.images.rendering import rendering_of

    rendering = rendering_of(preset)
    opened = {name: source for name in ("train", "validation") if (source := getattr(splits, name)) is not None}
    looks = {name: _look_at_all(source, rendering, limit, threads) for name, source in opened.items()}
    content: dict[str, Any] = {"classes": len(splits.classes)}
    for name, source in opened.items():
        content[name] = _counts(source) | _seen(source, looks[name])
    digests = [{look.digest for look in found.values()} for found in looks.values()]
    content["copies_across_splits"] = len(set.intersection(*digests)) if len(digests) == 2 else 0
    return content


def summary_lines(content: Mapping[str, Any]) -> list[str]:
    """The summary for people."""
    lines = [f"{content['classes']:,} classes"]
    for name in ("train", "validation"):
        if name not in content:
            continue
        split = content[name]
        least, middle, most = split["per_class"]
        lines.append(
            f"{name}: {split['examples']:,} examples; a class has {least:,} to {most:,}, half of them {middle:,} or more"
        )
        if split["without"]:
            lines.append(f"  no example of {_some(split['without'])}")
        looked = (
            "all images"
            if split["looked_at"] == split["examples"]
            else f"{split['looked_at']:,} images chosen at random"
        )
        lines.append(f"  of {looked}: {', '.join(f'{count:,} {kind}' for kind, count in split['kinds'].items())}")
        if split["height"] is not None:
            extents = (
                f"{key} {low:,} to {high:,} (median {half:,})"
                for key in ("height", "width")
                for low, half, high in [split[key]]
            )
            lines.append(f"  {', '.join(extents)} pixels")
        lines.append(f"  {split['copies']:,} exact copies, {len(split['unreadable']):,} unreadable")
        lines += [f"    {image}: {reason}" for image, reason in list(split["unreadable"].items())[:LISTED]]
        if split["odd"]:
            lines.append(f"  {len(split['odd']):,} that the network will hardly see:")
            lines += [f"    {image}: {reason}" for image, reason in list(split["odd"].items())[:LISTED]]
        if split["skipped"]:
            lines.append("  skipped: " + ", ".join(f"{count:,} {reason}" for reason, count in split["skipped"].items()))
    if "train" in content and "validation" in content:
        lines.append(f"{content['copies_across_splits']:,} images are in both splits, of those looked at")
    return lines


def odd_lines(source: Source, preset: Preset) -> list[str]:
    """A line where some of up to GLANCED images, always the same ones, will hardly be seen; else none."""
    import tensorflow as tf

    from keras_imagenet.data.images import oddity
    from keras_imagenet.data.images.decoding import header
    from keras_imagenet.data.images.rendering import rendering_of
    from keras_imagenet.data.stream import UNREADABLE_ERRORS

    n, looked, odd = len(source), 0, []
    for index in order.permute(np.arange(min(n, GLANCED)), n, key=0).tolist():
        try:
            image = source.read(tf.constant(index, tf.int64))
            if image.dtype != tf.string:
                return []
            if tf.reduce_prod(tf.cast(header(image)[:2], tf.int64)) > _GLANCED_PIXELS:
                continue
            reason = oddity(image.numpy(), rendering_of(preset))
        except UNREADABLE_ERRORS:  # named when a batch holds it
            continue
        looked += 1
        odd += [] if reason is None else [f"{source.names[index]}: {reason}"]
    return [f"hardly to be seen: {len(odd)} of {looked} images looked at; {odd[0]}"] if odd else []


def _counts(source: Source) -> dict[str, Any]:
    counts = np.bincount(source.labels, minlength=len(source.classes))
    there = np.sort(counts[counts > 0])
    return {
        "examples": len(source),
        "per_class": [int(there[0]), int(there[len(there) // 2]), int(there[-1])],
        "without": [source.classes[label] for label in np.flatnonzero(counts == 0)],
        "counts": {name: int(count) for name, count in zip(source.classes, counts, strict=True)},
        "skipped": dict(source.skipped),
    }


def _seen(source: Source, looks: Mapping[int, _Look]) -> dict[str, Any]:
    sizes = np.array([look.size for look in looks.values() if look.size is not None])
    extent = dict.fromkeys(("height", "width"))
    if len(sizes):
        for key, values in zip(extent, sizes.T, strict=True):
            extent[key] = [int(values.min()), int(np.median(values)), int(values.max())]
    return {
        "looked_at": len(looks),
        "kinds": dict(Counter(look.kind for look in looks.values()).most_common()),
        **extent,
        "copies": len(looks) - len({look.digest for look in looks.values()}),
        "unreadable": {source.names[index]: look.fault for index, look in looks.items() if look.fault is not None},
        "odd": {source.names[index]: look.oddity for index, look in looks.items() if look.oddity is not None},
    }


def _look_at_all(source: Source, rendering: Rendering, limit: int, threads: int) -> dict[int, _Look]:
    n = len(source)
    indices = np.arange(n) if n <= limit else np.sort(order.permute(np.arange(limit), n, key=0))
    with ThreadPoolExecutor(threads) as pool:
        return dict(zip(indices.tolist(), _in_turn(pool, source, rendering, indices.tolist()), strict=True))


def _in_turn(pool: ThreadPoolExecutor, source: Source, rendering: Rendering, indices: list[int]) -> Iterator[_Look]:
    for begin in range(0, len(indices), 256):  # so that memory holds a few images, not all
        yield from pool.map(lambda index: _look(source, rendering, index), indices[begin : begin + 256])


def _look(source: Source, rendering: Rendering, index: int) -> _Look:
    import tensorflow as tf

    from keras_imagenet.data.images import fault, oddity
    from keras_imagenet.data.images.faults import format_name
    from keras_imagenet.data.prepare.check import decoded
    from keras_imagenet.data.stream import UNREADABLE_ERRORS, examine

    try:
        content = source.read(tf.constant(index, tf.int64)).numpy()
    except UNREADABLE_ERRORS:
        return _Look(str(index).encode(), "unreadable files", None, examine(source, index))
    if not isinstance(content, bytes):
        return _Look(_digest(content.tobytes()), f"arrays of {content.shape[2]} channels", content.shape[:2], None)
    pixels = decoded(content, rendering)
    if pixels is None:
        return _Look(_digest(content), format_name(content), None, fault(content) or "cannot be decoded")
    return _Look(_digest(content), format_name(content), pixels.shape[:2], None, oddity(content, rendering, pixels))


def _digest(content: bytes) -> bytes:
    return blake2b(content, digest_size=16).digest()


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 5:,} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more
