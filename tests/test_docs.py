"""The documentation holds: quoted lines stand in the code, pictures and links exist, code blocks run."""

import ast
import re
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
    assert {Path(file).stem for file, _, _ in quotes()} >= {"simple_cnn", "blocks", "losses", "optimizers", "trainer"}


@pytest.mark.parametrize(("file", "function", "lines"), quotes())
def test_quoted_lines_stand_in_the_file_and_function_named(file: str, function: str, lines: str) -> None:
    for line in lines.splitlines():
        assert line.strip() in function_lines(file, function), f"docs/how_it_works.md: {file}, {function}: {line}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_pictures_lead_somewhere(page: Path) -> None:
    missing = [link for link in LINK.findall(page.read_text()) if not (page.parent / link).exists()]
    assert not missing, f"{page}: {missing}"


def test_pictures_are_small() -> None:
    """The pages load fast and the repository stays small."""
    limits = {"tensorboard.png": 300_000}
    for picture in (ROOT / "docs" / "pictures").glob("*.png"):
        assert picture.stat().st_size < limits.get(picture.name, 60_000), picture
