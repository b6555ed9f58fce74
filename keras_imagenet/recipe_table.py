"""What `keras-imagenet recipes` shows: the list, and what one means for so many examples. No TensorFlow."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_imagenet import recipes
from keras_imagenet.console import columns
from keras_imagenet.errors import SettingsError, nearest, writing_output
from keras_imagenet.settings import Settings
from keras_imagenet.settings.sizing import sized
from keras_imagenet.training import phases
from keras_imagenet.training.course import Course, course_of

COLUMNS = ("name", "network", "epochs", "batch", "top-1", "source")


def listing(pattern: str = "*") -> list[dict[str, Any]]:
    """Recipes whose name matches, by name, as plain values.

    pattern: with *, ? and [] as in a shell, or a part of the name. epochs is None for a recipe whose length is a number
    of steps; top1 is the published one in percent, None where its source states none. Raises SettingsError, with the
    nearest name, where none matches.
    """
    glob = pattern if any(c in pattern for c in "*?[") else f"*{pattern}*"
    names = [name for name in recipes.recipe_names() if fnmatch.fnmatchcase(name, glob)]
    if not names:
        raise SettingsError(f"recipes {pattern}: no recipe is called so{nearest(pattern, recipes.recipe_names())}")
    return [_row(name, recipes.load(name)) for name in names]


def listing_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The list as a table of one line a recipe; of its source, the repository or who wrote it."""
    cells = [
        (
            row["name"],
            row["network"],
            counted(row["epochs"]) if row["epochs"] else f"{row['steps']:,} steps",
            counted(row["batch_size"]),
            f"{row['top1']:.2f}" if row["top1"] else "",
            row["source"].partition("@")[0],
        )
        for row in rows
    ]
    return columns(COLUMNS, cells, right=(2, 3, 4))


def details(name: str, examples: int | None = None) -> dict[str, Any]:
    """One recipe as plain values; with a number of training examples, its steps and its learning rate too.

    learning_rate: [step, rate] at the first and last step of each epoch. Raises SettingsError where there is no such
    recipe, or examples is not above 0.
    """
    settings, about = recipes.load(name), recipes.about(recipes.find(name))
    settings = sized(settings, examples) if examples else settings
    content = _row(name, settings) | {
        "published": about.published.model_dump() if about and about.published else None,
        "differs": list(about.differs) if about else [],
        "optimizer": settings.optimizer.model_dump(mode="json"),
        "schedule": settings.schedule.model_dump(mode="json"),
    }
    if examples is None:
        return content
    if examples < 1:
        raise SettingsError(f"--examples {examples}: must be at least 1")
    course = course_of(settings, examples)
    return content | {
        "examples": examples,
        "steps_per_epoch": course.steps_per_epoch,
        "steps": course.steps,
        "learning_rate": _rates(course),
        "phases": phases.lines(settings, course),
    }


def details_lines(content: Mapping[str, Any]) -> list[str]:
    """One recipe for people."""
    published, optimizer = content["published"], content["optimizer"]
    length = f"{content['steps']:,} steps" if content["epochs"] is None else f"{counted(content['epochs'])} epochs"
    lines = [
        f"{content['name']}: {content['network']}, {length} of batches of {counted(content['batch_size'])}",
        f"source: {content['source'] or 'this project'}",
    ]
    if published is not None:
        top5 = f", top-5 {published['top5']:.2f}" if published["top5"] else ""
        of = f" ({published['of']})" if published["of"] else ""
        lines.append(f"published: top-1 {published['top1']:.2f}{top5}{of}")
    lines += [f"differs: {sentence}" for sentence in content["differs"]]
    given = ", ".join(
        f"{key} {_text(value)}" for key, value in optimizer.items() if key != "name" and value not in (None, {})
    )
    lines.append(f"optimizer: {optimizer['name']}, {given}")
    if content.get("steps") == 0:
        lines.append(f"with {content['examples']:,} examples: no step; the head that is solved is all that is learned")
    elif "examples" in content:
        lines.append(
            f"with {content['examples']:,} examples: {content['steps_per_epoch']:,.1f} steps an epoch, "
            f"{content['steps']:,} in all"
        )
        lines += content["phases"]
        lines += ["learning rate:", *(f"  {line}" for line in _rate_lines(content["learning_rate"]))]
    return lines


def draw(name: str, examples: int, file: Path) -> None:
    """Draw the learning rate over the steps of a recipe, as the picture that the file's ending names.

    Raises SettingsError where the recipe makes no step of so many examples, or where the file cannot be written.
    """
    from matplotlib.figure import Figure

    course = course_of(sized(recipes.load(name), examples), examples)
    if not course.steps:
        raise SettingsError(
            f"--output {file}: with {examples:,} examples {name} makes no step, so it has no learning rate"
        )
    steps = range(0, course.steps, max(course.steps // 4000, 1))
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot(list(steps), [course.schedule(step) for step in steps])
    axes.set(title=name, xlabel=f"step ({examples:,} examples)", ylabel="learning rate")
    axes.grid(alpha=0.3)
    above = axes.secondary_xaxis(
        "top", functions=(lambda step: step / course.steps_per_epoch, lambda epoch: epoch * course.steps_per_epoch)
    )
    above.set_xlabel("epoch")
    try:
        with writing_output(file):
            figure.savefig(file)
    except ValueError as error:
        raise SettingsError(f"--output {file}: {str(error).splitlines()[0]}") from error


def counted(number: float | str) -> str:
    """With thousands parted; `auto`, which follows from the number of examples, as it is."""
    return number if isinstance(number, str) else f"{number:,.10g}"


def _row(name: str, settings: Settings) -> dict[str, Any]:
    about = recipes.about(recipes.find(name))
    return {
        "name": name,
        "network": settings.model.name,
        "epochs": "auto" if settings.train.epochs == "auto" else settings.train.length_in_epochs,
        "steps": settings.train.steps,
        "batch_size": settings.train.batch_size,
        "top1": about.published.top1 if about and about.published else None,
        "source": about.source if about else "",
    }


def _rates(course: Course) -> list[list[float]]:
    """[step, rate] at the first and last step of each epoch."""
    begins = 0
    rates: list[list[float]] = []
    for _, end in course.epoch_ends():
        rates += [[step, course.schedule(step)] for step in dict.fromkeys((begins, end - 1))]
        begins = end
    return rates


def _rate_lines(rates: Sequence[Sequence[float]], most: int = 12) -> list[str]:
    """Some of the rates, evenly over the run, the first and the last among them."""
    places = sorted({round(i * (len(rates) - 1) / (most - 1)) for i in range(most)})
    return columns(("step", "rate"), [(f"{rates[i][0]:,}", f"{rates[i][1]:.6g}") for i in places], right=(0, 1))


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) or "none" if isinstance(value, list) else str(value)
