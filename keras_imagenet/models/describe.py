"""What `keras-imagenet models` shows: the list, from the catalogue alone, and one network in detail, built."""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from keras_imagenet.console import columns
from keras_imagenet.models import registry

if TYPE_CHECKING:
    import keras

BYTES = 4
"""Of a float32."""


def listing(pattern: str = "*") -> list[dict[str, Any]]:
    """Networks whose name matches, by name, as plain values; needs no TensorFlow and builds nothing.

    pattern: with *, ? and [] as in a shell, or a part of the name. parameters are the trained ones, parameters_total
    includes moving statistics; macs are multiply-accumulates of one image at input_size; top1 is the published
    ImageNet top-1 in percent by the weights' name; source is where the numbers come from. A third party's network has
    a name only.
    """
    glob = pattern if any(c in pattern for c in "*?[") else f"*{pattern}*"
    return [_row(name) for name in registry.names() if fnmatch.fnmatchcase(name, glob)]


def listing_text(rows: Sequence[dict[str, Any]]) -> str:
    """The list as a table of one line a network; top-1 is the best of the published ones."""
    header = ("name", "parameters", "MACs", "input", "top-1", "recipe")
    lines = [
        (
            row["name"],
            _millions(row["parameters"]),
            _millions(row["macs"]),
            str(row["input_size"] or ""),
            f"{max(row['top1'].values()):.2f}" if row["top1"] else "",
            _first(row["recipe"].split()),
        )
        for row in rows
    ]
    return "\n".join(columns(header, lines, right=(1, 2, 3, 4)))


@dataclass(frozen=True)
class Layer:
    """A line of the detailed table: output is the shape without the batch, activations its number of elements."""

    name: str
    type: str
    output: tuple[int, ...]
    parameters: int
    macs: int
    activations: int


@dataclass(frozen=True)
class Details:
    """A built network: its layers in the graph's order, and sums.

    activations: elements of all layers' outputs for one image. memory: bytes for a training batch in float32 if every
    layer's output is kept for the backward pass, with weights, their gradients and one optimizer slot each; what
    TensorFlow really keeps is less where operations are fused or run in place.
    """

    name: str
    input_shape: tuple[int, int, int]
    classes: int
    batch_size: int
    parameters: int
    parameters_total: int
    macs: int
    activations: int
    memory: int
    layers: tuple[Layer, ...]

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def details(network: keras.Model, batch_size: int) -> Details:
    """Count a functional network of fixed input size, layer by layer."""
    from keras_imagenet.models import graph, macs

    layers = tuple(_layer(node, macs.count_node(node)) for node in graph.nodes(network))
    trained = sum(math.prod(weight.shape) for weight in network.trainable_weights)
    total = network.count_params()
    activations = sum(layer.activations for layer in layers)
    return Details(
        name=network.name,
        input_shape=tuple(network.input_shape[1:]),
        classes=network.output_shape[-1],
        batch_size=batch_size,
        parameters=trained,
        parameters_total=total,
        macs=sum(layer.macs for layer in layers),
        activations=activations,
        memory=BYTES * (total + 2 * trained + batch_size * activations),
        layers=layers,
    )


def details_text(found: Details) -> str:
    """The detailed table, and the sums below it."""
    header = ("layer", "type", "output", "parameters", "MACs")
    lines = [
        (layer.name, layer.type, " x ".join(map(str, layer.output)), f"{layer.parameters:,}", f"{layer.macs:,}")
        for layer in found.layers
    ]
    size = " x ".join(map(str, found.input_shape))
    return "\n".join(
        [
            *columns(header, lines, right=(3, 4)),
            "",
            f"{found.name}, {size} to {found.classes}",
            f"parameters   {found.parameters:,} ({found.parameters_total:,} with moving statistics)",
            f"MACs         {found.macs:,} an image",
            f"activations  {found.activations:,} an image, all layers' outputs",
            f"memory       {found.memory / 2**20:,.0f} MiB for a training batch of {found.batch_size} in float32, "
            "if every output is kept",
        ]
    )


def _row(name: str) -> dict[str, Any]:
    record = registry.catalogue().get(name)
    if record is None:
        unknown = ("family", "parameters", "parameters_total", "macs", "input_size", "channels", "classes")
        return {"name": name, **dict.fromkeys(unknown), "top1": {}, "top1_source": "", "recipe": "", "source": ""}
    return {
        "name": name,
        "family": record.family,
        "parameters": record.params_trainable,
        "parameters_total": record.params_total,
        "macs": record.macs,
        "input_size": record.input_size,
        "channels": record.channels,
        "classes": record.classes,
        "top1": dict(record.top1),
        "top1_source": record.top1_source,
        "recipe": record.recipe,
        "source": record.source,
    }


def _layer(node: Any, count: int) -> Layer:
    operation = node.operation
    output = tuple(node.outputs[0].shape[1:])
    weights = getattr(operation, "weights", ())
    return Layer(
        name=operation.name,
        type=type(operation).__name__,
        output=output,
        parameters=sum(math.prod(weight.shape) for weight in weights),
        macs=count,
        activations=math.prod(output),
    )


def _first(recipes: Sequence[str]) -> str:
    """The first, and how many there are beside."""
    more = f" and {len(recipes) - 1} more" if len(recipes) > 1 else ""
    return f"{recipes[0]}{more}" if recipes else ""


def _millions(number: int | None) -> str:
    return "" if number is None else f"{number / 1e6:,.2f} M"
