"""What lies around a run neither changes nor ends it: Keras' own file, the environment, folders that cannot be written."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import keras_imagenet
from keras_imagenet import files

ODD_KERAS = {
    "channels_first": {"image_data_format": "channels_first", "floatx": "float16", "epsilon": 1e-2, "backend": "jax"},
    "refused": {"image_data_format": "odd", "floatx": "bfloat16", "epsilon": 1, "backend": "none"},
}
ODD_ENVIRONMENT = {
    "KERAS_BACKEND": "torch",
    "KERAS_MAX_EPOCHS": "few",
    "KERAS_NNX_ENABLED": "1",
    "MPLBACKEND": "Qt4Agg",
    "TF_USE_LEGACY_KERAS": "1",
}


@pytest.fixture(scope="module")
def plain(command) -> str:
    """A network, layer by layer, where nothing odd lies around."""
    return described(command)


def described(command, **variables: str) -> str:
    done = command("models", "resnet18", "--json", env=os.environ | variables)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("odd", ODD_KERAS)
def test_no_keras_json_changes_or_ends_a_command(odd, plain, command, tmp_path) -> None:
    """With channels first, a ResNet-18 was another network, and trained without a word."""
    text = json.dumps(ODD_KERAS[odd])
    (tmp_path / "keras.json").write_text(text)
    assert described(command, KERAS_HOME=str(tmp_path), **ODD_ENVIRONMENT) == plain
    assert (tmp_path / "keras.json").read_text() == text


def python(program: str, *words: str | Path, **variables: str) -> subprocess.CompletedProcess:
    words = [sys.executable, "-c", program, *map(str, words)]
    return subprocess.run(words, capture_output=True, text=True, timeout=300, env=os.environ | variables)


def test_keras_imported_before_is_set_right_and_finds_its_own_folder_again(tmp_path) -> None:
    program = """
import keras
from keras_imagenet import runtime, errors
from keras_imagenet.settings import RuntimeSettings
runtime.start(RuntimeSettings(), None)
from keras.src.backend import config
print(keras.config.image_data_format(), keras.config.floatx(), keras.config.epsilon(), config.keras_home())
"""
    (tmp_path / "keras.json").write_text(json.dumps(ODD_KERAS["channels_first"]))
    around = {"KERAS_HOME": str(tmp_path), "KERAS_BACKEND": "tensorflow"}
    expected = f"channels_last float32 1e-07 {tmp_path}\n"
    before = python(program, **around)
    assert before.stdout == expected, before.stderr
    after = python(program.replace("import keras\n", "", 1).replace("print", "import keras; print"), **around)
    assert after.stdout == expected, after.stderr


def test_keras_imported_before_on_another_backend_is_one_line(tmp_path) -> None:
    program = """
import sys
import keras
keras.config.backend = lambda: "jax"  # as where JAX is installed
from keras_imagenet import cli
sys.exit(cli.main(["models", "alexnet"]))
"""
    done = python(program)
    assert done.returncode == 2
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("keras-imagenet: ")]
    assert "started with the backend jax" in line


def test_the_api_s_keras_is_on_tensorflow(tmp_path) -> None:
    done = python("import keras_imagenet, keras; print(keras.config.backend())", KERAS_BACKEND="jax")
    assert done.stdout == "tensorflow\n", done.stderr


def test_variables_that_act_on_numbers_are_written_down(command, tmp_path) -> None:
    around = os.environ | {"TF_ENABLE_ONEDNN_OPTS": "0", "XLA_FLAGS": "--xla_cpu_enable_fast_math=false"}
    done = command("fit", "--train.steps", "1", "--runtime.run_folder", tmp_path / "run", env=around)
    assert done.returncode == 0, done.stderr
    variables = json.loads((tmp_path / "run" / "environment.json").read_text())["variables"]
    assert variables["TF_ENABLE_ONEDNN_OPTS"] == "0"
    assert variables["XLA_FLAGS"] == "--xla_cpu_enable_fast_math=false"
    assert not [name for name in variables if name.startswith(("TF_CPP_", "KERAS_"))]


@pytest.mark.slow
def test_no_folder_beside_the_run_need_be_written(command, tmp_path) -> None:
    """An installation that is not ours, and a home that is missing: Numba, Matplotlib and Keras all keep caches there."""
    package = Path(keras_imagenet.__file__).parent
    shutil.copytree(package, tmp_path / "keras_imagenet", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "configs").symlink_to(package.parent / "configs")
    for folder in [path for path in (tmp_path / "keras_imagenet").rglob("*") if path.is_dir()]:
        (folder / "__pycache__").touch()  # a file: no folder can be made there
    (tmp_path / "home").touch()
    words = ("--train.steps", "1", "--data.size", "16", "--runtime.run_folder", tmp_path / "run")
    around = {
        name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "NUMBA_", "MPL", "KERAS_"))
    }
    around |= {"HOME": str(tmp_path / "home"), "PYTHONPATH": str(tmp_path)}
    done = command("fit", *words, env=around, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert sorted(path.name for path in tmp_path.iterdir()) == ["configs", "home", "keras_imagenet", "run"]


def test_a_home_that_nobody_knows_is_no_error(monkeypatch) -> None:
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # as of a user without an entry, HOME unset
    monkeypatch.delenv("KERAS_HOME", raising=False)
    assert files.keras_home() == Path("~/.keras")


_FIT_AND_EVALUATE = """
import keras_imagenet
run = keras_imagenet.fit(overrides={"runtime.logical_cpus": 2, "train.steps": 4, "runtime.run_folder": "run"})
measured = keras_imagenet.evaluate(run)
assert abs(measured["loss"] - run.metrics["loss"]) < 1e-6
print(measured["examples"])
"""


def test_a_run_on_several_replicas_is_evaluated_in_its_own_process(python, tmp_path: Path) -> None:
    """Collectives of two strategies have the same numbers, and TensorFlow takes one's for the other's."""
    done = python(_FIT_AND_EVALUATE, cwd=tmp_path)
    assert done.stdout.split() == ["362"], done.stderr[-2000:]
