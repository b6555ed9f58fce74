"""Names of networks to their builders; listing needs no TensorFlow.

catalogue.csv holds a row a name: the family, and the reference's parameters, multiply-accumulates and results. The
family is a module beside this one, imported when one of its networks is built. It has

- `VARIANTS: dict[str, V]`: what distinguishes the family's networks, as data; V is a frozen dataclass or a tuple;
- `build(variant: str | V, *, input_shape, classes, **options) -> keras.Model`: `variant` is a key of VARIANTS or a V,
  input_shape (height, width, channels), classes the number of logits or 0 for pooled features [batch, features].
  `blocks.builder` makes it of a function from images and a V to features; alexnet and vgg, whose dropout acts between
  hidden layers, write it in full.

Options are keyword arguments with defaults; an option that the family lacks is not in its signature. What a variant
prescribes itself (a dropout rate, an epsilon) stands in the variant, and the option's default None means: the
variant's own. An option of one name means the same everywhere:
- dropout: rate before the last layer; AlexNet and VGG have it between hidden layers, too;
- head_bias: what the last biases start at (blocks.logits);
- stochastic_depth, stochastic_depth_form: drop rates of residual blocks (blocks.drop_rates);
- batch_norm: momentum, epsilon and synchronized, over the family's own values;
- padding: how a convolution with a stride pads (blocks.convolution).

The network is a flat functional graph of built-in layers. Its input `images` is float [batch, height, width,
channels], normalised; its output float32 logits or features. The weights of the head are the layer `logits`, fresh
where the classes differ; features are the layer `pool`. Layer names are stable, since checkpoints and weight
converters hold on to them: `stem_conv`, `stem_norm`, `stage1_block1_conv1`, `stage1_block1_norm1`, ...: stages and
blocks from 1, in the order of the graph.

A new network is a tuple in VARIANTS and a row in catalogue.csv. Third parties call `register`, or declare an entry
point of the group `keras_imagenet.models`: name = package.module:builder.
"""

from __future__ import annotations

import csv
import functools
import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata, resources
from typing import TYPE_CHECKING, Any

from keras_imagenet.errors import SettingsError, nearest

if TYPE_CHECKING:
    import keras

ENTRY_POINTS = "keras_imagenet.models"
Builder = Callable[..., "keras.Model"]


@dataclass(frozen=True)
class Record:
    """A row of catalogue.csv: what a reference implementation, not our builder, says of a network.

    params_total counts moving statistics, params_trainable does not; macs are multiply-accumulates of one image
    [input_size, input_size, channels] (convolutions, linear layers, attention products). top1: published ImageNet
    top-1 in percent, by the name of the weights. recipe: the recipe in configs/ that trains it, or ''. published: its best
    published weights, as `model.weights` names them, `installed` where the installation brings them, or ''.
    """

    name: str
    family: str
    input_size: int
    channels: int
    classes: int
    params_total: int
    params_trainable: int
    macs: int
    top1: Mapping[str, float]
    top1_source: str
    recipe: str
    source: str
    published: str


_registered: dict[str, Builder] = {}


def register(name: str, builder: Builder) -> None:
    """Add a network: `builder(name, *, input_shape, classes, **options)` returns it.

    Raises SettingsError if the name is taken.
    """
    if name in catalogue() or _registered.get(name, builder) is not builder:
        raise SettingsError(f"model {name!r} is registered already; choose another name")
    _registered[name] = builder


def names() -> list[str]:
    """Every name that can be built, sorted."""
    return sorted({*catalogue(), *_registered, *_entry_points()})


def build(name: str, *, input_shape: tuple[int, int, int], classes: int, **options: Any) -> keras.Model:
    """The network of that name, freshly initialised.

    input_shape: (height, width, channels); classes: number of logits, or 0 for pooled features. An option whose
    value is None is left at the family's default. Raises SettingsError for an unknown name, an option that the
    family lacks, or an input that the network cannot take.
    """
    builder = _builder(name)
    options = {option: value for option, value in options.items() if value is not None}
    for option in options:
        if option not in options_of(builder):
            raise SettingsError(f"model.{option}: {name} has no such option; {_who_has(option)}")
    return builder(name, input_shape=tuple(input_shape), classes=classes, **options)


def family(name: str) -> str:
    """The family's module name; for a network of a third party, its own name."""
    return catalogue()[name].family if name in catalogue() else name


def options_of(builder: Builder) -> set[str]:
    """Names of the keyword options that a builder takes."""
    parameters = inspect.signature(builder).parameters.values()
    return {p.name for p in parameters if p.kind is p.KEYWORD_ONLY} - {"input_shape", "classes"}


@functools.cache
def catalogue() -> dict[str, Record]:
    """The rows of catalogue.csv by name, in the file's order."""
    with resources.files("keras_imagenet.models").joinpath("catalogue.csv").open(encoding="utf-8", newline="") as file:
        return {row["name"]: _record(row) for row in csv.DictReader(file, restval="")}


def _record(row: dict[str, str]) -> Record:
    numbers = ("input_size", "channels", "classes", "params_total", "params_trainable", "macs")
    top1 = {tag: float(value) for tag, _, value in (entry.rpartition("=") for entry in row["top1"].split())}
    return Record(**{**row, **{column: int(row[column]) for column in numbers}, "top1": top1})


@functools.cache
def _entry_points() -> dict[str, metadata.EntryPoint]:
    return {point.name: point for point in metadata.entry_points(group=ENTRY_POINTS)}


def _builder(name: str) -> Builder:
    if name in _registered:
        return _registered[name]
    if name in catalogue():
        return _family_module(catalogue()[name].family).build
    if name in _entry_points():
        return _entry_points()[name].load()
    hint = nearest(name, names()) or "; `keras-imagenet models` lists them"
    raise SettingsError(f"model.name: there is no model {name!r}{hint}")


def _family_module(module: str) -> Any:
    return importlib.import_module(f"keras_imagenet.models.{module}")


def _who_has(option: str) -> str:
    families = sorted({record.family for record in catalogue().values()})
    having = [module for module in families if option in options_of(_family_module(module).build)]
    return f"families that have it: {', '.join(having)}" if having else "no family has it"
