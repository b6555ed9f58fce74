"""The graph of a built network, call by call."""

from typing import Any

import keras


def nodes(network: keras.Model) -> list[Any]:
    """Calls of layers and operations in the graph's order; each has operation, input_tensors, outputs, parent_nodes."""
    graph = network._functional if isinstance(network, keras.Sequential) else network
    return [node for depth in sorted(graph._nodes_by_depth, reverse=True) for node in graph._nodes_by_depth[depth]]
