"""What tests share: the folder of real data, where there is one."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real data beside the project; tests that need it are skipped on a machine without."""
    folder = Path(os.environ.get("KERAS_IMAGENET_SHARED", ROOT.parent / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip(f"needs the real data in {folder}/data (or in the folder that KERAS_IMAGENET_SHARED names)")
    return folder


@pytest.fixture(scope="session")
def forked(tmp_path_factory) -> Iterator[Callable[..., subprocess.CompletedProcess]]:
    """Runs a program, its text or its file, or else keras-imagenet, as forked.py says: where it is imported already."""
    words = [sys.executable, str(ROOT / "tests/forked.py")]
    forks = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    written = tmp_path_factory.mktemp("output")
    numbers = count()

    def run(program: str | None, *arguments: str | Path, cwd: str | Path | None = None) -> subprocess.CompletedProcess:
        output, errors = (written / f"{next(numbers)}" for _ in range(2))
        order = {"program": program, "arguments": [str(argument) for argument in arguments]}
        order |= {"directory": cwd or os.getcwd(), "output": output, "errors": errors}
        forks.stdin.write(json.dumps(order, default=str) + "\n")
        forks.stdin.flush()
        code = int(forks.stdout.readline())
        return subprocess.CompletedProcess(order["arguments"], code, output.read_text(), errors.read_text())

    yield run
    forks.stdin.close()
    forks.wait(timeout=60)


@pytest.fixture(scope="session")
def command(forked) -> Callable[..., subprocess.CompletedProcess]:
    """Runs keras-imagenet as a user does, in a process of its own whose output is no terminal.

    It is a fork of one that has imported TensorFlow, where nothing is asked of the process itself (see forked.py).
    """

    def run(*arguments: str | Path, cwd: str | Path | None = None, **options) -> subprocess.CompletedProcess:
        if options:
            words = [sys.executable, "-m", "keras_imagenet", *map(str, arguments)]
            return subprocess.run(words, capture_output=True, text=True, timeout=300, cwd=cwd, **options)
        return forked(None, *arguments, cwd=cwd)

    return run


@pytest.fixture(scope="session")
def python(forked) -> Callable[..., subprocess.CompletedProcess]:
    """Runs a Python program, its text or its file, in a process of its own that has this package and TensorFlow imported.

    For programs that need a TensorFlow of their own, which has not begun, and not the seconds that its import takes.
    """

    def run(program: str | Path, *arguments: str | Path, cwd: str | Path | None = None) -> subprocess.CompletedProcess:
        return forked(str(program), *arguments, cwd=cwd)

    return run


@pytest.fixture(scope="session")
def digits_run(command, tmp_path_factory) -> Path:
    """The folder of a short run of the default recipe, made by the real command."""
    folder = tmp_path_factory.mktemp("runs") / "digits"
    done = command("fit", "--train.epochs", "6", "--runtime.run_folder", folder)
    assert done.returncode == 0, done.stderr
    return folder
