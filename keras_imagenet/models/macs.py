"""Multiply-accumulates of a network, counted exactly from its graph.

What counts is what torch's FLOP counter counts, halved: convolutions, linear layers and the products of attention.
Norms, activations, pooling, element-wise operations and biases do not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import keras

from keras_imagenet.errors import KerasImagenetError
from keras_imagenet.models.graph import nodes

Shape = Sequence[int]


def count(network: keras.Model) -> int:
    """Multiply-accumulates of one image through a functional network whose input size is fixed."""
    return sum(count_node(node) for node in nodes(network))


def count_node(node: Any) -> int:
    """Multiply-accumulates of one call for one image.

    Raises KerasImagenetError for a layer that has a weight of two or more axes and is not known here, so that nothing
    is left out silently.
    """
    operation = node.operation
    inputs, output = [tensor.shape[1:] for tensor in node.input_tensors], node.outputs[0].shape[1:]
    if isinstance(operation, keras.Model):
        return count(operation)
    rule = _RULES.get(type(operation).__name__)
    if rule is not None:
        return rule(operation, inputs, output)
    if any(len(weight.shape) > 1 for weight in getattr(operation, "weights", ())):
        raise KerasImagenetError(
            f"layer {operation.name}: the multiply-accumulates of a {type(operation).__name__} are not known; "
            f"known are {', '.join(sorted(_RULES))}"
        )
    return 0


def _convolution(layer: Any, inputs: list[Shape], output: Shape) -> int:
    # A kernel [height, width, input / groups, output] acts whole at every output position; so does a depthwise one.
    return math.prod(layer.kernel.shape) * math.prod(output[:2])


def _separable(layer: Any, inputs: list[Shape], output: Shape) -> int:
    kernels = (layer.depthwise_kernel, layer.pointwise_kernel)
    return sum(math.prod(kernel.shape) for kernel in kernels) * math.prod(output[:2])


def _dense(layer: Any, inputs: list[Shape], output: Shape) -> int:
    return math.prod(layer.kernel.shape) * math.prod(output[:-1])


def _einsum_dense(layer: Any, inputs: list[Shape], output: Shape) -> int:
    return _contraction(layer.equation, [(1, *inputs[0]), layer.kernel.shape], layer.name)


def _einsum(operation: Any, inputs: list[Shape], output: Shape) -> int:
    return _contraction(operation.subscripts, [(1, *shape) for shape in inputs], operation.name)


def _contraction(equation: str, shapes: list[Shape], name: str) -> int:
    """Every index combination is one product: the sizes of all distinct indices, multiplied."""
    subscripts = equation.replace(" ", "").split("->")[0].split(",")
    if "." in equation or len(subscripts) != 2:
        raise KerasImagenetError(f"layer {name}: cannot count {equation!r}; write it for two tensors, without '...'")
    sizes = {
        index: size
        for axes, shape in zip(subscripts, shapes, strict=True)
        for index, size in zip(axes, shape, strict=True)
    }
    return math.prod(sizes.values())


def _matmul(operation: Any, inputs: list[Shape], output: Shape) -> int:
    return inputs[0][-1] * math.prod(output)


def _attention(layer: Any, inputs: list[Shape], output: Shape) -> int:
    """keras.layers.MultiHeadAttention, called with query and value, and key if it is another tensor."""
    queries, keys = math.prod(inputs[0][:-1]), math.prod(inputs[1][:-1])
    heads, key_dim = layer.query_dense.kernel.shape[-2:]
    value_dim = layer.value_dense.kernel.shape[-1]
    projections = [
        (queries, layer.query_dense),
        (keys, layer.key_dense),
        (keys, layer.value_dense),
        (queries, layer.output_dense),
    ]
    linear = sum(tokens * math.prod(dense.kernel.shape) for tokens, dense in projections)
    return linear + queries * keys * heads * (key_dim + value_dim)


def _dot_product_attention(operation: Any, inputs: list[Shape], output: Shape) -> int:
    (queries, heads, key_dim), (keys, _, value_dim) = inputs[0], inputs[2]
    return queries * keys * heads * (key_dim + value_dim)


def _nothing(layer: Any, inputs: list[Shape], output: Shape) -> int:
    return 0


_RULES: dict[str, Callable[[Any, list[Shape], Shape], int]] = {
    "Conv2D": _convolution,
    "DepthwiseConv2D": _convolution,
    "SeparableConv2D": _separable,
    "Dense": _dense,
    "EinsumDense": _einsum_dense,
    "MultiHeadAttention": _attention,
    "Matmul": _matmul,
    "Einsum": _einsum,
    "DotProductAttention": _dot_product_attention,
    "Embedding": _nothing,
}
