"""The graph of a network as a picture: a line a layer, from top to bottom, with arcs for what skips layers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from keras_imagenet import files

if TYPE_CHECKING:
    import keras

LINE, BOX, MARGIN = 22, 18, 16
"""Pixels from layer to layer, height of a layer's box, and space around."""
TEXT_WIDTH = 560
LONGEST_ARC = 220
COLORS = {
    "Conv2D": "#cfe2f3",
    "DepthwiseConv2D": "#d9ead3",
    "Dense": "#fce5cd",
    "EinsumDense": "#fce5cd",
    "MultiHeadAttention": "#ead1dc",
    "BatchNormalization": "#eeeeee",
    "LayerNormalization": "#eeeeee",
    "Add": "#fff2cc",
    "Multiply": "#fff2cc",
    "Concatenate": "#fff2cc",
}


def draw(network: keras.Model, path: Path) -> None:
    """Write the graph as an SVG, which every browser shows; the file appears whole or not at all."""
    files.write(path, svg(network))


def svg(network: keras.Model) -> str:
    """The picture's text: each layer's name, type and output shape; an edge for each tensor that flows."""
    from keras_imagenet.models import graph

    nodes = graph.nodes(network)
    order = {id(node): index for index, node in enumerate(nodes)}
    edges = [
        (order[id(parent)], order[id(node)]) for node in nodes for parent in node.parent_nodes if id(parent) in order
    ]
    left = MARGIN + max((_reach(end - start) for start, end in edges if end - start > 1), default=0)
    height = 2 * MARGIN + LINE * len(nodes)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + TEXT_WIDTH + MARGIN}" height="{height}" '
        'font-family="monospace" font-size="12">',
        f"<title>{escape(network.name)}</title>",
        '<rect width="100%" height="100%" fill="white"/>',
        *(_edge(start, end, left) for start, end in edges),
        *(_box(node, index, left) for index, node in enumerate(nodes)),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _reach(span: int) -> float:
    """How far to the left an arc over `span` layers goes, in pixels."""
    return min(LONGEST_ARC, 12 + 3 * span)


def _edge(start: int, end: int, left: float) -> str:
    y1, y2 = (MARGIN + LINE * index + BOX / 2 for index in (start, end))
    if end == start + 1:
        x = left + 12
        return f'<path d="M{x} {y1}V{y2}" stroke="#888" fill="none"/>'
    x = left - 4 / 3 * _reach(end - start)
    return f'<path d="M{left} {y1}C{x:.0f} {y1} {x:.0f} {y2} {left} {y2}" stroke="#3d85c6" fill="none"/>'


def _box(node: Any, index: int, left: float) -> str:
    operation = node.operation
    kind = type(operation).__name__
    shape = " x ".join(map(str, node.outputs[0].shape[1:]))
    y = MARGIN + LINE * index
    label = escape(f"{operation.name}  {kind}  {shape}")
    return (
        f'<rect x="{left}" y="{y}" width="{TEXT_WIDTH}" height="{BOX}" rx="3" '
        f'fill="{COLORS.get(kind, "#ffffff")}" stroke="#999"/>'
        f'<text x="{left + 6}" y="{y + 13}">{label}</text>'
    )
