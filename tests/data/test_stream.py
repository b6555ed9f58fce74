"""Errors of a disk or a network that pass are waited for; those that stay name the file and lose nothing."""

import ast
import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_imagenet.data import order, stream
from keras_imagenet.data.sources import Source
from keras_imagenet.errors import DataError, DataUnavailable

FAULTS = Path(__file__).with_name("faults.c")
PASSING = (errno.ESTALE, errno.EMFILE, errno.ETIMEDOUT, errno.EAGAIN, errno.EINTR)


@pytest.fixture(scope="module")
def faults(tmp_path_factory) -> str:
    """A library that makes opens fail, for LD_PRELOAD."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("needs a C compiler (cc) to make opens of files fail")
    library = tmp_path_factory.mktemp("faults") / "faults.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, FAULTS, "-ldl"], check=True)
    return str(library)


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("photos")
    for name, level in (("bee", 200), ("ant", 20)):
        (root / name).mkdir()
        for number in range(8):
            Image.new("RGB", (16, 16), (level, 9 * number, 0)).save(root / name / f"{number}.png")
    return root


READ = """
import os, sys
from pathlib import Path
import tensorflow as tf
from keras_imagenet.data import pipeline, sources, stream
from keras_imagenet.errors import DataError
from keras_imagenet.preset import Preset
from keras_imagenet.settings.data import FolderSource

stream.PAUSES = (0.01, 0.01, 0.01)
source = sources.open_source(FolderSource(name="folder", directory=Path(sys.argv[1]))).train

def read(**fault):
    left_out = []
    os.environ.update({f"FAULT_{name.upper()}": str(value) for name, value in fault.items()})
    rows = dict(batch_size=4, threads=2, report=lambda name, reason: left_out.append((name, reason)))
    batches = pipeline.evaluation_stream(source, Preset(size=(16, 16)), tf.distribute.get_strategy(), **rows)
    try:
        return sum(int(batch["weights"].numpy().sum()) for batch in batches), left_out
    except DataError as error:
        return type(error).__name__, str(error)
    finally:
        os.environ.pop("FAULT_NAME")
