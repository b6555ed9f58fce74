"""docs/first_photos.ipynb holds: its cells run in the order in which they stand, and it is stored without outputs."""

import json
import re
from pathlib import Path

CELLS = json.loads((Path(__file__).resolve().parent.parent / "docs" / "first_photos.ipynb").read_text())["cells"]
CODE = ["".join(cell["source"]) for cell in CELLS if cell["cell_type"] == "code"]


def test_the_notebook_is_stored_without_outputs() -> None:
    assert all(not cell["outputs"] and cell["execution_count"] is None for cell in CELLS if cell["cell_type"] == "code")


def test_the_notebooks_cells_run_in_order(python, tmp_path: Path) -> None:
    """New drawings are known for what they are, in the notebook's predictions, its search and its SavedModel."""
    checks = """
assert measured["top1"] == run.metrics["top1"] > 0.7, run.metrics
assert len(similar) == 6 and sum("square" in name for name in similar) > 3, similar
"""
    done = python("\n\n".join([*CODE, checks]), cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "36 files in ['disc', 'square', 'triangle']"
    assert [line.split()[-1] for line in lines if re.match(r"[01]\.\d{3} \w+$", line)][:1] == ["square"]
    assert lines[-1] == "shapes/disc/00.png is disc"
