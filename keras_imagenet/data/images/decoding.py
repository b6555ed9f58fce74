"""Encoded bytes to pixels: the format is told by the content, never by a name.

JPEG, PNG, BMP, GIF and WebP, of animations the first frame, as uint8 RGB. Greyscale, CMYK, palettes and 16 bits (their high byte)
become RGB; transparency is dropped, as Pillow's convert('RGB') does; a JPEG is turned as its Exif orientation says.
"""

from collections.abc import Callable

import tensorflow as tf

from keras_imagenet.data.images.declared import assert_size
from keras_imagenet.data.images.fields import number, piece
from keras_imagenet.data.images.gif import decode_gif
from keras_imagenet.data.images.jpeg import decode_jpeg
from keras_imagenet.data.images.webp import decode_webp


@tf.autograph.experimental.do_not_convert
def decode(encoded: tf.Tensor, smooth_chroma: bool = True) -> tf.Tensor:
    """Decode a whole image.

    Args:
        encoded: string scalar, the bytes of a JPEG, PNG, BMP, GIF or WebP file.
        smooth_chroma: whether a JPEG's colours that are stored at half the size are interpolated, as Pillow does, or repeated.

    Returns:
        uint8 [h, w, 3], upright.

    Raises:
        tf.errors.InvalidArgumentError: the bytes are of another format, damaged, or declare over MAXIMUM_PIXELS.
    """
    encoded = tf.convert_to_tensor(encoded)
    return on_format(encoded, lambda: decode_jpeg(encoded, smooth_chroma), lambda image: image)


traced_decode = tf.function(decode, input_signature=[tf.TensorSpec([], tf.string)])
"""decode of one image as a graph, traced when it is first called: a tenth of the time, where one after the other is decoded."""


def on_format(encoded: tf.Tensor, jpeg: Callable, other: Callable):
    """The result of `jpeg()` for a JPEG's bytes, that of `other(decoded image)` for the other formats'."""
    is_jpeg = piece(encoded, 0, 3) == b"\xff\xd8\xff"
    return tf.cond(is_jpeg, jpeg, lambda: other(_decode_other(encoded)))


def _decode_other(encoded: tf.Tensor) -> tf.Tensor:
    head = piece(encoded, 0, 4)
    cases = [
        (head == b"\x89PNG", lambda: _decode_png(encoded)),
        (piece(encoded, 0, 2) == b"BM", lambda: _decode_bmp(encoded)),
        (head == b"GIF8", lambda: decode_gif(encoded)),
        ((head == b"RIFF") & (piece(encoded, 8, 4) == b"WEBP"), lambda: decode_webp(encoded)),
    ]
    image = tf.case(cases, default=_refuse, exclusive=False)
    return tf.ensure_shape(image, (None, None, 3))


def _decode_png(encoded: tf.Tensor) -> tf.Tensor:
    with tf.control_dependencies([_assert_declared(encoded, 20, 16, 4, little=False)]):
        return tf.io.decode_png(encoded, channels=3)


def _decode_bmp(encoded: tf.Tensor) -> tf.Tensor:
    """24 and 32 bits a pixel, and 8 bits through the palette, which TensorFlow's operation leaves out."""
    with tf.control_dependencies([_assert_declared(encoded, 22, 18, 4, little=True)]):
        stored = tf.io.decode_bmp(encoded, channels=0)
    stored = tf.ensure_shape(stored, (None, None, None))

    def through_palette() -> tf.Tensor:
        start = 14 + number(encoded, 14, 4, little=True)
        palette = tf.io.decode_raw(piece(encoded, start, 4 * 256), tf.uint8)
        palette = tf.reshape(palette[: tf.size(palette) // 4 * 4], (-1, 4))[:, 2::-1]  # blue, green, red, unused
        colours = number(encoded, 46, 4, little=True)
        palette = tf.cond((colours > 0) & (colours < 256), lambda: palette[:colours], lambda: palette)
        return tf.gather(palette, tf.cast(stored[..., 0], tf.int32))

    return tf.cond(tf.shape(stored)[-1] == 1, through_palette, lambda: stored[..., :3])


def _assert_declared(encoded: tf.Tensor, height_at: int, width_at: int, length: int, little: bool) -> tf.Operation:
    height = number(encoded, height_at, length, little)
    width = number(encoded, width_at, length, little)
    return assert_size(tf.stack((height, width)))


def _refuse() -> tf.Tensor:
    asserted = tf.raw_ops.Assert(condition=False, data=["not a JPEG, PNG, BMP, GIF or WebP image"])
    with tf.control_dependencies([asserted]):
        return tf.zeros((1, 1, 3), tf.uint8)
