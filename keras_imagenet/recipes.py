"""Find, read, merge and override recipes; every settings error is made here, as one line."""

import math
import os
import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import yaml
from pydantic import ValidationError

from keras_imagenet import files
from keras_imagenet.errors import SettingsError, nearest
from keras_imagenet.settings import Settings
from keras_imagenet.settings.about import About
from keras_imagenet.settings.explain import explain, text_names
from keras_imagenet.settings.group import Group

DEFAULT_RECIPE = "digits/simple_cnn"
PHOTOS_RECIPE = "photos/transfer"
"""What photos are trained with where no recipe is named."""
MAXIMUM_BYTES = 2**20  # room for a factor of each of tens of thousands of classes
MAXIMUM_VALUES = 1_000_000
PUBLISHED = re.compile(r"(keras|published)$|\w+:")
"""Of weights, what is no file: published, keras, timm:NAME, torchvision:NAME."""
# Settings of which one holds: to give one is to take back what a lower layer says of the other.
ALTERNATIVES = {"epochs": "steps", "steps": "epochs", "validation_fraction": "folds", "folds": "validation_fraction"}

RUN_ONLY = {
    "data": {"source": {"directory", "file", "classes"}, "also": {"__all__": {"directory", "file", "classes"}}},
    "train": {
        "time_limit",
        "checkpoint_steps",
        "checkpoint_minutes",
        "keep_checkpoints",
        "keep_best_checkpoints",
        "summary_steps",
        "summary_norms",
        "evaluation_batch_size",
    },
    "runtime": {"threads", "compute_threads", "logical_cpus", "workers", "worker_index", "run_folder"},
}
"""Settings that change no result."""


@dataclass(frozen=True)
class Layer:
    """Settings as somebody wrote them, and where: a recipe's file, or the command line."""

    origin: str
    values: Mapping[str, Any]


Overrides = Mapping[str, Any] | Sequence[tuple[str, Any]]
"""Settings by their dotted names, as a mapping or as pairs, of which later ones count: {"train.epochs": 5}."""


def load(
    recipe: str | Path | None = None,
    overrides: Overrides = (),
    *,
    source: Mapping[str, Any] | None = None,
    only: tuple[str, ...] = ("",),
) -> Settings:
    """Settings of a recipe (a path, or a name such as digits/simple_cnn) under overrides such as {"train.epochs": 5}.

    Values are what they are in Python, or text as on the command line. Without a recipe, the defaults are what the overrides
    act on. source: a group data.source that takes the place of the recipe's, under the overrides; what the recipe says of
    holding out examples stays. only: beginnings of the dotted names that are read of the recipe. Naming another source,
    model, optimizer or schedule starts that group's settings afresh, those of the recipe: the overrides' own hold, in any
    order.
    Raises SettingsError, one line, for every mistake.
    """
    if not isinstance(recipe, str | os.PathLike | None):
        raise SettingsError(f"load: takes a recipe by name or by path, such as {DEFAULT_RECIPE}, not {_shown(recipe)}")
    layers = read_layers(find(str(recipe))) if recipe is not None else []
    layers = [Layer(layer.origin, _beginning(layer.values, only)) for layer in layers]
    if recipe is not None and (folder := run_folder_of(find(str(recipe)))):
        layers.append(Layer(str(recipe), {"runtime": {"run_folder": str(folder)}}))
    if source is not None:
        layers.append(Layer("command line", {"data": {"source": {**_held_out(layers), **source}}}))
    # A name starts its group afresh, so it goes first, wherever it was given.
    given = sorted(pairs(overrides), key=lambda pair: not pair[0].endswith(".name"))
    layers += [Layer("command line", override_tree(key, value)) for key, value in given]
    return validate(layers)


def _beginning(values: Mapping[str, Any], only: tuple[str, ...]) -> dict[str, Any]:
    """The settings whose dotted names begin so; a value that is no group of settings stays, to be refused.

    A group of which nothing is left is left out, too: one that may be missing, such as `average`, is not there then.
    """
    found = {}
    for group, inside in values.items():
        if isinstance(inside, Mapping) and inside:
            inside = {key: value for key, value in inside.items() if f"{group}.{key}".startswith(only)}
            if not inside:
                continue
        found[group] = inside
    return found


