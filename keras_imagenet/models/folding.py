"""Batch norms that use what they have learned, as part of the convolutions before them (arXiv:1712.05877, section 3.2).

Such a norm multiplies each channel by one number and adds another, which the convolution's own kernel and bias can do: one
pass over the activations instead of four, since TensorFlow then makes bias and ReLU part of the convolution, too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import keras
import tensorflow as tf

from keras_imagenet.models import graph

CONVOLUTIONS = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)
Answer = Callable[[tf.Tensor], tf.Tensor]
Instead = Callable[..., tf.Tensor]


def inference(network: keras.Model) -> Answer:
    """What answers as network(images, training=False) does, up to rounding. Its variables are read when it is called."""
    return partial(_run, network, _instead(pairs(network)), training=False)


def baked(network: keras.Model) -> tuple[Answer, list[tf.Variable]]:
    """`inference` with weights of its own, folded once and for all, and the list of them: what is served."""
    found = pairs(network)
    folded = [
        tuple(tf.Variable(value, trainable=False) for value in _weights(m.operation, n.operation)) for m, n in found
    ]
    instead = _instead(found)
    for (maker, _), own in zip(found, folded, strict=True):
        instead[id(maker)] = partial(_convolved, maker.operation, *own)
    others = [node.operation for node in graph.nodes(network) if id(node) not in instead]
    kept = [variable.value for operation in dict.fromkeys(others) for variable in getattr(operation, "variables", [])]
    return partial(_run, network, instead, training=False), [*kept, *(value for own in folded for value in own)]


def training(network: keras.Model) -> Callable[[Sequence, Sequence, tf.Tensor], tuple[tf.Tensor, list[tf.Tensor]]]:
    """The training pass (weights, rest, images) -> logits and the rest afterwards, in which norms that do not learn are folded.

    Up to rounding it is the network's `stateless_call`, and so it is made where there are none.
    """
    frozen = [pair for pair in pairs(network) if not pair[1].operation.trainable]
    if not frozen:
        return partial(network.stateless_call, training=True)
    answer = partial(_run, network, _instead(frozen), training=True)

    def forward(weights: Sequence, rest: Sequence, images: tf.Tensor) -> tuple[tf.Tensor, list[tf.Tensor]]:
        with holding(network, weights, rest) as scope:
            logits = answer(images)
        return logits, [scope.get_current_value(variable) for variable in network.non_trainable_variables]

    return forward


def holding(network: keras.Model, weights: Sequence, rest: Sequence) -> keras.StatelessScope:
    """A scope in which the network's trainable and other variables have these values."""
    variables = [*network.trainable_variables, *network.non_trainable_variables]
    return keras.StatelessScope(list(zip(variables, [*weights, *rest], strict=True)))


def pairs(network: keras.Model) -> list[tuple[Any, Any]]:
    """Calls of a convolution and of the norm that alone takes what it answers."""
    calls = [node for node in graph.nodes(network) if node.parent_nodes]
    uses = Counter(id(tensor) for node in calls for tensor in node.input_tensors)
    uses.update(id(tensor) for tensor in network.outputs)
    makers = {id(tensor): node for node in calls for tensor in node.outputs}
    found = [(makers.get(id(node.input_tensors[0])), node) for node in calls if _is_norm(node.operation)]
    return [
        (maker, node)
        for maker, node in found
        if maker and _is_plain(maker.operation) and uses[id(node.input_tensors[0])] == 1 and _alike(maker, node)
    ]


def _is_norm(operation: Any) -> bool:
    return type(operation) is keras.layers.BatchNormalization and operation.axis in (-1, 3)


def _is_plain(operation: Any) -> bool:
    """Whether it is a convolution and nothing more."""
    return (
        type(operation) in CONVOLUTIONS
        and operation.activation is keras.activations.linear
        and operation.data_format == "channels_last"
    )


def _alike(maker: Any, node: Any) -> bool:
    """Whether both compute in the same type, and are called with their images in the first place.

    float16 is left as it is: what a channel of hardly any variance is multiplied by has no place in it.
    """
    called = maker.arguments.args and node.arguments.args
    kinds = {maker.operation.compute_dtype, node.operation.compute_dtype}
    return bool(called) and len(kinds) == 1 and kinds != {"float16"}


def _instead(found: Sequence[tuple[Any, Any]]) -> dict[int, Instead]:
    """For `graph.run`: the convolution does the norm's work, and the norm none."""
    replaced: dict[int, Instead] = {}
    for maker, node in found:
        replaced[id(maker)] = partial(_folded, maker.operation, node.operation)
        replaced[id(node)] = _passed
    return replaced


def _run(network: keras.Model, instead: dict[int, Instead], images: tf.Tensor, *, training: bool) -> tf.Tensor:
    tensors = {id(network.inputs[0]): images}
    graph.run([node for node in graph.nodes(network) if node.parent_nodes], tensors, training=training, instead=instead)
    return tensors[id(network.outputs[0])]


def _folded(convolution: keras.layers.Layer, norm: keras.layers.Layer, images: tf.Tensor, **_: Any) -> tf.Tensor:
    return _convolved(convolution, *_weights(convolution, norm), images)


def _passed(images: tf.Tensor, **_: Any) -> tf.Tensor:
    return images


def _weights(convolution: keras.layers.Layer, norm: keras.layers.Layer) -> tuple[tf.Tensor, tf.Tensor]:
    """Kernel and bias of the convolution that answers as both together, with moving statistics."""
    factor = tf.math.rsqrt(norm.moving_variance.value + norm.epsilon)
    factor = factor * norm.gamma.value if norm.scale else factor
    bias = norm.beta.value - norm.moving_mean.value * factor if norm.center else -norm.moving_mean.value * factor
    if convolution.use_bias:
        bias += convolution.bias.value * factor
    depthwise = isinstance(convolution, keras.layers.DepthwiseConv2D)
    return convolution.kernel.value * (tf.reshape(factor, convolution.kernel.shape[2:]) if depthwise else factor), bias


def _convolved(
    convolution: keras.layers.Layer, kernel: tf.Tensor, bias: tf.Tensor, images: tf.Tensor, **_: Any
) -> tf.Tensor:
    """[batch, height, width, channels] with another kernel and bias than the layer's own."""
    kind = convolution.compute_dtype
    depthwise = isinstance(convolution, keras.layers.DepthwiseConv2D)
    convolve = keras.ops.depthwise_conv if depthwise else keras.ops.conv
    answer = convolve(
        tf.cast(images, kind),
        tf.cast(kernel, kind),
        strides=convolution.strides,
        padding=convolution.padding,
        data_format="channels_last",
        dilation_rate=convolution.dilation_rate,
    )
    return tf.nn.bias_add(answer, tf.cast(bias, kind))
