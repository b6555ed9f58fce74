"""The floors of the house: who may import whom."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "keras_imagenet"
FILES = sorted(PACKAGE.rglob("*.py"))
HEAVY = {"tensorflow", "keras", "keras_cv", "tensorflow_datasets"}


def imports(path: Path) -> set[str]:
    """Dotted names that a file imports, anywhere in it, but for what only type checkers read."""
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            return
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(path.read_text()))
    return found


def rooms(path: Path) -> set[str]:
    """The parts of the package that a file imports: settings, data, models, ..."""
    return {name.split(".")[1] for name in imports(path) if name.startswith("keras_imagenet.") and name.count(".") > 0}


def in_room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize(
    "file",
    [
        "console.py",
        "errors.py",
        "files.py",
        "labels.py",
        "preset.py",
        "data/order.py",
        "training/schedules.py",
        *(f"settings/{p.name}" for p in PACKAGE.glob("settings/*.py")),
    ],
)
def test_the_ground_floor_needs_no_tensorflow_and_nothing_above(file: str) -> None:
    path = PACKAGE / file
    assert not {name.split(".")[0] for name in imports(path)} & HEAVY
    assert rooms(path) <= {"errors", "files", "settings"}


def test_cutting_batches_needs_nothing_but_their_order() -> None:
    found = imports(PACKAGE / "data/batches.py")
    assert not found & HEAVY
    assert {name for name in found if name.startswith("keras_imagenet.")} == {
        "keras_imagenet.data.order",
        "keras_imagenet.errors.SettingsError",
    }


@pytest.mark.parametrize("path", [p for p in FILES if in_room(p) == "data"], ids=str)
def test_data_knows_neither_models_nor_what_is_above(path: Path) -> None:
    assert rooms(path) <= {"console", "errors", "files", "labels", "preset", "settings", "data"}


@pytest.mark.parametrize("path", [p for p in FILES if in_room(p) == "models"], ids=str)
def test_models_know_neither_data_nor_what_is_above(path: Path) -> None:
    assert rooms(path) <= {"console", "errors", "files", "labels", "preset", "settings", "models"}


@pytest.mark.parametrize("path", [p for p in FILES if in_room(p) == "serving"], ids=str)
def test_serving_does_not_know_the_trainer(path: Path) -> None:
    assert not rooms(path) & {"training", "api", "cli"}


@pytest.mark.parametrize("path", [p for p in FILES if in_room(p) == "training"], ids=str)
def test_training_does_not_know_the_entry_functions(path: Path) -> None:
    assert not rooms(path) & {"api", "cli"}


def test_help_lists_and_schema_load_no_tensorflow() -> None:
    """keras-imagenet --help, models, runs and schema answer without the framework."""
    program = """
import contextlib, io, sys
from keras_imagenet.cli import main
for words in (["--help"], ["fit", "--help"], ["models", "--help"], ["models"], ["schema"]):
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.suppress(SystemExit):
        main(words)
    assert out.getvalue(), words
print(sorted({"tensorflow", "keras", "keras_cv", "torch"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