def pairs(overrides: Overrides) -> list[tuple[str, Any]]:
    """Overrides as pairs. Raises SettingsError where they are neither a mapping nor pairs of a name and a value."""
    found = list(overrides.items() if isinstance(overrides, Mapping) else overrides if _is_list(overrides) else [None])
    for pair in found:
        if not (_is_list(pair) and len(pair) == 2 and isinstance(pair[0], str)):
            raise SettingsError(
                f'overrides: are settings and their values, such as {{"train.epochs": 5}}, not {_shown(overrides)}'
            )
    return [tuple(pair) for pair in found]


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _shown(value: Any) -> str:
    return f"{value!r:.60} ({type(value).__name__})"


def _held_out(layers: Sequence[Layer]) -> dict[str, Any]:
    """What a recipe says of holding out examples, which any source takes."""
    merged: dict[str, Any] = {}
    for layer in layers:
        merged = merge(merged, layer.values)
    below = (merged.get("data") or {}).get("source")
    return {key: below[key] for key in ("validation_fraction", "folds", "fold") if key in below} if below else {}


def made_for_digits(settings: Settings, overrides: Overrides) -> list[str]:
    """A line where photos are named as a setting and no recipe is, so that the first one acts, made for small grey digits."""
    source = settings.data.source
    place = getattr(source, "directory", None) or getattr(source, "file", None)
    sized = any("size" in override_tree(key, value).get("data", {}) for key, value in pairs(overrides))
    if sized or source.name not in ("folder", "csv", "arrays", "records"):
        return []
    return [f"recipe: {DEFAULT_RECIPE}, made for digits; photos take: keras-imagenet fit {shlex.quote(str(place))}"]


def is_recipe(path: Path) -> bool:
    """Whether a path is a recipe's file, or a run's folder."""
    return path.suffix in (".yaml", ".yml") or os.path.isfile(path / "settings.yaml")


def run_folder_of(recipe: Path) -> Path | None:
    """The run folder whose settings a file is, or None: a run is where it lies now, wherever it began."""
    return recipe.parent if recipe.name == "settings.yaml" and (recipe.parent / "environment.json").is_file() else None


def recipe_folder() -> Path:
    """The folder of recipes: inside the installed package, or beside setup.py in an editable install."""
    package = Path(__file__).resolve().parent
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"