"""


def asked(faults: str, photos: Path, expression: str) -> list:
    """What an expression of `read` is, in a process whose opens can be made to fail."""
    words = [sys.executable, "-c", f"{READ}\nprint({expression})", str(photos)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, env=os.environ | {"LD_PRELOAD": faults})
    assert done.returncode == 0, done.stderr
    return ast.literal_eval(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_an_error_that_passes_is_waited_for(faults, photos) -> None:
    """The counter of opens goes on, so the faults of one errno come after those of another."""
    numbers = (*PASSING, errno.EIO)
    once = "read(name='bee/3.png', errno=number, skip=3 * place, times=2) for place, number in enumerate({})"
    assert asked(faults, photos, f"[{once.format(numbers)}]") == [(16, [])] * len(numbers)


@pytest.mark.parametrize("numbers", [PASSING[:1], pytest.param(PASSING[1:], marks=pytest.mark.slow)])
def test_an_error_that_stays_names_the_file_in_plain_words(faults, photos, numbers) -> None:
    found = asked(faults, photos, f"[read(name='bee/3.png', errno=number) for number in {numbers}]")
    expected = [f"bee/3.png: cannot be read: {os.strerror(number)}, also when tried again" for number in numbers]
    assert found == [("DataUnavailable", message) for message in expected]


@pytest.mark.slow
def test_one_image_in_a_damaged_place_is_left_out_and_a_disk_that_is_gone_is_not(faults, photos) -> None:
    one, all_of_them, denied = asked(
        faults,
        photos,
        f"[read(name='bee/3.png', errno={errno.EIO}), read(name='.png', errno={errno.EIO}), "
        f"read(name='bee/3.png', errno={errno.EACCES})]",
    )
    assert one == (15, [("bee/3.png", "cannot be read: Input/output error")])
    assert all_of_them == ("DataUnavailable", "ant/0.png: cannot be read: Input/output error, also when tried again")
    assert denied == (15, [("bee/3.png", "cannot be read: Permission denied")])


@pytest.mark.slow
def test_training_saves_its_state_and_goes_on_when_the_disk_is_back(faults, photos, command, tmp_path) -> None:
    words = ("--data.source.name", "folder", "--data.source.directory", photos, "--data.size", "16")
    run = ("fit", *words, "--train.batch_size", "4", "--train.steps", "16", "--runtime.run_folder", tmp_path / "run")
    fault = {"FAULT_NAME": "bee/3.png", "FAULT_ERRNO": str(errno.ESTALE), "FAULT_SKIP": "3"}
    stopped = command(*run, env=os.environ | fault | {"LD_PRELOAD": faults})
    assert stopped.returncode == 3
    assert stopped.stderr == (
        "keras-imagenet: bee/3.png: cannot be read: Stale file handle, also when tried again; the state is saved. "
        f"To go on: keras-imagenet fit --config {tmp_path / 'run'}\n"
    )
    finished = command(*run)
    assert finished.returncode == 0, finished.stderr
    assert "going on from step" in finished.stdout
    assert "left out" not in stopped.stdout + finished.stdout


def failing(faults: dict[int, list[int]]) -> Source:
    """Twelve pixels; each of the reads of an example fails with the next errno of its list, the last one for good."""
    left = {index: [*of] for index, of in faults.items()}

    def read(index: tf.Tensor) -> tf.Tensor:
        numbers = left.get(int(index), [0])
        if number := numbers.pop(0) if len(numbers) > 1 else numbers[0]:
            raise OSError(number, os.strerror(number))
        return tf.zeros((1, 1, 3), tf.uint8)

    labels, names = np.arange(12, dtype=np.int32) % 2, [f"{number}.png" for number in range(12)]
    return Source(("a", "b"), ("a", "b"), labels, names, "", read)


def seen(source: Source) -> tuple[list[float], list[tuple[str, str]], list[float]]:
    """The weights of the examples, who was reported as unreadable, and how long was waited."""
    reported, pauses = [], []

    def plan_of(step: int, worker: int, workers: int) -> order.Plan:
        return order.evaluation_plan(step, 4, len(source), replica=worker, replicas=workers)

    def opened(step: int, plan: Callable[[int], order.Plan], rows: int) -> tf.data.Dataset:
        def batches() -> Iterator[np.ndarray]:
            for number in range(step, 3):
                acting = plan(number)
                for index in acting.indices:
                    source.read(tf.constant(index))
                yield acting.weights

        return tf.data.Dataset.from_generator(batches, output_signature=tf.TensorSpec([rows], tf.float32))

    def report(name: str, reason: str) -> None:
        reported.append((name, reason))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stream, "time", SimpleNamespace(sleep=pauses.append))
        batches = list(stream.Stream(source, 4, plan_of, opened, tf.distribute.get_strategy(), report))
    return np.concatenate(batches).tolist(), reported, pauses


def test_a_batch_is_tried_again_after_longer_and_longer_pauses() -> None:
    """Each try finds the fault twice: in the batch, and when its images are looked at one by one."""
    assert seen(failing({5: [errno.ESTALE] * 4 + [0]})) == ([1] * 12, [], [0.1, 0.5])
    assert seen(failing({5: [errno.ESTALE, 0]})) == ([1] * 12, [], [0.1])
    with pytest.raises(DataUnavailable, match=r"^5\.png: cannot be read: Stale file handle, also when tried again$"):
        seen(failing({5: [errno.ESTALE]}))


def test_an_image_in_a_damaged_place_is_left_out_unless_all_of_its_batch_are() -> None:
    alone = failing({6: [errno.EIO], 9: [errno.EACCES]})
    weights, reported, pauses = seen(alone)
    assert weights == [1] * 6 + [0] + [1] * 2 + [0] + [1] * 2
    assert reported == [("6.png", "cannot be read: Input/output error"), ("9.png", "cannot be read: Permission denied")]
    assert pauses == [0.1, 0.5, 2.0]  # for the damaged place; permission does not come by waiting
    with pytest.raises(DataUnavailable, match=r"^4\.png: cannot be read: Input/output error, also when tried again$"):
        seen(failing({index: [errno.EIO] for index in (4, 5, 6, 7)}))
    with pytest.raises(
        DataError, match=r"^none of the 12 images can be read; the last is 11\.png: .*Permission denied$"
    ):
        seen(failing({index: [errno.EACCES] for index in range(12)}))


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            tf.errors.NotFoundError(None, None, "{{node read}} /photos/x.jpg; No such file or directory [Op:ReadFile]"),
            "No such file or directory",
        ),
        (tf.errors.UnknownError(None, None, ""), "UnknownError"),
        (UnicodeDecodeError("utf-8", b"Could not parse example \xff", 24, 25, "invalid"), "its record is damaged"),
        (UnicodeDecodeError("utf-8", b"caf\xe9.jpg; Permission denied", 3, 4, "invalid"), "Permission denied"),
    ],
)
def test_a_fault_is_said_in_the_disk_s_words(error: Exception, said: str) -> None:
    """Without TensorFlow's operations and paths, also where it quotes what is no UTF-8."""

    def read(index: tf.Tensor) -> tf.Tensor:
        raise error

    source = Source(("a",), ("a",), np.zeros(1, np.int32), ["x.jpg"], "", read)
    assert stream.examine(source, 0) == f"cannot be read: {said}"


def test_the_first_readable_example_stands_in_for_those_that_are_not() -> None:
    plan = order.evaluation_plan(1, 4, 10)
    acting = stream.without(plan, {0: "", 5: "", 6: ""}, 10)
    assert acting.indices.tolist() == [4, 1, 1, 7]
    assert acting.weights.tolist() == [1, 0, 0, 1]
    assert acting.seeds.tolist() == plan.seeds.tolist()
    assert stream.without(plan, {0: ""}, 10) is plan
