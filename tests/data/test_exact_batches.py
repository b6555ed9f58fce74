"""One seed, one sequence of batches: the same bytes of real photos for any threads, replicas, workers and resumption."""

import hashlib
import itertools
import json
import os
import pickle
import socket
import subprocess
import sys
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from keras_imagenet.data import pipeline
from keras_imagenet.data.sources import open_source
from keras_imagenet.data.stream import Stream
from keras_imagenet.preset import Preset
from keras_imagenet.settings.augment import AugmentSettings
from keras_imagenet.settings.data import FolderSource

AUGMENT = AugmentSettings(
    random_resized_crop={},
    flip="horizontal",
    rand_augment="rand-m9-n2-mstd0.5-inc1",
    augmix={"consistency": 12},
    color_jitter={"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1},
)
MIXED = {
    mode: AugmentSettings(
        random_resized_crop={},
        mixing={"mixup": 0.8, "cutmix": 1.0, "mode": mode, "partner": "permuted"},
        random_erasing={"probability": 0.5, "count": 2},
        lighting=0.1,
    )
    for mode in ("batch", "group", "element")
}
KINDS = {
    "training": 8,
    "evaluation": 8,
    **dict.fromkeys(MIXED, 32),
}  # batches; 4 replicas cut one of 32 into whole groups
SHORT = ("training", "evaluation", "element")
"""Of each kind of pipeline one; that what is drawn in another mode does not depend on who reads is kept for the slow runs."""
SHORT_OR_SLOW = [kind if kind in SHORT else pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS]
STEPS = 4  # of 13 photos, each twice in its batch: epochs end in the middle of batches


# A process with a strategy of its own: what each of its replicas gets of every batch.
PARTS = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
import test_exact_batches as test
def local(batch):
    whole = {{name: strategy.experimental_local_results(value) for name, value in batch.items()}}
    return [{{name: rows[replica].numpy() for name, rows in whole.items()}} for replica in range(len(whole["labels"]))]
found = {{}}
for kind in {kinds}:
    stream = test.opened(Path({photos!r}), kind, strategy)
    found[kind] = [local(batch) for batch in test.batches(stream)]
"""


@pytest.fixture(scope="module")
def photos(shared: Path, tmp_path_factory) -> Path:
    """13 photos of ImageNet, each of a class of its own."""
    folder = tmp_path_factory.mktemp("photos")
    for place in sorted((shared / "data/imagenet_samples/val").iterdir())[:13]:
        (folder / place.name).symlink_to(place)
    return folder


@pytest.fixture(scope="module")
def whole(photos: Path) -> dict[str, list[dict]]:
    """The global batches of one device and two threads."""
    return {kind: [*batches(opened(photos, kind, tf.distribute.get_strategy()))] for kind in KINDS}


@pytest.fixture(scope="module")
def wanted(whole: dict[str, list[dict]]) -> dict[str, list[str]]:
    """Their checksums."""
    return {kind: [checksum([batch]) for batch in found] for kind, found in whole.items()}


def opened(
    photos: Path, kind: str, strategy: tf.distribute.Strategy, threads: int = 2, step: int = 0, size: int | None = None
) -> Stream:
    source = open_source(FolderSource(name="folder", directory=photos)).train
    options = {"batch_size": size or KINDS[kind], "threads": threads, "report": pytest.fail}
    if kind == "evaluation":
        stream = pipeline.evaluation_stream(source, Preset(size=(48, 64)), strategy, **options)
        stream.seek(step)
        return stream
    return pipeline.training_stream(
        source, Preset(size=(48, 64)), MIXED.get(kind, AUGMENT), strategy, seed=5, repeats=2, first_step=step, **options
    )


def batches(stream: Stream) -> Iterable[dict]:
    """As many as are compared, or up to the end of the evaluation."""
    return itertools.islice(stream, STEPS - stream.step)


def checksum(parts: list[dict]) -> str:
    """Of the global batch whose parts these are, in their order."""
    digest = hashlib.sha256()
    for name in sorted(parts[0]):
        digest.update(np.concatenate([part[name] for part in parts]).tobytes())
    return digest.hexdigest()


def test_the_batches_differ(wanted: dict) -> None:
    assert len({checksum for kind in KINDS for checksum in wanted[kind]}) == (len(KINDS) - 1) * STEPS + 2


def test_batches_hold_what_is_drawn_for_mixing_and_erasing(whole: dict) -> None:
    for mode in MIXED:
        batch = whole[mode][0]
        assert batch["shares"].shape == (32,)
        assert batch["cuts"].shape == (32, 4)
        assert batch["erasures"].shape == (32, 2, 4)
        assert (batch["shares"].numpy() < 1).any() or batch["cuts"].numpy().any()
        assert batch["erasures"].numpy().any()


@pytest.mark.parametrize("kind", SHORT_OR_SLOW)
def test_eight_threads_and_a_start_anywhere_change_no_byte(photos: Path, wanted: dict, kind: str) -> None:
    step = int(np.random.default_rng(1).integers(1, len(wanted[kind])))
    stream = opened(photos, kind, tf.distribute.get_strategy(), threads=8, step=step)
    assert [checksum([batch]) for batch in batches(stream)] == wanted[kind][step:]


@pytest.mark.parametrize("kind", SHORT_OR_SLOW)
def test_workers_change_no_byte(photos: Path, wanted: dict, kind: str) -> None:
    """Two workers of two replicas each, with one thread: each opens its part as MultiWorkerMirroredStrategy has it done."""
    stream, parts = opened(photos, kind, tf.distribute.get_strategy(), threads=1), []
    for worker in range(2):
        rows = stream.of_worker(tf.distribute.InputContext(2, worker, 4)).take(2 * len(wanted[kind]))
        parts.append(list(rows.as_numpy_iterator()))
    assert all(len(part["labels"]) == KINDS[kind] // 4 for part in parts[0])
    found = [
        checksum([part for of in parts for part in of[2 * step : 2 * step + 2]]) for step in range(len(wanted[kind]))
    ]
    assert found == wanted[kind]


def test_replicas_change_no_byte(photos: Path, wanted: dict, python) -> None:
    """A MirroredStrategy over two logical CPUs, in a process of its own; what they cannot share in evaluation is padded."""
    program = f"""
import json
from keras_imagenet import runtime
from keras_imagenet.settings import RuntimeSettings
strategy = runtime.start(RuntimeSettings(logical_cpus=2), None)
assert strategy.num_replicas_in_sync == 2
{PARTS.format(tests=str(Path(__file__).parent), photos=str(photos), kinds=SHORT)}
uneven = test.opened(Path({str(photos)!r}), "evaluation", strategy, size=7)
found["uneven"] = [local(batch) for batch in test.batches(uneven)]
print(json.dumps({{kind: [test.checksum(parts) for parts in found[kind]] for kind in found}}))
"""
    done = python(program)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {**{kind: wanted[kind] for kind in SHORT}, "uneven": wanted["evaluation"]}


@pytest.mark.slow
def test_two_machines_change_no_byte(photos: Path, wanted: dict, tmp_path: Path) -> None:
    """A MultiWorkerMirroredStrategy over two processes, which know each other by TF_CONFIG as machines do."""
    program = f"""
import pickle, sys
import tensorflow as tf
strategy = tf.distribute.MultiWorkerMirroredStrategy()
assert strategy.num_replicas_in_sync == 2
{PARTS.format(tests=str(Path(__file__).parent), photos=str(photos), kinds=tuple(KINDS))}
with open(sys.argv[1], "wb") as file:
    pickle.dump(found, file)
"""
    ports = free_ports(2)
    addresses = [f"127.0.0.1:{port}" for port in ports]
    workers = []
    for index in range(2):
        place = json.dumps({"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}})
        command = [sys.executable, "-c", program, str(tmp_path / f"{index}.pickle")]
        environment = {**os.environ, "TF_CONFIG": place}
        workers.append(subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True))
    for worker in workers:
        _, said = worker.communicate()
        assert worker.returncode == 0, said
    first, second = (pickle.loads((tmp_path / f"{index}.pickle").read_bytes()) for index in range(2))
    for kind, checksums in wanted.items():
        found = [checksum([*ours, *theirs]) for ours, theirs in zip(first[kind], second[kind], strict=True)]
        assert found == checksums


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [server.getsockname()[1] for server in sockets]