def recipe_names() -> list[str]:
    """Names of all recipes that come with the package, such as digits/simple_cnn."""
    folder = recipe_folder()
    return sorted(path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.yaml"))


def find(recipe: str) -> Path:
    """The file of a recipe given by path or by name. Raises SettingsError with the nearest name."""
    path = Path(os.path.expanduser(recipe))
    if os.path.isfile(path):  # Path.is_file raises for what the disk does not give
        return path
    if os.path.isfile(path / "settings.yaml"):
        return path / "settings.yaml"
    named = recipe_folder() / f"{recipe.removesuffix('.yaml')}.yaml"
    if os.path.isfile(named) and not path.is_absolute():
        return named
    hint = nearest(recipe.removesuffix(".yaml"), recipe_names())
    raise SettingsError(f"--config {recipe}: no such file or recipe{hint or '; recipes: ' + ', '.join(recipe_names())}")


def about(path: Path) -> About | None:
    """What a recipe says of itself in `about`; None if nothing. Raises SettingsError for a mistake in it."""
    return _about(read_yaml(path), path)


def read_layers(path: Path) -> list[Layer]:
    """The recipe in a file, above the one that its `base` names (one level); what they say of themselves is left out."""
    own = read_yaml(path)
    _about(own, path)
    own.pop("about", None)
    base = own.pop("base", None)
    if base is None:
        return [Layer(str(path), own)]
    beside = path.parent / str(base)
    base_path = beside if beside.is_file() else find(str(base))
    values = read_yaml(base_path)
    if "base" in values:
        raise SettingsError(f"{base_path}: base: is itself the base of {path}; a recipe inherits one level only")
    values.pop("about", None)
    return [Layer(str(base_path), values), Layer(str(path), own)]


def _about(content: Mapping[str, Any], path: Path) -> About | None:
    if "about" not in content:
        return None
    try:
        return About.model_validate(content["about"])
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, ("about", *first["loc"])))
        raise SettingsError(f"{path}: {where}: {first['msg'][:1].lower()}{first['msg'][1:]}") from None


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML file that holds a mapping. Raises SettingsError with file and line, for a key given twice too."""
    try:
        text = files.read_text(path, MAXIMUM_BYTES)
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: cannot be read: not UTF-8 text (byte {error.start})") from error
    content = _parsed(text, lambda line: f"{path}:{line}")
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise SettingsError(
            f"{path}: must hold groups of settings ({', '.join(Settings.model_fields)}), not {content!r:.60}"
        )
    return content


def override_tree(key: str, text: Any) -> dict[str, Any]:
    """One flag as a nested mapping; null and values in brackets or braces are read as YAML, others kept as text.

    Of a path, or what else is text, null alone is read: [2024]photos is a folder. What is no text is a value already.
    """
    value: Any = text
    if isinstance(text, str) and (
        text.strip() == "null"
        or (key not in text_names() and (text.strip() == "~" or text.strip().startswith(("[", "{"))))
    ):
        value = _parsed(text, lambda line: f"--{key} {text}")
    for part in reversed(key.split(".")):
        value = {part: value}
    return value


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """`above` laid over `below`, group by group; a group given another `name` forgets what was below."""
    merged = dict(below)
    for key, value in above.items():
        under = below.get(key)
        if isinstance(value, Mapping) and isinstance(under, Mapping):
            renamed = "name" in value and "name" in under and value["name"] != under["name"]
            merged[key] = dict(value) if renamed else merge(under, value)
        else:
            merged[key] = value
        if key in ALTERNATIVES and value is not None:
            merged[ALTERNATIVES[key]] = above.get(ALTERNATIVES[key])
    if "fold" in below and "fold" not in above and merged.get("folds", 0) is None:
        del merged["fold"]  # It names one of the folds that are taken back.
    return merged


def validate(layers: Sequence[Layer]) -> Settings:
    """Settings out of layers, the first lowest. Raises SettingsError naming file, key, value and what is allowed."""
    defaults = {group: {"name": value.name} for group, value in Settings() if hasattr(value, "name")}
    defaults["data"] = {"source": {"name": Settings().data.source.name}}
    merged: dict[str, Any] = defaults
    for layer in layers:
        merged = merge(merged, layer.values)
    try:
        return Settings.model_validate(merged)
    except ValidationError as error:
        raise SettingsError(explain(error.errors()[0], [(layer.origin, layer.values) for layer in layers])) from None


def to_yaml(settings: Settings) -> str:
    """Settings as a recipe, every field written out."""
    return yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def anywhere(settings: Settings) -> Settings:
    """Settings whose files and folders are found from every working directory."""

    def placed(value: Any) -> Any:
        if isinstance(value, Group):
            return value.model_copy(update={name: placed(inner) for name, inner in value})
        if isinstance(value, dict):
            return {key: placed(inner) for key, inner in value.items()}
        return value.absolute() if isinstance(value, Path) and not PUBLISHED.match(str(value)) else value

    return placed(settings)


def json_schema() -> dict[str, Any]:
    """The JSON schema of recipes, for editors that complete and check them."""
    schema = Settings.model_json_schema()
    schema["properties"]["base"] = {
        "type": "string",
        "description": "A recipe, by path or name, that this one lies above.",
    }
    about = About.model_json_schema()
    schema["$defs"] |= about.pop("$defs")
    schema["properties"]["about"] = about
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def acting(settings: Settings) -> str:
    """What of settings acts on a run's results, as JSON: equal for runs that are one."""
    return settings.model_dump_json(exclude=RUN_ONLY)


