"""PNG (W3C, third edition): decoded by TensorFlow's operation, which ignores the orientation in its eXIf chunk."""

import tensorflow as tf

from keras_imagenet.data.images import exif
from keras_imagenet.data.images.fields import number, occurrences, piece
from keras_imagenet.data.images.rendering import Rendering, rendered
from keras_imagenet.data.images.tracing import traced_once

_SIGNATURE = 8
_DEPTH, _COLOUR_TYPE = 24, 25
"""Where the header has the bits of a value, and the kind of colours."""
_ALPHA = 4
"""The bit of the kind of colours that stands for alpha."""
_MOST_CHUNKS = 10_000
"""Chunks that are looked at, 80 MB of the usual ones."""


@traced_once
def decode_png(encoded: tf.Tensor, rendering: Rendering) -> tf.Tensor:
    """The pixels as they are stored, uint8 [h, w, 3] of a string scalar."""

    def of(channels: int, kind: tf.DType) -> tf.Tensor:
        pixels = tf.io.decode_png(encoded, channels, kind)
        return pixels if (channels, kind) == (3, tf.uint8) else rendered(pixels, rendering)

    def at_depth(channels: int) -> tf.Tensor:
        if rendering.depth == 16:
            return of(channels, tf.uint8)
        is_deep = number(encoded, _DEPTH, 1, little=False) == 16
        return tf.cond(is_deep, lambda: of(channels, tf.uint16), lambda: of(channels, tf.uint8))

    if rendering.background is None:
        return at_depth(3)
    return tf.cond(_is_transparent(encoded), lambda: at_depth(4), lambda: at_depth(3))


@traced_once
def orientation(encoded: tf.Tensor) -> tf.Tensor:
    """The orientation in the eXIf chunk, before the pixels or behind them, int32 in 1..8; 1 where there is none."""

    def search() -> tf.Tensor:
        offset = _find(encoded, b"eXIf")
        found = piece(encoded, offset + 4, 4) == b"eXIf"
        return tf.cond(found, lambda: exif.read_tag(encoded, offset + 8), lambda: 1)

    return tf.cond(occurrences(encoded, b"eXIf") > 0, search, lambda: 1)


def _is_transparent(encoded: tf.Tensor) -> tf.Tensor:
    """Whether there is alpha, or a tRNS chunk before the pixels. Alpha that TensorFlow adds itself is wrong below 8 bits."""
    has_alpha = number(encoded, _COLOUR_TYPE, 1, little=False) // _ALPHA % 2 == 1

    def named() -> tf.Tensor:
        return _find(encoded, b"tRNS") < _find(encoded, b"IDAT")

    return has_alpha | tf.cond(occurrences(encoded, b"tRNS") > 0, named, lambda: False)


def _find(encoded: tf.Tensor, kind: bytes) -> tf.Tensor:
    """The offset of the first chunk of a kind, int32; the end, or where the search ends, where there is none."""
    length = tf.strings.length(encoded)

    def goes_on(offset: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
        return (offset < length) & (count < _MOST_CHUNKS) & (piece(encoded, offset + 4, 4) != kind)

    def step(offset: tf.Tensor, count: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return offset + 12 + tf.minimum(number(encoded, offset, 4, little=False), length), count + 1

    return tf.while_loop(goes_on, step, (tf.constant(_SIGNATURE), tf.constant(0)))[0]
