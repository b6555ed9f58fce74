"""PNG (W3C, third edition): decoded by TensorFlow's operation, which ignores the orientation in its eXIf chunk."""

import tensorflow as tf

from keras_imagenet.data.images import exif
from keras_imagenet.data.images.fields import number, occurrences, piece

_SIGNATURE = 8
_MOST_CHUNKS = 10_000
"""Chunks that are looked at, 80 MB of the usual ones."""


def decode_png(encoded: tf.Tensor) -> tf.Tensor:
    """The pixels as they are stored, uint8 [h, w, 3] of a string scalar; transparency is dropped."""
    return tf.io.decode_png(encoded, channels=3)


def orientation(encoded: tf.Tensor) -> tf.Tensor:
    """The orientation in the eXIf chunk, before the pixels or behind them, int32 in 1..8; 1 where there is none."""
    return tf.cond(occurrences(encoded, b"eXIf") > 0, lambda: _search(encoded), lambda: 1)


def _search(encoded: tf.Tensor) -> tf.Tensor:
    length = tf.strings.length(encoded)

    def goes_on(offset: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
        return (offset < length) & (count < _MOST_CHUNKS) & (piece(encoded, offset + 4, 4) != b"eXIf")

    def step(offset: tf.Tensor, count: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return offset + 12 + tf.minimum(number(encoded, offset, 4, little=False), length), count + 1

    offset, _ = tf.while_loop(goes_on, step, (tf.constant(_SIGNATURE), tf.constant(0)))
    found = piece(encoded, offset + 4, 4) == b"eXIf"
    return tf.cond(found, lambda: exif.read_tag(encoded, offset + 8), lambda: 1)
