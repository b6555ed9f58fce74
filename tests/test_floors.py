"""The floors of the house: who may import whom, inside functions too, and no circles."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "keras_imagenet"
HEAVY = {"tensorflow", "keras", "keras_cv", "tensorflow_datasets"}

GROUND = ("console", "errors", "files", "labels", "preset")
# Rooms and files that need no TensorFlow, and what of the package each may use besides itself.
LIGHT = dict.fromkeys(GROUND, GROUND) | {
    "settings": GROUND,
    "models.registry": GROUND,  # which reads the catalogue
    "cluster": (*GROUND, "settings"),
    "data.order": GROUND,
    "data.batches": (*GROUND, "settings", "data.order"),
    "training.schedules": (*GROUND, "settings"),
    "data.stretches": (*GROUND, "settings"),
    "training.course": (*GROUND, "settings", "data.order", "data.batches", "training.schedules"),
    "training.phases": (*GROUND, "settings", "data.batches", "data.stretches", "training.course"),
    "recipes": (*GROUND, "settings"),
    "arguments": (*GROUND, "settings", "recipes"),
    "completion": (*GROUND, "settings", "recipes", "arguments", "models.registry"),
    "run_folder": (*GROUND, "settings", "recipes"),
    "ways_out": (*GROUND, "settings", "recipes", "cluster", "run_folder"),
    "run_table": (*GROUND, "settings", "recipes", "run_folder"),
    "tuning.space": (*GROUND, "settings", "recipes"),
    "recipe_table": (
        *GROUND,
        "settings",
        "recipes",
        "data.order",
        "data.batches",
        "data.stretches",
        "training.schedules",
        "training.course",
        "training.phases",
    ),
}
SECOND = (*GROUND, "settings")
THIRD = (*GROUND, "settings", "recipes", "cluster", "run_folder", "runtime", "data", "models")
ROOMS = {
    "data": SECOND,
    "models": SECOND,
    "runtime": (*GROUND, "settings", "cluster"),
    "evaluation": THIRD,
    "report": (*THIRD, "evaluation"),
    "serving": (*THIRD, "evaluation", "report"),
    "training": (*THIRD, "evaluation", "report"),
    "tuning": THIRD,
    "api": (*THIRD, "run_table", "ways_out", "evaluation", "report", "serving", "training", "tuning"),
    "cli": (
        *THIRD,
        "",
        "arguments",
        "completion",
        "run_table",
        "recipe_table",
        "tuning",
        "api",
    ),  # "": the version, which the package itself holds
}


def module_of(path: Path) -> str:
    """The dotted name below the package; the package itself is ''."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def imports(path: Path) -> Iterator[str]:
    """Dotted names that a file imports, anywhere in it, but for what only type checkers read."""

    def visit(node: ast.AST) -> Iterator[str]:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        typing_only = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for child in node.orelse if typing_only else ast.iter_child_nodes(node):
            yield from visit(child)

    yield from visit(ast.parse(path.read_text(encoding="utf-8")))


def used(module: str) -> set[str]:
    """The package's modules that a module imports: of `from a import b`, a.b if that is one, else a."""
    ours = [name.partition(".")[2] for name in imports(MODULES[module]) if name.startswith("keras_imagenet.")]
    return {name if name in MODULES else name.rpartition(".")[0] for name in ours} - {module}


def within(module: str, rooms: tuple[str, ...]) -> bool:
    return any(module == room or module.startswith(f"{room}.") for room in rooms)


def members(room: str) -> list[str]:
    return [module for module in MODULES if within(module, (room,))]


@pytest.mark.parametrize(("room", "below"), LIGHT.items(), ids=LIGHT)
def test_the_ground_needs_no_tensorflow_and_nothing_above(room: str, below: tuple[str, ...]) -> None:
    for module in members(room):
        assert not {name.partition(".")[0] for name in imports(MODULES[module])} & HEAVY, module
        assert not [name for name in used(module) if not within(name, (*below, room))], module


@pytest.mark.parametrize(("room", "below"), ROOMS.items(), ids=ROOMS)
def test_a_room_uses_only_those_below(room: str, below: tuple[str, ...]) -> None:
    """data and models know nothing of each other, nor of training; serving does not know training; nobody knows api."""
    for module in members(room):
        assert not [name for name in used(module) if not within(name, (*below, room))], module


def test_every_module_has_a_floor() -> None:
    floors = (*LIGHT, *ROOMS)
    assert [module for module in MODULES if not within(module, floors)] == ["", "__main__"]


def circles(graph: dict[str, set[str]]) -> set[frozenset[str]]:
    """Groups of modules each of which leads to the others."""

    def reached(start: str) -> set[str]:
        found: set[str] = set()
        front = [start]
        while front:
            new = graph[front.pop()] - found
            found |= new
            front += new
        return found

    beyond = {module: reached(module) for module in graph}
    return {
        frozenset(other for other in beyond[module] if module in beyond[other])
        for module in graph
        if module in beyond[module]
    }


def test_a_circle_is_found() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}) == {frozenset("bc")}


def test_no_module_leads_back_to_itself() -> None:
    """Who imports each other cannot be read, changed or tested one by one."""
    assert not circles({module: used(module) for module in MODULES})


def test_help_lists_schema_and_the_ground_load_no_tensorflow() -> None:
    """keras-imagenet --help, models, runs and schema answer without the framework."""
    program = """
import contextlib, importlib, io, sys
from keras_imagenet.cli import main
for words in (["--help"], ["fit", "--help"], ["models", "--help"], ["models"], ["schema"]):
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.suppress(SystemExit):
        main(words)
    assert out.getvalue(), words
for module in sys.argv[1:]:
    importlib.import_module(module)
print(sorted({"tensorflow", "keras", "keras_cv", "torch"} & set(sys.modules)))
"""
    ground = [f"keras_imagenet.{module}" for room in LIGHT for module in members(room)]
    done = subprocess.run([sys.executable, "-c", program, *ground], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
