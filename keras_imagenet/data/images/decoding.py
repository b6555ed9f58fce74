"""Encoded bytes to pixels: the format is told by the content, never by a name.

JPEG, PNG, BMP, GIF and WebP, of animations the first frame, as uint8 RGB. Greyscale, CMYK, palettes and 16 bits (their upper 8, or
those of fewer) become RGB; transparency is dropped, as Pillow's convert('RGB') does, or laid on a background; JPEG, PNG and WebP
are turned as their Exif orientation says.
"""

import struct
from functools import cache, partial

import tensorflow as tf

from keras_imagenet.data.images import exif, gif, jpeg, png, webp
from keras_imagenet.data.images.declared import JPEG, assert_size, format_of
from keras_imagenet.data.images.fields import number, piece
from keras_imagenet.data.images.rendering import Rendering
from keras_imagenet.data.images.tracing import traced_once

_BIT_FIELDS = 3
"""A BMP's compression that is none: masks say which of a pixel's bits are which colour's."""
_BLUE_GREEN_RED = struct.pack("<III", 0xFF0000, 0xFF00, 0xFF)
"""The masks, red's first, of what is stored without any."""


@tf.autograph.experimental.do_not_convert
def decode(encoded: tf.Tensor, rendering: Rendering = Rendering()) -> tf.Tensor:  # noqa: B008
    """Decode a whole image.

    Args:
        encoded: string scalar, the bytes of a JPEG, PNG, BMP, GIF or WebP file.
        rendering: what becomes of what 8 bits of RGB cannot hold.

    Returns:
        uint8 [h, w, 3], upright.

    Raises:
        tf.errors.InvalidArgumentError: the bytes are of another format, damaged, or declare over MAXIMUM_PIXELS.
    """
    encoded = tf.convert_to_tensor(encoded)
    size, turned, kind = tf.split(header(encoded), (2, 1, 1))
    with tf.control_dependencies([assert_size(size)]):
        pixels = tf.cond(
            kind[0] == JPEG,
            lambda: jpeg.whole(encoded, rendering.smooth_chroma),
            lambda: decode_other(encoded, exif.turned_size(size, turned[0]), kind[0], rendering),
        )
    return tf.ensure_shape(exif.upright(pixels, turned[0]), (None, None, 3))


@cache
def traced_decode(rendering: Rendering = Rendering()) -> tf.types.experimental.PolymorphicFunction:  # noqa: B008
    """decode of one image as a graph, traced when it is first called: a tenth of the time, where one after the other is decoded."""
    return tf.function(partial(decode, rendering=rendering), input_signature=[tf.TensorSpec([], tf.string)])


@traced_once
def header(encoded: tf.Tensor) -> tf.Tensor:
    """What an image's bytes declare, int32 [4]: height and width of the upright image, its orientation, and its format.

    Nothing is decoded for it, and sizes are not held to any limit yet. Raises tf.errors.InvalidArgumentError for no known format, and
    for JPEGs of too many scans or that are cut off.
    """
    kind = format_of(encoded)

    def of_jpeg() -> tuple[tf.Tensor, tf.Tensor]:
        with tf.control_dependencies([jpeg.assert_scans(encoded), jpeg.assert_whole(encoded)]):
            return jpeg.stored_size(encoded), exif.orientation(encoded)

    readers = [
        of_jpeg,
        lambda: (_pair(encoded, 16, little=False), png.orientation(encoded)),
        lambda: (_pair(encoded, 18, little=True), 1),
        lambda: (gif.declared_size(encoded), 1),
        lambda: (webp.declared_size(encoded), webp.orientation(encoded)),
    ]
    size, turned = tf.switch_case(kind, readers)
    return tf.concat((exif.turned_size(size, turned), [turned, kind]), axis=0)


@traced_once
def decode_other(encoded: tf.Tensor, size: tf.Tensor, kind: tf.Tensor, rendering: Rendering) -> tf.Tensor:
    """Pixels as they are stored, uint8 [h, w, 3], of any format but JPEG, which has room for less than the whole.

    size: int32 [2], height and width that the header declared; anything else is an error. kind: the format.
    """
    decoders = [
        partial(png.decode_png, encoded, rendering),
        partial(_decode_bmp, encoded),
        partial(gif.decode_gif, encoded),
        partial(webp.decode_webp, encoded, rendering),
    ]
    pixels = tf.switch_case(kind - 1, decoders)
    as_declared = tf.reduce_all(tf.shape(pixels)[:2] == size)
    with tf.control_dependencies([tf.raw_ops.Assert(condition=as_declared, data=["not of the declared size"])]):
        return tf.ensure_shape(tf.identity(pixels), (None, None, 3))


@traced_once
def _decode_bmp(encoded: tf.Tensor) -> tf.Tensor:
    """24 and 32 bits a pixel, and 8 bits through the palette, which TensorFlow's operation leaves out, as it does compression."""
    compression = number(encoded, 30, 4, little=True)
    is_plain = (compression == 0) | ((compression == _BIT_FIELDS) & (piece(encoded, 54, 12) == _BLUE_GREEN_RED))
    with tf.control_dependencies([tf.raw_ops.Assert(condition=is_plain, data=["compressed BMP"])]):
        stored = tf.ensure_shape(tf.io.decode_bmp(encoded, channels=0), (None, None, None))

    def through_palette() -> tf.Tensor:
        start = 14 + number(encoded, 14, 4, little=True)
        palette = tf.io.decode_raw(piece(encoded, start, 4 * 256), tf.uint8)
        palette = tf.reshape(palette[: tf.size(palette) // 4 * 4], (-1, 4))[:, 2::-1]  # blue, green, red, unused
        colours = number(encoded, 46, 4, little=True)
        palette = tf.cond((colours > 0) & (colours < 256), lambda: palette[:colours], lambda: palette)
        return tf.gather(palette, tf.cast(stored[..., 0], tf.int32))

    return tf.cond(tf.shape(stored)[-1] == 1, through_palette, lambda: stored[..., :3])


def _pair(encoded: tf.Tensor, at: int, little: bool) -> tf.Tensor:
    """Height and width, int32 [2], where a width of four bytes and a height stand; without the sign of a BMP's rows."""
    return tf.abs(tf.io.decode_raw(piece(encoded, at, 8), tf.int32, little_endian=little, fixed_length=8))[::-1]
