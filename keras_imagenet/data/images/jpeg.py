"""JPEGs, decoded only where and as finely as a crop needs.

The accurate integer transform is used, which gives Pillow's values to the bit and is no slower than the fast one.
"""

from collections.abc import Sequence

import tensorflow as tf

from keras_imagenet.data.images import exif
from keras_imagenet.data.images.declared import assert_size
from keras_imagenet.data.images.fields import number, occurrences, piece

_ACCURATE = "INTEGER_ACCURATE"

SPARE = 2.0
"""An image is decoded at 1/2, 1/4 or 1/8 of its size where the crop then still has this many pixels for each of the
result's, along both axes; so the kernel does the last halving itself."""

_HEAD = 16_384
"""How many of an image's first bytes is_plain looks at: camera makers' colour profiles, of some 9 kB, lie within."""

_TABLES = 11
"""Segments between JFIF's header and the pixels, at most, of what is_plain knows: two or three tables of quantisation, the frame,
four Huffman tables, and a colour profile, a comment or the like."""

_PASSED = [code in (0xC0, 0xC1, 0xC4, 0xDB, 0xDD, *range(0xE2, 0xF0), 0xFE) for code in range(256)]
"""Whether is_plain goes on behind a segment, by its marker's second byte: sequential frames, tables, and applications but Exif."""

_SEGMENT = [(256, 0, 0, 0), (1, 0, 0, 0), (0, 256, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), *4 * [(0, 0, 0, 0)], (0, 0, 0, 1)]
"""What a segment's first ten bytes count for in its marker, its length, and the components of a scan and of a frame."""

_END = b"\xff\xd9"

_MOST_SEGMENTS = 1000
"""Segments before the pixels that are looked at: 64 MB of full ones, where photos have a dozen."""

MOST_SCANS = 100
"""Scans that a file may have. Each takes time for all pixels, though it may have a few bytes. Encoders make some ten of a
progressive JPEG, and libjpeg's cjpeg takes no script of more than 100."""


def is_plain(images: Sequence[tf.Tensor]) -> tf.Tensor:
    """Whether images, n string scalars, show to be whole JPEGs without an Exif segment, and of one scan: bool [n].

    The first _HEAD bytes and the last two do for nearly all photos of ImageNet, where a JFIF header is followed by tables, if
    not by a colour profile or a comment first; it costs far less than looking for the segment in each image.
    """
    # Zeros stand beyond an end. [n, _HEAD]
    heads = tf.stack([tf.io.decode_raw(image, tf.uint8, fixed_length=_HEAD) for image in images])
    first = _HEAD * tf.range(len(images))[:, tf.newaxis]
    values = tf.reshape(heads, (-1,))
    offset, components = first + 20, tf.zeros_like(first)  # behind the start of image and JFIF's header of 16 bytes

    def segment(offset: tf.Tensor) -> list[tf.Tensor]:
        ten = tf.gather(values, tf.minimum(offset + tf.range(10), first + _HEAD - 1))
        return tf.split(tf.matmul(tf.cast(ten, tf.int32), _SEGMENT), 4, axis=1)

    for _ in range(_TABLES):
        marker, length, _, counted = segment(offset)
        components = tf.where((marker == 0xFFC0) | (marker == 0xFFC1), counted, components)
        passed = tf.gather(_PASSED, tf.maximum(marker - 0xFF00, 0))
        offset += tf.where(passed, length + 2, 0)
    marker, _, scanned, _ = segment(offset)
    is_jfif = tf.reduce_all(heads[:, :6] == tuple(b"\xff\xd8\xff\xe0\0\x10"), axis=1)
    places = tf.unstack(tf.maximum(tf.stack([tf.strings.length(image) for image in images]) - 2, 0))
    last = [tf.strings.substr(image, place, 2) for image, place in zip(images, places, strict=True)]
    is_whole = tf.stack(last) == _END
    return is_jfif & is_whole & tf.squeeze((marker == 0xFFDA) & (scanned == components), axis=1)


def assert_whole(encoded: tf.Tensor) -> tf.Operation:
    """An operation that fails for a JPEG that is cut off, though the part that a crop shows be there.

    A file that ends as it should is taken to be whole; of another, with a film behind it for one, all is decoded, in small.
    """

    def decoded() -> tf.Tensor:
        with tf.control_dependencies([assert_size(stored_size(encoded))]):
            return tf.size(tf.io.decode_jpeg(encoded, ratio=8)) > 0

    last = piece(encoded, tf.strings.length(encoded) - 2, 2)
    is_whole = tf.cond(last == _END, lambda: True, decoded)
    return tf.raw_ops.Assert(condition=is_whole, data=["cut off"])


