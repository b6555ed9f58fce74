"""Write docs/recipes.md from the recipes themselves: python tools/make_recipe_docs.py.

The table comes from what recipes set and say of themselves, the rows that are no recipe from tests/recipes/left_out.csv;
the rest is written here.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from keras_imagenet import files, recipe_table, recipes

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "recipes.md"
LEFT_OUT = ROOT / "tests" / "recipes" / "left_out.csv"

HEAD = """\
# Recipes

`tools/make_recipe_docs.py` writes this page from the recipes.

`keras-imagenet recipes [PATTERN]` lists them; `keras-imagenet recipes NAME --examples 1281167` says what one means for so
many examples, without data: steps, learning rate, how it differs from its source. Any of them trains on your data with
`keras-imagenet fit --config NAME`, and every number of it can be set otherwise there.

## Published on ImageNet

Each file holds the numbers of its source, at the commit that it names, and a test holds them to a table that was
transcribed by reading (`tests/recipes/`). **None was trained here**, for want of the data and of GPUs:
top-1 is what the source states, in percent.

What holds for all of them, whatever their source does:

- Batches run on over the ends of epochs, and no photo is dropped. Most sources drop or add a few at an epoch's end, so
  their epochs are up to a step shorter or longer.
- MixUp and CutMix pair photos within groups of eight, where sources pair them over a GPU's whole batch; and where the source
  draws a share for each GPU's batch, here it is one for the global batch.
- A batch norm takes the statistics of a replica's rows. Most sources had 16 to 1,024 of them on a device.
- Weights begin as the network's family has them here; its module says how.
- Numbers are float32, unless `--runtime.precision mixed_bfloat16` (or `mixed_float16`) asks for less. Many sources used
  mixed float16.
- Rates are scaled with the batch by `schedule.reference_batch`, if the recipe gives it: with another `--train.batch_size`
  the rate follows. Where the source does not scale, neither does the recipe.

What else a recipe does otherwise than its source, its file says in `about.differs`, and so does the list below.
"""


def page() -> str:
    """The page's text."""
    rows = recipe_table.listing()
    published = [row for row in rows if row["top1"]]
    others = [row for row in rows if not row["top1"]]
    return "\n".join([*_published(published), *_differences(published), *_left_out(), *_others(others)]) + "\n"


def _published(rows: list[dict]) -> Iterator[str]:
    yield HEAD
    yield from _table("recipe", "network", "epochs", "batch", "top-1", "of", "source")
    for row in rows:
        about = recipes.about(recipes.find(row["name"]))
        length = recipe_table.counted(row["epochs"]) if row["epochs"] else f"{row['steps']:,} steps"
        repository = row["source"].partition(":")[0]
        of = about.published.of
        yield _line(
            f"`{row['name']}`",
            row["network"],
            length,
            recipe_table.counted(row["batch_size"]),
            f"{row['top1']:g}",
            of,
            repository,
        )


def _differences(rows: list[dict]) -> Iterator[str]:
    """Each sentence once, with the recipes that say it."""
    said: dict[str, list[str]] = {}
    for row in rows:
        for sentence in recipes.about(recipes.find(row["name"])).differs:
            said.setdefault(sentence, []).append(row["name"])
    yield "\n## Where they differ from their sources\n"
    for sentence, names in said.items():
        yield f"- {sentence} ({', '.join(f'`{name}`' for name in names)})"


def _left_out() -> Iterator[str]:
    yield "\n## Looked at, and no recipe\n"
    yield "Either the network is missing here, or its source does not say everything that a run needs.\n"
    yield from _table("published recipe", "why not")
    with LEFT_OUT.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            yield _line(row["row"], row["reason"])


def _others(rows: list[dict]) -> Iterator[str]:
    yield "\n## This project's own\n"
    yield "Their headers say what was measured.\n"
    yield from _table("recipe", "network", "length", "batch")
    for row in rows:
        length = f"{recipe_table.counted(row['epochs'])} epochs" if row["epochs"] else f"{row['steps']:,} steps"
        yield _line(f"`{row['name']}`", row["network"], length, recipe_table.counted(row["batch_size"]))


def _table(*heads: str) -> Iterator[str]:
    yield _line(*heads)
    yield "|" + "---|" * len(heads)


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    files.write(PAGE, page())