def differing(ours: Settings, theirs: Settings) -> list[str]:
    """Dotted names of the settings in which two runs differ, those left out that change no result.

    Where the data lies is one of them: what it is, its fingerprint tells.
    """
    one, other = (
        dict(_leaves(anywhere(settings).model_dump(mode="json", exclude=RUN_ONLY))) for settings in (ours, theirs)
    )
    return sorted(key for key in one.keys() | other.keys() if one.get(key) != other.get(key))


def _leaves(tree: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(tree, Mapping) and tree:
        for key, value in tree.items():
            yield from _leaves(value, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, tree


def _parsed(text: str, place: Callable[[int], str]) -> Any:
    """What YAML says; SettingsError that begins with place(line) where it is none."""
    try:
        return yaml.load(text, Loader=_RecipeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise SettingsError(f"{place(line)}: not valid YAML: {error.problem}") from error
    except yaml.YAMLError as error:
        raise SettingsError(f"{place(1)}: not valid YAML: {' '.join(str(error).split())}") from error
    except RecursionError as error:
        raise SettingsError(f"{place(1)}: not valid YAML: groups inside groups without an end") from error


_WORDS = {
    "tag:yaml.org,2002:bool": ("tTfF", "(true|True|TRUE|false|False|FALSE)$"),
    "tag:yaml.org,2002:int": ("-+0123456789", "[-+]?(0|[1-9][0-9]*)$"),
    "tag:yaml.org,2002:float": (
        "-+.0123456789",
        r"[-+]?([0-9]+\.[0-9]*([eE][-+]?[0-9]+)?|\.[0-9]+([eE][-+]?[0-9]+)?|\.(inf|Inf|INF))$|\.(nan|NaN|NAN)$",
    ),
}
"""What is taken for a value that is no text, by its first letters: YAML 1.2's core schema (section 10.3.2) without 0o and 0x."""


class _RecipeLoader(yaml.SafeLoader):
    """SafeLoader whose keys are text, as all settings and classes are: a class may be called yes, no, 007 or 2024-01-01.

    It refuses a key given twice, which YAML forbids and PyYAML lets pass; a text whose aliases, each of some others, would
    make more values than memory holds; and a value that is not what it looks like, such as the date 2024-13-45.

    Numbers are written as people write them. YAML 1.1's others stay text, which the setting reads or refuses: yes is no 1, 1:30
    no 90, 017 is 17.
    """

    yaml_implicit_resolvers: ClassVar[dict[str, list]] = {
        start: [(tag, words) for tag, words in known if tag not in _WORDS]
        for start, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def get_single_node(self) -> yaml.Node | None:
        node = super().get_single_node()
        if node is not None and _values(node, {}) > MAXIMUM_VALUES:
            raise yaml.constructor.ConstructorError(
                None, None, f"its aliases make more than {MAXIMUM_VALUES:,} values of it", node.start_mark
            )
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, KeyError, AttributeError) as error:  # of the functions that read numbers, dates and words
            kind = node.tag.rpartition(":")[2]
            raise yaml.constructor.ConstructorError(
                None, None, f"{node.value!r:.40} is no {kind}; write text in quotes", node.start_mark
            ) from error

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[str, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if _word(key) in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key.value} is given twice", key.start_mark)
            seen.add(key.value)
        self.flatten_mapping(node)
        return {_word(key): self.construct_object(value, deep=deep) for key, value in node.value}


for _tag, (_starts, _form) in _WORDS.items():
    _RecipeLoader.add_implicit_resolver(_tag, re.compile(_form), _starts)


def _values(node: yaml.Node, known: dict[int, float]) -> float:
    """Values of a node, those behind aliases counted as often as they are named; infinity where it holds itself."""
    if id(node) not in known:
        known[id(node)] = math.inf
        children = () if isinstance(node, yaml.ScalarNode) else node.value
        pairs = (child if isinstance(child, tuple) else (child,) for child in children)
        known[id(node)] = 1 + sum(_values(child, known) for pair in pairs for child in pair)
    return known[id(node)]


def _word(key: yaml.Node) -> str:
    if not isinstance(key, yaml.ScalarNode):
        raise yaml.constructor.ConstructorError(None, None, "a key must be a word", key.start_mark)
    return key.value
