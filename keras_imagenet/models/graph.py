"""The graph of a built network, call by call."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import keras
import tensorflow as tf


def nodes(network: keras.Model) -> list[Any]:
    """Calls of layers and operations in the graph's order; each has operation, input_tensors, outputs, parent_nodes."""
    graph = network._functional if isinstance(network, keras.Sequential) else network
    return [node for depth in sorted(graph._nodes_by_depth, reverse=True) for node in graph._nodes_by_depth[depth]]


def run(
    calls: Iterable[Any],
    tensors: dict[int, tf.Tensor],
    *,
    training: bool,
    instead: Mapping[int, Callable[..., tf.Tensor]] | None = None,
) -> None:
    """Make calls of the graph in order, and add what they answer to `tensors`, by the identity of the symbolic ones.

    instead: by the identity of a call, what is called in place of its operation.
    """
    for node in calls:
        arguments, options = node.arguments.fill_in(tensors)
        operation = (instead or {}).get(id(node), node.operation)
        # One that does not take it hands it on to layers within it, which may.
        if isinstance(operation, keras.layers.Layer):
            options = {**options, "training": training}
        outputs = tf.nest.flatten(operation(*arguments, **options))
        tensors |= {id(symbolic): value for symbolic, value in zip(node.outputs, outputs, strict=True)}
