"""JPEGs: turned upright, and decoded only where and as finely as a crop needs.

The accurate integer transform is used, which gives Pillow's values to the bit and is no slower than the fast one.
"""

from collections.abc import Callable

import tensorflow as tf

from keras_imagenet.data.images import exif
from keras_imagenet.data.images.branches import apart
from keras_imagenet.data.images.declared import assert_size

_ACCURATE = "INTEGER_ACCURATE"

SPARE = 2.0
"""An image is decoded at 1/2, 1/4 or 1/8 of its size where the crop then still has this many pixels for each of the
result's, along both axes; so the kernel does the last halving itself."""


def decode_jpeg(encoded: tf.Tensor) -> tf.Tensor:
    """A whole JPEG, upright: uint8 [h, w, 3]; encoded is a string scalar."""
    with tf.control_dependencies([_stored_size(encoded)]):
        image = tf.io.decode_jpeg(encoded, channels=3, dct_method=_ACCURATE)
    return exif.upright(image, exif.orientation(encoded))


def cut_jpeg(
    encoded: tf.Tensor, target: tuple[int, int], window_of: Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]
) -> tuple[tf.Tensor, tf.Tensor]:
    """The part of a JPEG that a crop needs.

    Args:
        encoded: string scalar.
        target: height and width that the crop will be resampled to.
        window_of: from the upright image's size, int32 [2], to the crop's box, float64 [4], and the window of whole pixels
            around it, int32 [4]: top, left, height, width each.

    Returns:
        uint8 [h, w, 3], upright, perhaps smaller than the window by a factor of 2, 4 or 8; and the box in its pixels.
    """
    turned = exif.orientation(encoded)

    def rotated() -> tuple[tf.Tensor, tf.Tensor]:
        stored = _stored_size(encoded)
        size = tf.where(exif.swaps_axes(turned), stored[::-1], stored)
        box, window = window_of(size)
        raw = exif.stored_box(window, size, turned)
        return _at_scale(encoded, box, window, raw, target, lambda image: exif.upright(image, turned))

    return tf.cond(turned > 1, rotated, lambda: cut_upright_jpeg(encoded, target, window_of))


def cut_upright_jpeg(
    encoded: tf.Tensor, target: tuple[int, int], window_of: Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]
) -> tuple[tf.Tensor, tf.Tensor]:
    """The same for a JPEG that is known to be stored upright."""
    box, window = window_of(_stored_size(encoded))
    return _at_scale(encoded, box, window, window, target, lambda image: image)


def starts_with_tables(encoded: tf.Tensor) -> tf.Tensor:
    """Whether the bytes are a JPEG whose JFIF header is followed by tables: it has no Exif segment, so it lies upright.

    Three of five ImageNet photos are such, and this costs less than looking for the segment.
    """
    head = tf.strings.substr(encoded, 0, 22)
    return tf.strings.substr(head, 0, 6) + tf.strings.substr(head, 20, 2) == b"\xff\xd8\xff\xe0\0\x10\xff\xdb"


def _at_scale(
    encoded: tf.Tensor,
    box: tf.Tensor,
    window: tf.Tensor,
    stored: tf.Tensor,
    target: tuple[int, int],
    turn: Callable[[tf.Tensor], tf.Tensor],
) -> tuple[tf.Tensor, tf.Tensor]:
    """The window's pixels, and the box within them; `stored` is the window as the file has it, `turn` makes it upright."""
    corner = tf.cast(window[:2], tf.float64)

    def fine() -> tuple[tf.Tensor, tf.Tensor]:
        part = tf.image.decode_and_crop_jpeg(encoded, stored, channels=3, dct_method=_ACCURATE)
        return turn(part), tf.concat((box[:2] - corner, box[2:]), axis=0)

    def scaled(ratio: int) -> tuple[tf.Tensor, tf.Tensor]:
        image = tf.io.decode_jpeg(encoded, channels=3, ratio=ratio, dct_method=_ACCURATE)
        image = turn(image)
        start = window[:2] // ratio
        stop = -(-(window[:2] + window[2:]) // ratio)
        part = image[start[0] : stop[0], start[1] : stop[1]]
        return part, tf.concat((box[:2] / ratio - tf.cast(start, tf.float64), box[2:] / ratio), axis=0)

    spare = tf.reduce_min(box[2:] / tf.constant(target, tf.float64))
    halvings = tf.reduce_sum(tf.cast(spare >= [2 * SPARE, 4 * SPARE, 8 * SPARE], tf.int32))

    def coarse() -> tuple[tf.Tensor, tf.Tensor]:
        return tf.switch_case(halvings - 1, [lambda ratio=ratio: scaled(ratio) for ratio in (2, 4, 8)])

    return tf.cond(halvings > 0, apart(coarse), fine)


def _stored_size(encoded: tf.Tensor) -> tf.Tensor:
    """Height and width as stored, int32 [2], from the header; refuses sizes that would exhaust memory."""
    size = tf.image.extract_jpeg_shape(encoded)[:2]
    with tf.control_dependencies([assert_size(size[0], size[1])]):
        return tf.identity(size)
