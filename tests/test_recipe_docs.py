"""docs/recipes.md is what tools/make_recipe_docs.py writes."""

import runpy
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_the_page_says_what_the_recipes_say() -> None:
    """If this fails: python tools/make_recipe_docs.py."""
    page = runpy.run_path(str(ROOT / "tools" / "make_recipe_docs.py"))["page"]()
    assert (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8") == page
