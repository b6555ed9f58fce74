"""What tests share: the folder of real data, where there is one."""

import os
import subprocess
import sys
from collections.abc import Callable
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
def command() -> Callable[..., subprocess.CompletedProcess]:
    """Runs keras-imagenet as a user does, in a process of its own whose output is a pipe."""

    def run(*arguments: str | Path, **options) -> subprocess.CompletedProcess:
        words = [sys.executable, "-m", "keras_imagenet", *map(str, arguments)]
        return subprocess.run(words, capture_output=True, text=True, timeout=300, **options)

    return run


@pytest.fixture(scope="session")
def digits_run(command, tmp_path_factory) -> Path:
    """The folder of a short run of the default recipe, made by the real command."""
    folder = tmp_path_factory.mktemp("runs") / "digits"
    done = command("fit", "--train.epochs", "6", "--runtime.run_folder", folder)
    assert done.returncode == 0, done.stderr
    return folder
