"""Gradient checkpointing: activations inside a segment of the network are computed again when its gradient is (arXiv:1604.06174).

A training step keeps the tensors between segments and, at any one time, what is inside one of them, for the price of a
second forward pass. Weights, statistics and seeds go into a segment as arguments, so the second pass sees what the first
saw: the same dropout masks, and no statistic or seed advances twice.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from keras_imagenet.models import graph

Forward = Callable[[list[tf.Tensor], list[tf.Tensor], tf.Tensor], tuple[tf.Tensor, list[tf.Tensor]]]


@dataclass(frozen=True)
class Segment:
    """Calls of layers and operations in order, what they start from, and what goes on to the next segment."""

    nodes: tuple[Any, ...]
    inputs: tuple[keras.KerasTensor, ...]
    outputs: tuple[keras.KerasTensor, ...]

    @property
    def size(self) -> int:
        """Elements an image of all that is computed inside."""
        return sum(_elements(tensor) for node in self.nodes for tensor in node.outputs)

    @property
    def layers(self) -> list[keras.layers.Layer]:
        """Those that are called, each once."""
        return [layer for layer in dict.fromkeys(node.operation for node in self.nodes) if hasattr(layer, "variables")]


def checkpointed(network: keras.Model) -> Forward:
    """The network's training pass, (weights, rest, images) -> logits and the rest afterwards, that recomputes.

    network: a flat functional one. Outputs, gradients and what changes of the rest are those of `stateless_call`, up to
    rounding. Call it inside a tf.function: executed eagerly, a tape holds on to what this is to let go.
    """
    parts = segments(network)

    def forward(
        weights: list[tf.Tensor], rest: list[tf.Tensor], images: tf.Tensor
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        variables = [*network.trainable_variables, *network.non_trainable_variables]
        values = {id(variable): value for variable, value in zip(variables, [*weights, *rest], strict=True)}
        tensors = [images]
        for segment in parts:
            tensors = _run(segment, tensors, values)
        return tensors[0], [values[id(variable)] for variable in network.non_trainable_variables]

    return forward


def segments(network: keras.Model) -> list[Segment]:
    """The network cut so that what is kept between segments and inside the largest of them is least.

    A cut lies where every path goes through one tensor; beside it only single numbers an image pass, such as the ones
    that learned positions are made from.
    """
    pieces = _pieces(network)
    sizes = [piece.size for piece in pieces]
    limits = sorted({sum(sizes[: end + 1]) for end in range(len(sizes))})
    return min((_joined(pieces, sizes, limit) for limit in limits), key=_kept)


def _pieces(network: keras.Model) -> list[Segment]:
    """The graph in order, cut wherever it can be."""
    nodes = [node for node in graph.nodes(network) if node.parent_nodes]
    last_use = {id(tensor): place for place, node in enumerate(nodes) for tensor in node.input_tensors}
    last_use |= {id(tensor): len(nodes) for tensor in network.outputs}
    pieces: list[Segment] = []
    start, inputs = 0, tuple(network.inputs)
    alive = {id(tensor): tensor for tensor in inputs}
    for place, node in enumerate(nodes):
        alive |= {id(tensor): tensor for tensor in node.outputs}
        alive = {key: tensor for key, tensor in alive.items() if last_use.get(key, -1) > place}
        if sum(_elements(tensor) > 1 for tensor in alive.values()) == 1:
            pieces.append(Segment(tuple(nodes[start : place + 1]), inputs, tuple(alive.values())))
            start, inputs = place + 1, tuple(alive.values())
    return pieces


def _joined(pieces: Sequence[Segment], sizes: Sequence[int], limit: int) -> list[Segment]:
    """Neighbours joined while together they have at most `limit` elements."""
    joined, inside = [pieces[0]], sizes[0]
    for piece, size in zip(pieces[1:], sizes[1:], strict=True):
        if inside + size <= limit:
            last = joined.pop()
            joined.append(Segment(last.nodes + piece.nodes, last.inputs, piece.outputs))
            inside += size
        else:
            joined.append(piece)
            inside = size
    return joined


def _kept(parts: Sequence[Segment]) -> int:
    between = sum(_elements(tensor) for segment in parts for tensor in segment.outputs)
    return between + max(segment.size for segment in parts)


def _elements(tensor: keras.KerasTensor) -> int:
    return math.prod(tensor.shape[1:])


def _run(segment: Segment, inputs: Sequence[tf.Tensor], values: dict[int, tf.Tensor]) -> list[tf.Tensor]:
    """What a segment answers; what is computed between is forgotten. `values`, by variable, move on with it."""
    learned = [variable for layer in segment.layers for variable in layer.trainable_variables]
    rest = [variable for layer in segment.layers for variable in layer.non_trainable_variables]
    arguments = [*inputs, *(values[id(variable)] for variable in (*learned, *rest))]
    watched = len(inputs) + len(learned)
    moved: list[int] = []

    def call(arguments: Sequence[tf.Tensor]) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
        held = list(zip([*learned, *rest], arguments[len(inputs) :], strict=True))
        with keras.StatelessScope(held) as scope:
            outputs = _computed(segment, arguments[: len(inputs)])
        return outputs, [scope.get_current_value(variable) for variable in rest]

    @tf.custom_gradient
    def run(*arguments: tf.Tensor) -> tuple[list[tf.Tensor], Callable]:
        outputs, after = call(arguments)
        moved[:] = [
            place for place, (new, old) in enumerate(zip(after, arguments[watched:], strict=True)) if new is not old
        ]

        def gradients(*upstream: tf.Tensor) -> list[tf.Tensor | None]:
            upstream = upstream[: len(outputs)]
            # Not before the gradient arrives, and not merged with the first pass.
            with tf.control_dependencies(upstream):
                again = [tf.identity(argument) for argument in arguments]
            with tf.GradientTape() as tape:
                tape.watch(again[:watched])
                recomputed, _ = call(again)
            found = tape.gradient(recomputed, again[:watched], output_gradients=list(upstream))
            return [*found, *[None] * len(rest)]

        return [*outputs, *(after[place] for place in moved)], gradients

    results = run(*arguments)
    for place, value in zip(moved, results[len(segment.outputs) :], strict=True):
        values[id(rest[place])] = value
    return list(results[: len(segment.outputs)])


def _computed(segment: Segment, inputs: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """The segment's outputs, in training."""
    tensors = {id(symbolic): value for symbolic, value in zip(segment.inputs, inputs, strict=True)}
    graph.run(segment.nodes, tensors, training=True)
    return [tensors[id(symbolic)] for symbolic in segment.outputs]
