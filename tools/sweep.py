"""Every registered network at its real size: built, counted, run, saved, loaded, exported; one process each.

    python tools/sweep.py                 go on with what tools/sweep.csv lacks
    python tools/sweep.py 'resnet*'       only these
    python tools/sweep.py --again         all of them anew

A row holds the revision of keras_imagenet/models that it was made from; rows of another revision are made anew. What
fails is written too, with its last line of error, and the exit code is 1. A process gets --minutes before it is ended.
"""

from __future__ import annotations

import argparse
import csv
import fnmatch
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from keras_imagenet import files

if TYPE_CHECKING:
    import keras
    import numpy as np

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "tools" / "sweep.csv"
COLUMNS = (
    "name",
    "revision",
    "parameters_equal",
    "macs_ratio",
    "build_seconds",
    "forward_seconds",
    "finite",
    "bfloat16_finite",
    "loaded_difference",
    "exported_difference",
    "error",
)


def main() -> int:
    """Run what is missing; exit code 1 if a row of the table has an error."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pattern", nargs="?", default="*")
    parser.add_argument("--again", action="store_true", help="make rows of this revision anew, too")
    parser.add_argument("--minutes", type=float, default=10.0, help="for one network (10)")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(arguments.one)))
        return 0

    from keras_imagenet.models import registry

    revision = _revision()
    rows = {row["name"]: row for row in _read()}
    for name in registry.catalogue():
        done = rows.get(name, {}).get("revision") == revision and not arguments.again
        if done or not fnmatch.fnmatchcase(name, arguments.pattern):
            continue
        started = time.perf_counter()
        rows[name] = {"name": name, "revision": revision, **_run(name, arguments.minutes)}
        _write([rows[n] for n in registry.catalogue() if n in rows])
        print(f"{name}: {rows[name].get('error') or 'good'} ({time.perf_counter() - started:.0f} s)", flush=True)
    return 1 if any(row.get("error") for row in rows.values()) else 0


def measure(name: str) -> dict[str, object]:
    """All checks of one network, in this process; a difference of logits is the largest, as a share of the largest logit.

    As a share, because random weights let the logits of a deep network grow to any size.
    """
    import keras
    import numpy as np
    import tensorflow as tf

    from keras_imagenet.models import macs, registry

    record = registry.catalogue()[name]
    shape = (record.input_size, record.input_size, record.channels)
    x = np.random.default_rng(0).normal(size=(2, *shape)).astype("float32")
    started = time.perf_counter()
    network = registry.build(name, input_shape=shape, classes=record.classes)
    built = time.perf_counter()
    take_statistics(network, x)
    statistics = time.perf_counter()
    logits = np.asarray(network(x, training=False))
    ran = time.perf_counter()
    trained = sum(int(np.prod(weight.shape)) for weight in network.trainable_weights)
    row: dict[str, object] = {
        "parameters_equal": (network.count_params(), trained) == (record.params_total, record.params_trainable),
        "macs_ratio": f"{macs.count(network) / record.macs:.5f}",
        "build_seconds": f"{built - started:.1f}",
        "forward_seconds": f"{ran - statistics:.1f}",
        "finite": bool(np.isfinite(logits).all()) and logits.shape == (2, record.classes),
    }

    def difference(other: tf.Tensor) -> float:
        return np.abs(np.asarray(other) - logits).max() / np.abs(logits).max()

    with tempfile.TemporaryDirectory() as folder:
        network.save(f"{folder}/model.keras")
        loaded = keras.saving.load_model(f"{folder}/model.keras", safe_mode=True)
        row["loaded_difference"] = f"{difference(loaded(x, training=False)):.1e}"
        del loaded
        network.export(f"{folder}/saved_model", verbose=False)
        exported = tf.saved_model.load(f"{folder}/saved_model")
        row["exported_difference"] = f"{difference(exported.serve(tf.constant(x))):.1e}"
        del exported, network
    keras.config.set_dtype_policy("mixed_bfloat16")
    mixed = np.asarray(registry.build(name, input_shape=shape, classes=record.classes)(x, training=False))
    row["bfloat16_finite"] = bool(np.isfinite(mixed).all()) and mixed.dtype == np.float32
    return row


def take_statistics(network: keras.Model, x: np.ndarray) -> None:
    """Moving statistics as training leaves them: without, activations grow with depth until rounding decides logits."""
    import keras

    norms = [layer for layer in network.layers if isinstance(layer, keras.layers.BatchNormalization)]
    for norm in norms:
        norm.momentum = 0.0
    if norms:
        network(x, training=True)


def _run(name: str, minutes: float) -> dict[str, object]:
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(Path(__file__).resolve()), "--one", name]
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60 * minutes)
    except subprocess.TimeoutExpired:
        return {"error": f"not done after {minutes:g} minutes"}
    if done.returncode:
        return {"error": (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]}
    row = json.loads(done.stdout.splitlines()[-1])
    wrong = [column for column in ("parameters_equal", "finite", "bfloat16_finite") if not row[column]]
    if abs(float(row["macs_ratio"]) - 1) >= 0.005:
        wrong.append("macs_ratio")
    wrong += [column for column in ("loaded_difference", "exported_difference") if not float(row[column]) < 1e-3]
    return {**row, "error": f"wrong: {', '.join(wrong)}" if wrong else ""}


def _revision() -> str:
    """The last commit that touched the models; with + if they were changed since."""
    here = ["git", "-C", str(ROOT)]
    folder = ["--", "keras_imagenet/models"]
    commit = subprocess.run([*here, "log", "-1", "--format=%h", *folder], capture_output=True, text=True, check=True)
    dirty = subprocess.run([*here, "diff", "--quiet", "HEAD", *folder], check=False).returncode
    return commit.stdout.strip() + ("+" if dirty else "")


def _read() -> list[dict[str, str]]:
    if not TABLE.exists():
        return []
    with TABLE.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _write(rows: list[dict[str, object]]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n", restval="")
    writer.writeheader()
    writer.writerows(rows)
    files.write(TABLE, text.getvalue())


if __name__ == "__main__":
    sys.exit(main())
