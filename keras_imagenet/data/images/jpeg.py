"""JPEGs: turned upright, and decoded only where and as finely as a crop needs.

The accurate integer transform is used, which gives Pillow's values to the bit and is no slower than the fast one.
"""

from collections.abc import Callable
from functools import partial

import tensorflow as tf

from keras_imagenet.data.images import exif
from keras_imagenet.data.images.branches import apart
from keras_imagenet.data.images.declared import assert_size

_ACCURATE = "INTEGER_ACCURATE"

SPARE = 2.0
"""An image is decoded at 1/2, 1/4 or 1/8 of its size where the crop then still has this many pixels for each of the
result's, along both axes; so the kernel does the last halving itself."""


Cut = Callable[[tf.Tensor, tf.Tensor | None], tf.Tensor]
"""From the whole pixels of an image that a crop needs, int32 [4]: top, left, height, width, and the crop's box, float64 [4]
in the same coordinates, to the crop. A box of None is the window itself, and pixels around it do not count."""

Place = Callable[[tf.Tensor, Cut], tf.Tensor]
"""From the upright image's size, int32 [2], and a way to cut it, to what is cut."""


def decode_jpeg(encoded: tf.Tensor, smooth_chroma: bool) -> tf.Tensor:
    """A whole JPEG, upright: uint8 [h, w, 3]; encoded is a string scalar.

    smooth_chroma: whether colours that are stored at half the size are interpolated, as Pillow does, or repeated.
    """
    with tf.control_dependencies([_stored_size(encoded)]):
        image = tf.io.decode_jpeg(encoded, channels=3, fancy_upscaling=smooth_chroma, dct_method=_ACCURATE)
    return exif.upright(image, exif.orientation(encoded))


def cut_jpeg(
    encoded: tf.Tensor, target: tuple[int, int], place: Place, resampled: Cut, smooth_chroma: bool
) -> tf.Tensor:
    """A crop of a JPEG.

    Args:
        encoded: string scalar.
        target: height and width that the crop will be resampled to.
        place: what is cut.
        resampled: from pixels uint8 [h, w, 3], and the crop's box in them or None for all of them, to the crop.
        smooth_chroma: as decode_jpeg's.

    Returns:
        What `resampled` returns.
    """
    turned = exif.orientation(encoded)

    def rotated() -> tf.Tensor:
        stored = _stored_size(encoded)
        size = tf.where(exif.swaps_axes(turned), stored[::-1], stored)

        def cut(window: tf.Tensor, box: tf.Tensor | None) -> tf.Tensor:
            raw = exif.stored_box(window, size, turned)
            turn = partial(exif.upright, turned=turned)
            return _at_scale(encoded, window, box, raw, target, resampled, smooth_chroma, turn)

        return place(size, cut)

    return tf.cond(turned > 1, rotated, lambda: cut_upright_jpeg(encoded, target, place, resampled, smooth_chroma))


def cut_upright_jpeg(
    encoded: tf.Tensor, target: tuple[int, int], place: Place, resampled: Cut, smooth_chroma: bool
) -> tf.Tensor:
    """The same for a JPEG that is known to be stored upright."""

    def cut(window: tf.Tensor, box: tf.Tensor | None) -> tf.Tensor:
        return _at_scale(encoded, window, box, window, target, resampled, smooth_chroma, lambda image: image)

    return place(_stored_size(encoded), cut)


def within(box: tf.Tensor | None, window: tf.Tensor) -> tf.Tensor | None:
    """A window's box in the window's own coordinates."""
    return None if box is None else tf.concat((box[:2] - tf.cast(window[:2], box.dtype), box[2:]), axis=0)


def starts_with_tables(encoded: tf.Tensor) -> tf.Tensor:
    """Whether the bytes are a JPEG whose JFIF header is followed by tables: it has no Exif segment, so it lies upright.

    Three of five ImageNet photos are such, and this costs less than looking for the segment.
    """
    head = tf.strings.substr(encoded, 0, 22)
    return tf.strings.substr(head, 0, 6) + tf.strings.substr(head, 20, 2) == b"\xff\xd8\xff\xe0\0\x10\xff\xdb"


def _at_scale(
    encoded: tf.Tensor,
    window: tf.Tensor,
    box: tf.Tensor | None,
    stored: tf.Tensor,
    target: tuple[int, int],
    resampled: Cut,
    smooth_chroma: bool,
    turn: Callable[[tf.Tensor], tf.Tensor],
) -> tf.Tensor:
    """The crop, from pixels as coarse as do; `stored` is the window as the file has it, `turn` makes it upright."""

    def fine() -> tf.Tensor:
        part = tf.image.decode_and_crop_jpeg(encoded, stored, 3, fancy_upscaling=smooth_chroma, dct_method=_ACCURATE)
        return resampled(turn(part), within(box, window))

    def scaled(ratio: int) -> tf.Tensor:
        image = turn(tf.io.decode_jpeg(encoded, 3, ratio, fancy_upscaling=smooth_chroma, dct_method=_ACCURATE))
        start = window[:2] // ratio
        stop = -(-(window[:2] + window[2:]) // ratio)
        part = image[start[0] : stop[0], start[1] : stop[1]]
        full = tf.cast(window, tf.float64) if box is None else box
        return resampled(part, tf.concat((full[:2] / ratio - tf.cast(start, tf.float64), full[2:] / ratio), axis=0))

    extent = (window if box is None else box)[2:]
    least = [round(SPARE * side) for side in target]

    def coarse() -> tf.Tensor:
        spare = tf.reduce_min(extent // tf.constant(least, extent.dtype))
        return tf.cond(
            spare < 4, lambda: scaled(2), apart(lambda: tf.cond(spare < 8, lambda: scaled(4), lambda: scaled(8)))
        )

    return tf.cond(
        tf.reduce_all(extent >= tf.constant([2 * side for side in least], extent.dtype)), apart(coarse), fine
    )


def _stored_size(encoded: tf.Tensor) -> tf.Tensor:
    """Height and width as stored, int32 [2], from the header; refuses sizes that would exhaust memory."""
    size = tf.image.extract_jpeg_shape(encoded)[:2]
    with tf.control_dependencies([assert_size(size)]):
        return tf.identity(size)
