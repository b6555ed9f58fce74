"""What the settings are called, and what is wrong with one, as a line a user can act on."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from keras_imagenet.errors import nearest
from keras_imagenet.settings import Settings
from keras_imagenet.settings.phases import PhaseError

Location = tuple[str | int, ...]


def setting_names(group: type[BaseModel] = Settings, prefix: str = "") -> dict[str, str]:
    """Dotted name of every setting, with its help line; those of alternatives (source, optimizer, ...) together."""
    names: dict[str, str] = {}
    for key, field in group.model_fields.items():
        groups = list(_groups(field.annotation))
        if not groups or any(type(None) is member for member in get_args(field.annotation)):
            names.setdefault(prefix + key, field.description or "")
        if len(groups) > 1:
            names[f"{prefix}{key}.name"] = "One of " + ", ".join(tag for member in groups for tag in _tags(member))
        for member in groups:
            for name, description in setting_names(member, f"{prefix}{key}.").items():
                names.setdefault(name, description)
    return names


def text_names(group: type[BaseModel] = Settings, prefix: str = "") -> frozenset[str]:
    """Dotted names of the settings that are text or a path, so that brackets in them are meant as they are."""
    names: set[str] = set()
    for key, field in group.model_fields.items():
        if set(_members(field.annotation)) <= {str, Path, type(None)}:
            names.add(prefix + key)
        for member in _groups(field.annotation):
            names |= text_names(member, f"{prefix}{key}.")
    return frozenset(names)


def help_lines() -> list[str]:
    """A line a setting, for the help of commands that take them."""
    width = 34
    return [f"  --{name:<{width}} {description.partition(chr(10))[0]}" for name, description in setting_names().items()]


def explain(error: Mapping[str, Any], layers: Sequence[tuple[str, Mapping[str, Any]]], above: Location = ()) -> str:
    """One of pydantic's errors as: where: key = value: what would be right.

    layers: (origin, values), lowest first. above: where the settings lie that the error's location begins at.
    """
    inner = error.get("ctx", {}).get("error")
    if isinstance(inner, PhaseError):
        inside = {**inner.problem, "loc": ("augment", *inner.problem["loc"])}
        return explain(inside, layers, ("phases", inner.number))
    path, group = _resolve(error["loc"])
    key, where = ".".join(map(str, (*above, *path))), _origin((*above, *path), layers)
    kind, value = error["type"], error["input"]
    if kind == "extra_forbidden":
        return f"{where}: {key}: unknown setting{_instead(path, group)}"
    if kind in ("missing", "union_tag_not_found"):
        return f"{where}: {key if kind == 'missing' else key + '.name'}: is required"
    if kind == "union_tag_invalid":
        tags = error["ctx"]["expected_tags"].replace("'", "").split(", ")
        return f"{where}: {key}.name = {error['ctx']['tag']!s:.80}: must be one of {', '.join(tags)}{nearest(error['ctx']['tag'], tags)}"
    if kind == "literal_error":
        options = error["ctx"]["expected"].replace("'", "").replace(" or ", ", ").split(", ")
        options += [word for word in _words(path, group) if word not in options]
        return f"{where}: {key} = {value!s:.80}: must be one of {', '.join(options)}{nearest(str(value), options)}"
    if kind == "model_type":
        return f"{where}: {key} = {value!r:.80}: must be a group of settings in braces, such as {{}} for its defaults"
    if kind == "tuple_type":
        return f"{where}: {key} = {value!s:.80}: must be a list in brackets, such as [{value!s:.80}]"
    message = error["msg"].removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    if kind.endswith("_parsing") and (words := _words(path, group)):
        message = f"must be a number, or {' or '.join(words)}{nearest(str(value), words)}"
    if not path:  # of the settings together
        return message
    return f"{where}: {key}: {message}" if kind == "value_error" else f"{where}: {key} = {value!r:.80}: {message}"


def _instead(path: Location, group: type[BaseModel]) -> str:
    """What to write instead of an unknown key: its own place, the nearest key here, and all that may stand here."""
    word, here = str(path[-1]), list(group.model_fields)
    elsewhere = [name for name in setting_names() if name.rpartition(".")[2] == word]
    if ".".join(map(str, path)) in elsewhere:
        hint = f" for this {'.'.join(map(str, path[:-1]))}.name; it belongs to another."
    else:
        hint = f"; did you mean {elsewhere[0]}?" if elsewhere else nearest(word, here) or "."
    return f"{hint} Allowed here: {', '.join(here)}"


def _words(path: Location, group: type[BaseModel]) -> list[str]:
    """The words that a field takes, beside other values or alone, such as auto."""
    field = group.model_fields.get(str(path[-1])) if path else None
    members = list(_members(field.annotation)) if field else []
    words = [word for member in members if get_origin(member) is Literal for word in get_args(member)]
    return [*(word for word in words if isinstance(word, str)), *(["true", "false"] if bool in members else [])]


def _resolve(location: Location) -> tuple[Location, type[BaseModel]]:
    """pydantic's location without the names of union members, and the innermost group it lies in."""
    path: list[str | int] = []
    group: type[BaseModel] = Settings
    inside: list[type[BaseModel]] = [Settings]
    listed: list[type[BaseModel]] = []
    for part in location:
        if len(inside) > 1:
            inside = [member for member in inside if part in _tags(member)]
        elif inside:
            group = inside[0]
            path.append(part)
            annotation = group.model_fields[part].annotation if part in group.model_fields else None
            inside, listed = list(_groups(annotation)), list(_listed(annotation))
        elif listed or isinstance(part, int) or isinstance(path[-1], int):
            path.append(part)
            inside, listed = listed, []
    return tuple(path), group


def _groups(annotation: Any) -> Iterator[type[BaseModel]]:
    """The setting groups a field may hold: one, or the members of a union; not those in a list."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) in (Union, UnionType):
        for member in get_args(annotation):
            yield from _groups(member)
    elif hasattr(annotation, "__metadata__"):
        yield from _groups(get_args(annotation)[0])


def _listed(annotation: Any) -> Iterator[type[BaseModel]]:
    """The setting groups of which a field holds a list, or a mapping from names."""
    for member in get_args(annotation) if get_origin(annotation) in (tuple, dict) else ():
        yield from _groups(member)


def _members(annotation: Any) -> Iterator[Any]:
    """The types of a union, or the one there is, without what is said of them."""
    if get_origin(annotation) in (Union, UnionType):
        for member in get_args(annotation):
            yield from _members(member)
    elif hasattr(annotation, "__metadata__"):
        yield from _members(get_args(annotation)[0])
    else:
        yield annotation


def _tags(group: type[BaseModel]) -> tuple[str, ...]:
    """The values of `name` that choose a group among its alternatives."""
    return get_args(group.model_fields["name"].annotation)


def _origin(path: Location, layers: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
    """Who set a key: the topmost layer that holds it or the nearest group above it."""
    for length in range(len(path), 0, -1):
        for origin, values in reversed(layers):
            if _holds(values, path[:length]):
                return origin
    return "settings"


def _holds(values: Any, path: Location) -> bool:
    for part in path:
        if not isinstance(values, Mapping) or part not in values:
            return False
        values = values[part]
    return True
