"""From pixels to the logits that count: written once, for evaluation, prediction and the SavedModel."""

from collections.abc import Callable

import tensorflow as tf

from keras_imagenet.data.images.normalise import normalise
from keras_imagenet.preset import Preset


def logits_of(network: Callable[[tf.Tensor], tf.Tensor], pixels: tf.Tensor, preset: Preset) -> tf.Tensor:
    """Logits [batch, classes] of pixels 0-255 [batch, height, width, channels]; with flip_average the mean with the mirror image's.

    network: from normalised images to logits. FFCV adds the two logits up; half of that orders classes alike, and its
    probabilities are on the scale of one image's.
    """
    logits = network(normalise(pixels, preset))
    if not preset.flip_average:
        return logits
    return (logits + network(normalise(tf.reverse(pixels, (2,)), preset))) / 2