def assert_scans(encoded: tf.Tensor) -> tf.Operation:
    """An operation that fails for a JPEG of more than MOST_SCANS scans.

    The marker of a scan is counted wherever it stands, in a photo's thumbnail or a film behind it too, where chance has it
    once in 64 kB. Where there are too many, a file is sound if its first scan is its only one: decoding ends with that.
    """
    chance = tf.strings.length(encoded) // 65_536
    is_sound = tf.cond(
        occurrences(encoded, b"\xff\xda") <= MOST_SCANS + chance, lambda: True, lambda: _has_one_scan(encoded)
    )
    return tf.raw_ops.Assert(condition=is_sound, data=[f"more than {MOST_SCANS} scans"])


def whole(encoded: tf.Tensor, smooth_chroma: bool) -> tf.Tensor:
    """A whole JPEG as it is stored: uint8 [h, w, 3]; encoded is a string scalar.

    smooth_chroma: whether colours that are stored at half the size are interpolated, as Pillow does, or repeated.
    """
    return tf.io.decode_jpeg(encoded, channels=3, fancy_upscaling=smooth_chroma, dct_method=_ACCURATE)


def stored_size(encoded: tf.Tensor) -> tf.Tensor:
    """Height and width as stored, int32 [2], from the header."""
    return tf.image.extract_jpeg_shape(encoded)[:2]


def divisor(extents: tf.Tensor, target: tuple[int, int]) -> tf.Tensor:
    """By how much a JPEG's sides are divided on decoding, int32 [n] of 1, 2, 4 or 8.

    Args:
        extents: float64 [n, 2], height and width of the box that the crop shows.
        target: height and width that it will be resampled to.
    """
    spare = tf.reduce_min(extents / tf.constant([round(SPARE * side) for side in target], extents.dtype), axis=1)
    return tf.where(spare >= 8, 8, tf.where(spare >= 4, 4, tf.where(spare >= 2, 2, 1)))


def part(encoded: tf.Tensor, window: tf.Tensor, smooth_chroma: bool) -> tf.Tensor:
    """The pixels of a window, int32 [4], of a JPEG as it is stored: uint8 [h, w, 3]."""
    return tf.image.decode_and_crop_jpeg(encoded, window, 3, fancy_upscaling=smooth_chroma, dct_method=_ACCURATE)


def _has_one_scan(encoded: tf.Tensor) -> tf.Tensor:
    """Whether the frame is sequential and the first scan has all its components, as segment by segment until there shows."""

    def goes_on(offset: tf.Tensor, count: tf.Tensor, components: tf.Tensor) -> tf.Tensor:
        marker = number(encoded, offset, 2, little=False)
        return (marker >= 0xFFC0) & (marker != 0xFFDA) & (count < _MOST_SEGMENTS)

    def step(offset: tf.Tensor, count: tf.Tensor, components: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        is_frame = tf.reduce_any(piece(encoded, offset, 2) == [b"\xff\xc0", b"\xff\xc1"])
        counted = number(encoded, offset + 9, 1, little=False)
        length = number(encoded, offset + 2, 2, little=False)
        return offset + 2 + length, count + 1, tf.where(is_frame, counted, components)

    start = tf.constant(2), tf.constant(0), tf.constant(0)
    offset, _, components = tf.while_loop(goes_on, step, start)
    return (number(encoded, offset, 2, little=False) == 0xFFDA) & (number(encoded, offset + 4, 1, False) == components)


def coarse_part(
    encoded: tf.Tensor, window: tf.Tensor, turned: tf.Tensor, divided: tf.Tensor, smooth_chroma: bool
) -> tf.Tensor:
    """The pixels that a window lies on after the sides are divided by 2, 4 or 8, from its first to its last."""

    def decoded(ratio: int) -> tf.Tensor:
        return tf.io.decode_jpeg(encoded, 3, ratio, fancy_upscaling=smooth_chroma, dct_method=_ACCURATE)

    branches = [lambda ratio=ratio: decoded(ratio) for ratio in (2, 4, 8)]
    image = exif.upright(tf.switch_case(divided // 4, branches), turned)
    start = window[:2] // divided
    stop = -(-(window[:2] + window[2:]) // divided)
    return image[start[0] : stop[0], start[1] : stop[1]]
