"""The documentation holds: quoted lines stand in the code, pictures and links exist, code blocks run."""

import ast
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted((*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")))
QUOTE = re.compile(r"^`(keras_imagenet/\S+\.py)`, `(\w+)`:\n```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)(?:#[^)]*)?\)")


def quotes() -> list[tuple[str, str, str]]:
    """(file, function, lines) of every quotation in how_it_works.md."""
    return QUOTE.findall((ROOT / "docs" / "how_it_works.md").read_text())


def function_lines(file: str, name: str) -> set[str]:
    """Lines, without their indentation, of the functions of that name in a file."""
    source = (ROOT / file).read_text()
    nodes = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.FunctionDef) and n.name == name]
    assert nodes, f"{file} has no function {name}"
    return {line.strip() for node in nodes for line in ast.get_source_segment(source, node).splitlines()}


def test_how_it_works_quotes_a_line_for_each_part() -> None:
    assert len(quotes()) >= 11
    assert {Path(file).stem for file, _, _ in quotes()} >= {
        "simple_cnn",
        "blocks",
        "objectives",
        "rules",
        "step",
        "loop",
    }


@pytest.mark.parametrize(("file", "function", "lines"), quotes())
def test_quoted_lines_stand_in_the_file_and_function_named(file: str, function: str, lines: str) -> None:
    for line in lines.splitlines():
        assert line.strip() in function_lines(file, function), f"docs/how_it_works.md: {file}, {function}: {line}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_pictures_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    missing = [link for link in LINK.findall(text) if not (page.parent / link).exists()]
    assert not missing, f"{page}: {missing}"


def test_the_dockerfile_copies_what_there_is() -> None:
    lines = re.findall(r"^COPY (.+) \S+$", (ROOT / "tools" / "Dockerfile").read_text(), re.MULTILINE)
    copied = " ".join(lines).split()
    assert {"setup.cfg", "setup.py", "README.md", "keras_imagenet", "configs"} < set(copied)
    assert not [name for name in copied if not (ROOT / name).exists()]


def test_pictures_are_small() -> None:
    """The pages load fast and the repository stays small."""
    limits = {"tensorboard.png": 300_000}
    for picture in (ROOT / "docs" / "pictures").glob("*.png"):
        assert picture.stat().st_size < limits.get(picture.name, 60_000), picture


EDIT = re.compile(
    r"^`(\S+)`, (new|at the end|before `[^\n]+`|instead of `[^\n]+`):\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL
)
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def edited(text: str, how: str, addition: str) -> str:
    """A file's text after an edit that a page describes; the line it names must be there once."""
    if how == "new":
        return addition
    if how == "at the end":
        return text + addition
    kind, named = how.split(" `", 1)
    lines = text.splitlines(keepends=True)
    (at,) = (index for index, line in enumerate(lines) if line.strip() == named.removesuffix("`"))
    indentation = lines[at][: len(lines[at]) - len(lines[at].lstrip())]
    added = [indentation + line if line.strip() else line for line in addition.splitlines(keepends=True)]
    return "".join([*lines[:at], *added, *lines[at + (kind == "instead of") :]])


@pytest.fixture(scope="module")
def extended(tmp_path_factory) -> Path:
    """A copy of the project with every edit of docs/extending.md made."""
    folder = tmp_path_factory.mktemp("extended")
    shutil.copytree(ROOT / "keras_imagenet", folder / "keras_imagenet", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "configs", folder / "configs")
    for file, how, addition in EDIT.findall((ROOT / "docs" / "extending.md").read_text()):
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(edited("" if how == "new" else path.read_text(), how, addition))
    return folder


def scripts(language: str) -> list[str]:
    """The blocks of docs/extending.md that are run, not put into a file."""
    return [
        text
        for kind, text in BLOCK.findall(EDIT.sub("", (ROOT / "docs" / "extending.md").read_text()))
        if kind == language
    ]


def run_in(folder: Path, program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_each_addition_takes_under_twenty_lines() -> None:
    for file, _, addition in EDIT.findall((ROOT / "docs" / "extending.md").read_text()):
        assert len(addition.splitlines()) < 20, file


def test_networks_and_augmentation_work_as_written(extended: Path) -> None:
    """One process does it all, since starting TensorFlow costs more: the network from outside, in Python and by an
    entry point as pip writes it; the new row, whose counts are those of what is built; the augmentation's own tests."""
    points = tomllib.loads(scripts("toml")[0])["project"]["entry-points"]["keras_imagenet.models"]
    installed = extended / "tiny_cnn-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: tiny-cnn\nVersion: 1.0\n")
    lines = [f"{name} = {place}" for name, place in points.items()]
    (installed / "entry_points.txt").write_text("\n".join(["[keras_imagenet.models]", *lines, ""]))
    program = """
registry._registered.clear()
assert registry.build("tiny_cnn", input_shape=(8, 8, 1), classes=3, dropout=0.5).output_shape == (None, 3)

from keras_imagenet.models import macs
row = registry.catalogue()["simple_cnn_deep"]
network = registry.build(row.name, input_shape=(28, 28, 1), classes=10)
assert (row.params_total, row.macs) == (network.count_params(), macs.count(network))

import pytest
assert pytest.main(["-q", "-p", "no:cacheprovider", "tests"]) == 0
"""
    run_in(extended, scripts("python")[0] + program)
    assert (extended / "runs" / "tiny" / "metrics.json").exists()


@pytest.mark.slow
def test_all_three_additions_train_together(extended: Path) -> None:
    (line,) = scripts("bash")
    words = shlex.split(line.replace("\\\n", ""))
    assert words[0] == "keras-imagenet"
    run_in(extended, f"{scripts('python')[1]}\nfrom keras_imagenet.cli import main\nassert main({words[1:]!r}) == 0")
    assert len((extended / "runs" / "all_three" / "history.csv").read_text().splitlines()) == 3


@pytest.mark.slow
def test_serving_is_asked_as_written(command, digits_run: Path, tmp_path: Path) -> None:
    """docs/serving.md: its blocks in a process that has TensorFlow and not this project."""
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "digits").symlink_to(digits_run)
    done = command("export", "runs/digits", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    blocks = [text for kind, text in BLOCK.findall((ROOT / "docs" / "serving.md").read_text()) if kind == "python"]
    program = "\n".join([*blocks, "import sys; assert 'keras_imagenet' not in sys.modules"])
    printed = run_in(tmp_path, program)
    assert "(1, 5)" in printed
    assert len(re.findall(r"^\d\.\d{4} \d$", printed, re.MULTILINE)) == 5
