"""Errors of a disk or a network that pass are waited for; those that stay name the file and lose nothing."""

import ast
import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

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


def test_an_error_that_stays_names_the_file_in_plain_words(faults, photos) -> None:
    found = asked(faults, photos, f"[read(name='bee/3.png', errno=number) for number in {PASSING}]")
    expected = [f"bee/3.png: cannot be read: {os.strerror(number)}, also when tried again" for number in PASSING]
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
