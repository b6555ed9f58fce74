"""Images before anything is cut out of them: how large they are, and what it takes to get at their pixels."""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import tensorflow as tf

from keras_imagenet.data.images import exif, jpeg
from keras_imagenet.data.images.declared import assert_size
from keras_imagenet.data.images.decoding import on_format

_DECODED = 0
_BLOCK = 16
"""Pixels that a JPEG's colours are stored together for, at most in all usual photos."""

# TensorFlow's executor visits every operation of a branch that is not taken, to mark it as dead; a function that may not be
# inlined is one operation to it, and is traced once for all images of a group.
_apart = tf.function(autograph=False, experimental_attributes={"_noinline": True})


class Seen(NamedTuple):
    """n images of any formats and sizes.

    encoded: n string scalars; empty where the images came as pixels.
    pixels: n images uint8 [h, w, c], upright; of no pixels where the image is a JPEG, which is decoded as far as needed.
    facts: int32 [n, 3], heights and widths of the upright images, and the JPEGs' orientations, 1 to 8, or 0 for images whose
    pixels are there.
    """

    encoded: Sequence[tf.Tensor]
    pixels: Sequence[tf.Tensor]
    facts: tf.Tensor

    @property
    def sizes(self) -> tf.Tensor:
        """Heights and widths of the upright images, int32 [n, 2]."""
        return self.facts[:, :2]


def look_at(images: Sequence[tf.Tensor]) -> Seen:
    """See images: string scalars of encoded bytes, or all of them uint8 [h, w, c].

    Raises tf.errors.InvalidArgumentError for bytes of no known format, and for declared sizes that would exhaust memory.
    """
    if images[0].dtype != tf.string:
        facts = tf.stack([tf.concat((tf.shape(image)[:2], [_DECODED]), axis=0) for image in images])
        return Seen((), images, facts)
    upright = exif.is_known_upright(tf.stack([tf.strings.substr(image, 0, exif.HEAD) for image in images]))

    def upright_jpegs() -> tuple[tf.Tensor, list[tf.Tensor]]:
        sizes = tf.stack([tf.image.extract_jpeg_shape(image) for image in images])[:, :2]
        return tf.pad(sizes, [[0, 0], [0, 1]], constant_values=1), [_nothing() for _ in images]

    facts, pixels = tf.cond(tf.reduce_all(upright), upright_jpegs, lambda: _look_closer(images, upright))
    for image in pixels:
        image.set_shape((None, None, 3))
    with tf.control_dependencies([assert_size(facts[:, :2])]):
        return Seen(images, pixels, tf.identity(facts))


def pixels_of(
    seen: Seen, windows: tf.Tensor, boxes: tf.Tensor, target: tuple[int, int], smooth_chroma: bool
) -> tuple[list[tf.Tensor], tf.Tensor, tf.Tensor]:
    """The pixels of a window of each image, as coarse as do for what they will be resampled to.

    Args:
        seen: n images.
        windows: int32 [n, 4], top, left, height, width of whole pixels.
        boxes: float64 [n, 4], what the crop shows of them.
        target: height and width that the boxes will be resampled to.
        smooth_chroma: whether a JPEG's colours that are stored at half the size are interpolated, or repeated.

    Returns:
        n images uint8 [h, w, c]; the column, int32 [n], where each one's window begins; and the boxes, float64 [n, 4], in
        pixels from there.
    """
    if not seen.encoded:
        parts = [_slice(pixels, window) for pixels, window in zip(seen.pixels, tf.unstack(windows), strict=True)]
        return parts, tf.zeros_like(windows[:, 0]), _within(boxes, windows, tf.ones_like(windows[:, :1]))
    turned = seen.facts[:, 2]
    divided = tf.where(turned == _DECODED, 1, jpeg.divisor(boxes[:, 2:], target))
    plain = (turned == 1) & (divided == 1)
    # From a whole block on, the operation need not copy what it decodes.
    before = tf.where(plain, windows[:, 1] % _BLOCK, 0)
    wider = windows + before[:, tf.newaxis] * (0, -1, 0, 1)
    facts = tf.concat((wider, seen.facts, divided[:, tf.newaxis]), axis=1)

    def plain_parts() -> list[tf.Tensor]:
        rows = zip(seen.encoded, tf.unstack(wider), strict=True)
        return [jpeg.part(encoded, window, smooth_chroma) for encoded, window in rows]

    parts = tf.cond(
        tf.reduce_all(plain), plain_parts, lambda: _parts(seen.encoded, seen.pixels, facts, plain, smooth_chroma)
    )
    for part in parts:
        part.set_shape((None, None, 3))
    return parts, before, _within(boxes, windows, divided[:, tf.newaxis])


