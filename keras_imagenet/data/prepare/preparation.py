"""The way from inputs to shards: every shard is a function of inputs and settings, so any may be written at any time."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_imagenet import files
from keras_imagenet.data import order
from keras_imagenet.data.prepare.check import Checked, check
from keras_imagenet.data.prepare.inputs import open_inputs
from keras_imagenet.data.prepare.item import Split
from keras_imagenet.data.prepare.report import CLASSES_FILE, SUMMARY_FILE, template, write_report
from keras_imagenet.data.prepare.shards import Entry, finished, in_order, write_shard
from keras_imagenet.data.sources.source import fingerprint
from keras_imagenet.errors import DataError, KerasImagenetError, SettingsError
from keras_imagenet.labels import write_classes
from keras_imagenet.settings.prepare import PrepareSettings

JOURNAL = ".journal"
SECONDS_BETWEEN_LINES = 10.0


def prepare(settings: PrepareSettings, report: Callable[[str], None] = print) -> dict[str, Any]:
    """Writes seekable shards and what stands beside them; returns the summary, which summary.json holds too.

    An interrupted preparation goes on with the first shard that is not finished. report gets lines of progress.
    Raises SettingsError if output holds a preparation of other settings or inputs, DataError if the inputs cannot be
    used, and KerasImagenetError if output cannot be written.
    """
    output = settings.output
    classes, splits = open_inputs(settings)
    for split in splits:
        if not split.count:
            raise DataError(f"{split.name}: holds no image that is to be prepared{_refused(split)}")
    try:
        (output / JOURNAL).mkdir(parents=True, exist_ok=True)
        _begin(settings, classes.identifiers, splits)
        if (output / SUMMARY_FILE).exists():
            report(f"{output}: is prepared already")
            return json.loads((output / SUMMARY_FILE).read_text(encoding="utf-8"))
        write_classes(output / CLASSES_FILE, classes)
        files.sweep(output)
        files.sweep(output / JOURNAL)
        threads = settings.threads or os.cpu_count() or 1
        progress = _Progress(report, sum(split.count for split in splits))
        with ThreadPoolExecutor(threads) as pool:
            entries = {split.name: _write_split(settings, split, pool, 4 * threads, progress) for split in splits}
        refused = [(split.name, *item) for split in splits for item in split.refused]
        for name, written in entries.items():
            if not any(len(entry.labels) for entry in written):
                raise DataError(f"{name}: none of its images can be decoded; {written[0].facts['quarantined'][0]}")
        summary = write_report(settings, classes, entries, refused)
        summary["skipped"] = {split.name: dict(split.skipped) for split in splits}
        files.write_json(output / SUMMARY_FILE, summary)
        for split in splits:
            for file in (output / JOURNAL).glob(f"{split.name}-*"):
                file.unlink()
    except OSError as error:
        raise KerasImagenetError(
            f"{output}: cannot be written: {error.strerror or error}; finished shards are kept, the same command goes on"
        ) from error
    return summary


def summary_lines(summary: dict[str, Any]) -> list[str]:
    """The summary for people."""
    images = ", ".join(f"{count:,} {split}" for split, count in summary["images"].items())
    size = sum(summary["bytes"].values()) / 2**20
    lines = [
        f"{images} images of {summary['classes']:,} classes in {sum(summary['shards'].values()):,} shards, {size:,.1f} MiB",
        f"{summary['quarantined']:,} quarantined (quarantine.tsv), {summary['changed']:,} stored anew (changed.tsv)",
        f"{summary['copies']:,} exact copies, {summary['copies_across_splits']:,} in both splits, "
        f"{summary['copies_across_classes']:,} in several classes (copies.tsv)",
    ]
    for split, mean in summary["psnr_mean"].items():
        if mean is not None:
            lines.append(
                f"{split}: JPEG coding of images stored anew: PSNR {mean} dB on average, at least "
                f"{summary['psnr_least'][split]} dB"
            )
    for split, counts in summary["skipped"].items():
        if counts:
            lines.append(f"{split}: skipped " + ", ".join(f"{count:,} {reason}" for reason, count in counts.items()))
    return [*lines, f"train on them with --data.source.name records --data.source.directory {summary['output']}"]


@dataclass
class _Progress:
    """How far the preparation is; images of shards that were there already do not count towards the speed."""

    report: Callable[[str], None]
    total: int
    done: int = 0
    written: int = 0
    quarantined: int = 0
    started: float = 0.0
    told: float = 0.0

    def advance(self, image: Checked) -> None:
        """Counts an image, and says so every few seconds."""
        now = time.monotonic()
        self.started = self.started or now
        self.done += 1
        self.written += 1
        self.quarantined += image.fault is not None
        if now - max(self.told, self.started) >= SECONDS_BETWEEN_LINES:
            self.told = now
            speed = self.written / (now - self.started)
            left = (self.total - self.done) / speed
            self.report(
                f"{self.done:,} of {self.total:,} images, {speed:,.0f} images/s, "
                f"{left / 60:,.0f} min left, {self.quarantined:,} quarantined"
            )


def _write_split(
    settings: PrepareSettings, split: Split, pool: ThreadPoolExecutor, at_once: int, progress: _Progress
) -> list[Entry]:
    shards = -(-split.count // settings.shard_size)
    names = template(settings.name, settings.output, split.name).sharded_filepaths(shards)
    entries = []

    def checked(number: int) -> Checked | None:
        item = split.read(number)
        return None if item.label < 0 else check(item, settings.max_side, settings.quality)

    def images(numbers: np.ndarray):
        for image in in_order(pool, checked, map(int, numbers), at_once):
            if image is not None:
                progress.advance(image)
                yield image

    for number, name in enumerate(names):
        shard, journal = Path(name), settings.output / JOURNAL / f"{split.name}-{number:05d}.npz"
        positions = np.arange(number * settings.shard_size, min((number + 1) * settings.shard_size, split.count))
        entry = finished(shard, journal)
        if entry is None:
            numbers = order.permute(positions, split.count, key=0) if settings.shuffle else positions
            entry = write_shard(shard, journal, images(numbers))
        else:
            progress.done += len(positions)
            progress.quarantined += len(entry.facts["quarantined"])
        entries.append(Entry(entry.digests, entry.labels, entry.names, entry.facts))
    return entries


def _begin(settings: PrepareSettings, identifiers: tuple[str, ...], splits: list[Split]) -> None:
    """Writes down what is being prepared, or compares with what was being prepared in this folder before."""
    acting = ("name", "max_side", "quality", "shard_size", "shuffle")
    plan = {key: getattr(settings, key) for key in acting} | {"classes": fingerprint(identifiers)}
    plan |= {f"{split.name} images": split.fingerprint for split in splits}
    file = settings.output / JOURNAL / "plan.json"
    if file.exists():
        before = json.loads(file.read_text(encoding="utf-8"))
        differing = sorted(key for key in {*plan, *before} if plan.get(key) != before.get(key))
        if differing:
            raise SettingsError(
                f"{settings.output}: holds a preparation with other {', '.join(differing)}; "
                "choose another output, or remove that folder"
            )
    else:
        if any(entry.name != JOURNAL for entry in os.scandir(settings.output)):
            raise SettingsError(f"{settings.output}: is not empty; choose another output")
        shutil.rmtree(settings.output / JOURNAL)
        (settings.output / JOURNAL).mkdir()
        files.write_json(file, plan)


def _refused(split: Split) -> str:
    return f"; {len(split.refused)} were refused, such as {split.refused[0]}" if split.refused else ""
