"""WebP (RFC 9649): stills, and the first frame of an animation, cut out of the file before anything is decoded.

TensorFlow's operation decodes all frames of an animation, and writes beyond its memory where they are opaque. So it is never
given an animation, not even one that is broken.
"""

import tensorflow as tf

from keras_imagenet.data.images import exif
from keras_imagenet.data.images.declared import assert_size
from keras_imagenet.data.images.fields import little_endian, number, piece
from keras_imagenet.data.images.rendering import Rendering, rendered
from keras_imagenet.data.images.tracing import traced_once

_FIRST_CHUNK = 12
_BEHIND_HEADER = 30
_MOST_CHUNKS = 10_000
"""Chunks that are looked at, for an animation's first frame, and for an orientation behind all frames."""
_ALPHA, _EXIF, _ANIMATION = 0x10, 0x08, 0x02
"""Flags of an extended file."""


@traced_once
def decode_webp(encoded: tf.Tensor, rendering: Rendering) -> tf.Tensor:
    """A still, or an animation's first frame on its canvas, whose rest is transparent black: uint8 [h, w, 3] of a string scalar.

    Raises tf.errors.InvalidArgumentError for damaged bytes.
    """
    return tf.cond(
        _has(encoded, _ANIMATION), lambda: _first_frame(encoded, rendering), lambda: _decode_still(encoded, rendering)
    )


@traced_once
def declared_size(encoded: tf.Tensor) -> tf.Tensor:
    """Height and width in a WebP's first chunk (sections 2.5 to 2.7), int32 [2]: 24 bits each less one, or 14 bits each."""

    low, high = number(encoded, 21, 2, True), number(encoded, 23, 2, True)
    extended = tf.stack((number(encoded, 27, 3, True), number(encoded, 24, 3, True))) + 1
    lossless = tf.stack((high % 4096 * 4 + low // 16_384, low % 16_384)) + 1
    lossy = tf.stack((number(encoded, 28, 2, True), number(encoded, 26, 2, True))) % 16_384
    kind = piece(encoded, _FIRST_CHUNK, 4)
    return tf.where(kind == b"VP8X", extended, tf.where(kind == b"VP8L", lossless, lossy))


@traced_once
def orientation(encoded: tf.Tensor) -> tf.Tensor:
    """The orientation in the EXIF chunk, int32 in 1..8; 1 where there is none, or the file's flags do not announce it."""

    def search() -> tf.Tensor:
        offset = _find(encoded, b"EXIF")
        found = piece(encoded, offset, 4) == b"EXIF"
        return tf.cond(found, lambda: exif.read_tag(encoded, offset + 8), lambda: 1)

    return tf.cond(_has(encoded, _EXIF), search, lambda: 1)


def _has(encoded: tf.Tensor, flag: int) -> tf.Tensor:
    return (piece(encoded, _FIRST_CHUNK, 4) == b"VP8X") & (number(encoded, 20, 1, True) // flag % 2 == 1)


def _decode_still(encoded: tf.Tensor, rendering: Rendering) -> tf.Tensor:
    with tf.control_dependencies([assert_size(declared_size(encoded))]):
        image = tf.io.decode_webp(encoded, channels=0)
    # [1, h, w, c], or [h, w, c]: TensorFlow's versions differ.
    image = tf.reshape(image, tf.shape(image)[-3:])

    def colours() -> tf.Tensor:
        return tf.ensure_shape(image[..., :3], (None, None, 3))

    if rendering.background is None:
        return colours()
    return tf.cond(
        tf.shape(image)[-1] == 4, lambda: rendered(tf.ensure_shape(image, (None, None, 4)), rendering), colours
    )


def _first_frame(encoded: tf.Tensor, rendering: Rendering) -> tf.Tensor:
    canvas = declared_size(encoded)
    offset = _find(encoded, b"ANMF")
    corner = 2 * tf.stack((number(encoded, offset + 11, 3, True), number(encoded, offset + 8, 3, True)))
    content = piece(encoded, offset + 24, number(encoded, offset + 4, 4, True) - 16)
    kind = piece(content, 0, 4)
    # Its alpha is a chunk of its own only in an extended file, whose canvas is then the frame's size as it stands here.
    extended = b"VP8X\n\0\0\0" + bytes([_ALPHA, 0, 0, 0]) + piece(encoded, offset + 14, 6)
    content = b"WEBP" + tf.where(kind == b"ALPH", extended, b"") + content
    still = b"RIFF" + little_endian(tf.strings.length(content)) + content
    found = (piece(encoded, offset, 4) == b"ANMF") & tf.reduce_any(kind == [b"VP8 ", b"VP8L", b"ALPH"])
    checks = [assert_size(canvas), tf.raw_ops.Assert(condition=found, data=["animated WebP without a first frame"])]
    with tf.control_dependencies(checks):
        frame = _decode_still(still, rendering)
    behind = canvas - corner - tf.shape(frame)[:2]
    paddings = tf.concat((tf.stack((corner, behind), axis=1), [[0, 0]]), axis=0)
    free = tf.constant(rendering.background or (0, 0, 0), tf.uint8)
    # Modulo 256: Pad fills with one number only. It fails where the frame lies beyond the canvas.
    return tf.pad(frame - free, paddings) + free


def _find(encoded: tf.Tensor, kind: bytes) -> tf.Tensor:
    """The offset of the first chunk of a kind behind the header, int32; the end where there is none."""
    length = tf.strings.length(encoded)

    def goes_on(offset: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
        return (offset < length) & (count < _MOST_CHUNKS) & (piece(encoded, offset, 4) != kind)

    def step(offset: tf.Tensor, count: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        size = tf.minimum(number(encoded, offset + 4, 4, True), length)
        return offset + 8 + size + size % 2, count + 1

    return tf.while_loop(goes_on, step, (tf.constant(_BEHIND_HEADER), tf.constant(0)))[0]