@_apart
def _look_closer(images: list[tf.Tensor], upright: tf.Tensor) -> tuple[tf.Tensor, list[tf.Tensor]]:
    """Facts and pixels of images, of which some may be known to be upright JPEGs: bool [n]."""

    def upright_jpeg(image: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return tf.concat((jpeg.stored_size(image), [1]), axis=0), _nothing()

    found = [
        tf.cond(known, partial(upright_jpeg, image), partial(_look_closest, image))
        for image, known in zip(images, tf.unstack(upright), strict=True)
    ]
    return tf.stack([facts for facts, _ in found]), [pixels for _, pixels in found]


@_apart
def _look_closest(image: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    def any_jpeg() -> tuple[tf.Tensor, tf.Tensor]:
        turned, stored = exif.orientation(image), jpeg.stored_size(image)
        size = tf.where(exif.swaps_axes(turned), stored[::-1], stored)
        return tf.concat((size, [turned]), axis=0), _nothing()

    def other(pixels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return tf.concat((tf.shape(pixels)[:2], [_DECODED]), axis=0), pixels

    return on_format(image, any_jpeg, other)


@_apart
def _parts(
    encoded: list[tf.Tensor], pixels: list[tf.Tensor], facts: tf.Tensor, plain: tf.Tensor, smooth_chroma: bool
) -> list[tf.Tensor]:
    """Windows' pixels, n images uint8 [h, w, 3].

    facts: int32 [n, 8], the window, the image's facts, and by what its sides are divided. plain: bool [n], whether it is an
    upright JPEG that is not divided.
    """
    rows = zip(encoded, pixels, tf.unstack(facts), tf.unstack(plain), strict=True)
    return [
        tf.cond(
            is_plain,
            partial(jpeg.part, image, row[:4], smooth_chroma),
            partial(_other_part, image, decoded, row, smooth_chroma),
        )
        for image, decoded, row, is_plain in rows
    ]


@_apart
def _other_part(encoded: tf.Tensor, pixels: tf.Tensor, facts: tf.Tensor, smooth_chroma: bool) -> tf.Tensor:
    window, size, turned, divided = facts[:4], facts[4:6], facts[6], facts[7]
    cases = [
        (turned == _DECODED, lambda: _slice(pixels, window)),
        (divided > 1, lambda: jpeg.coarse_part(encoded, window, turned, divided, smooth_chroma)),
    ]
    return tf.case(cases, default=lambda: jpeg.turned_part(encoded, window, size, turned, smooth_chroma))


def _nothing() -> tf.Tensor:
    return tf.zeros((0, 0, 3), tf.uint8)


def _slice(pixels: tf.Tensor, window: tf.Tensor) -> tf.Tensor:
    return pixels[window[0] : window[0] + window[2], window[1] : window[1] + window[3]]


def _within(boxes: tf.Tensor, windows: tf.Tensor, divided: tf.Tensor) -> tf.Tensor:
    """Boxes, float64 [n, 4], in the pixels of windows, int32 [n, 4], whose sides are divided, int32 [n, 1]."""
    start = tf.cast(windows[:, :2] // divided, boxes.dtype)
    coarse = boxes / tf.cast(divided, boxes.dtype)
    return tf.concat((coarse[:, :2] - start, coarse[:, 2:]), axis=1)
