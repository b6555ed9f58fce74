"""From pixels to the network's input: written once, for training, evaluation, prediction and the SavedModel."""

import tensorflow as tf

from keras_imagenet.preset import Preset


def normalise(images: tf.Tensor, preset: Preset) -> tf.Tensor:
    """Pixels 0-255, uint8 or float [..., channels], to float32 network input (pixel / 255 - mean) / std."""
    scale = [1 / (255 * s) for s in preset.std]
    shift = [-m / s for m, s in zip(preset.mean, preset.std, strict=True)]
    # By rows of all channels, [..., w c]: several times faster on a CPU than numbers broadcast along the channels.
    width = tf.shape(images)[-2]
    rows = tf.concat((tf.shape(images)[:-2], [width * preset.channels]), axis=0)
    pixels = tf.reshape(tf.cast(images, tf.float32), rows)
    normalised = pixels * tf.tile(scale, [width]) + tf.tile(shift, [width])
    return tf.ensure_shape(tf.reshape(normalised, tf.shape(images)), images.shape)


def denormalise(images: tf.Tensor, preset: Preset) -> tf.Tensor:
    """Pixels on the scale 0-255, float32, of which `normalise` makes these images [..., channels]."""
    return images * [255 * s for s in preset.std] + [255 * m for m in preset.mean]
