"""The orientation that a camera noted, read by TensorFlow operations, and images turned by it.

Source: JPEG ITU-T T.81 annex B (segments), Exif 2.32 section 4.5.4 and 4.6.4 (TIFF header, tag 274).
"""

import tensorflow as tf

from keras_imagenet.data.images.fields import number, piece
from keras_imagenet.data.images.tracing import traced_once

_ORIENTATION_TAG = 274
_SHORT, _LONG = 3, 4
"""The types of one value of two bytes, the usual one, and of four; one of another type says nothing, as to Pillow."""
_MOST_SEGMENTS = 1000
"""Application segments that are looked at: 64 MB of full ones, where photos have a few."""
_LONGEST_DIRECTORY = 512  # entries read at most: a directory that claims more is absurd


def orientation(encoded: tf.Tensor) -> tf.Tensor:
    """The Exif orientation of a JPEG, int32 in 1..8; 1 where there is none or it makes no sense.

    Args:
        encoded: string scalar, a JPEG's bytes.
    """
    first = _marker(encoded, 2)
    # Most photos start with a JFIF segment and go on with tables: two looks at the marker and nothing else.
    return tf.cond(_is_application(first), lambda: _search(encoded), lambda: tf.constant(1))


def upright(image: tf.Tensor, turned: tf.Tensor) -> tf.Tensor:
    """Turn and mirror a stored image [h, w, c] as its orientation (int32 in 1..8) asks for."""

    def turn() -> tf.Tensor:
        first = tf.cond(swaps_axes(turned), lambda: tf.transpose(image, (1, 0, 2)), lambda: image)
        second = tf.cond(mirrors_rows(turned), lambda: tf.reverse(first, (0,)), lambda: first)
        return tf.cond(mirrors_columns(turned), lambda: tf.reverse(second, (1,)), lambda: second)

    return tf.cond(turned > 1, turn, lambda: image)


def stored_box(box: tf.Tensor, size: tf.Tensor, turned: tf.Tensor) -> tf.Tensor:
    """Where a box of the upright image lies in the stored one.

    Args:
        box: int32 [4], top, left, height, width in the upright image.
        size: int32 [2], height and width of the upright image.
        turned: int32 orientation in 1..8.

    Returns:
        int32 [4], top, left, height, width in the stored image.
    """

    def turn() -> tf.Tensor:
        top, left, height, width = tf.unstack(box)
        top = tf.where(mirrors_rows(turned), size[0] - top - height, top)
        left = tf.where(mirrors_columns(turned), size[1] - left - width, left)
        swapped = tf.stack((left, top, width, height))
        return tf.where(swaps_axes(turned), swapped, tf.stack((top, left, height, width)))

    return tf.cond(turned > 1, turn, lambda: box)


def turned_size(size: tf.Tensor, turned: tf.Tensor) -> tf.Tensor:
    """Height and width, int32 [2], of the upright image where `size` is that of the stored one, and the other way round."""
    return tf.where(swaps_axes(turned), size[::-1], size)


def swaps_axes(turned: tf.Tensor) -> tf.Tensor:
    """Whether rows and columns change places (orientations 5 to 8)."""
    return turned >= 5


def mirrors_rows(turned: tf.Tensor) -> tf.Tensor:
    """Whether the upright image is upside down after the axes' exchange (3, 4, 7, 8)."""
    return tf.reduce_any(turned == (3, 4, 7, 8))


def mirrors_columns(turned: tf.Tensor) -> tf.Tensor:
    """Whether the upright image is mirrored left to right after the axes' exchange (2, 3, 6, 7)."""
    return tf.reduce_any(turned == (2, 3, 6, 7))


def _search(encoded: tf.Tensor) -> tf.Tensor:
    """Walk over the application and comment segments until one is Exif's or another marker begins."""

    def goes_on(offset: tf.Tensor, count: tf.Tensor, found: tf.Tensor) -> tf.Tensor:
        return ~found & (count < _MOST_SEGMENTS) & _is_application(_marker(encoded, offset))

    def step(offset: tf.Tensor, count: tf.Tensor, found: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        is_exif = piece(encoded, offset, 2) + piece(encoded, offset + 4, 6) == b"\xff\xe1Exif\0\0"
        length = tf.maximum(number(encoded, offset + 2, 2, little=False), 2)
        return tf.where(is_exif, offset, offset + 2 + length), count + 1, is_exif

    offset, _, found = tf.while_loop(goes_on, step, (tf.constant(2), tf.constant(0), tf.constant(False)))
    return tf.cond(found, lambda: read_tag(encoded, offset + 4), lambda: tf.constant(1))


@traced_once
def read_tag(encoded: tf.Tensor, start: tf.Tensor) -> tf.Tensor:
    """The orientation in the TIFF structure at `start`, int32 in 1..8; 1 where there is none or the structure is broken."""
    start += 6 * tf.cast(
        piece(encoded, start, 6) == b"Exif\0\0", tf.int32
    )  # as in a JPEG, which some writers add elsewhere
    little = piece(encoded, start, 2) == b"II"
    directory = number(encoded, start + 4, 4, little)
    # An offset beyond any JPEG segment (64 kB) is absurd: the end of the file reads as no entries.
    directory = tf.where((directory < 8) | (directory > 65_535), tf.strings.length(encoded), start + directory)
    entries = tf.clip_by_value(number(encoded, directory, 2, little), 0, _LONGEST_DIRECTORY)

    def goes_on(entry: tf.Tensor, value: tf.Tensor) -> tf.Tensor:
        return tf.logical_and(entry < entries, value < 0)

    def step(entry: tf.Tensor, value: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        field = directory + 2 + 12 * entry
        kind, count = number(encoded, field + 2, 2, little), number(encoded, field + 4, 4, little)
        is_long = kind == _LONG
        is_number = ((kind == _SHORT) | is_long) & (count > 0)
        is_orientation = (number(encoded, field, 2, little) == _ORIENTATION_TAG) & is_number
        found = tf.where(is_long, number(encoded, field + 8, 4, little), number(encoded, field + 8, 2, little))
        return entry + 1, tf.where(is_orientation, found, value)

    _, value = tf.while_loop(goes_on, step, (tf.constant(0), tf.constant(-1)))
    return tf.where((value >= 1) & (value <= 8), value, 1)


def _marker(encoded: tf.Tensor, offset: tf.Tensor | int) -> tf.Tensor:
    """The two bytes at an offset as a number; 0 beyond the end."""
    return number(encoded, offset, 2, little=False)


def _is_application(marker: tf.Tensor) -> tf.Tensor:
    """APP0 to APP15, or a comment: what may stand before or beside Exif's segment."""
    return tf.logical_or(tf.logical_and(marker >= 0xFFE0, marker <= 0xFFEF), tf.equal(marker, 0xFFFE))
