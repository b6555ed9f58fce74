"""Images before anything is cut out of them: how large they are, and what it takes to get at their pixels."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import tensorflow as tf

from keras_imagenet.data.images import exif, jpeg
from keras_imagenet.data.images.declared import JPEG, MAXIMUM_PIXELS, assert_size
from keras_imagenet.data.images.decoding import decode_other, header
from keras_imagenet.data.images.rendering import Rendering
from keras_imagenet.data.images.tracing import traced_once

_PIXELS = -1
"""The format of what came as pixels."""
_BLOCK = 16
"""Pixels that a JPEG's colours are stored together for, at most in all usual photos."""


class Seen(NamedTuple):
    """n images of any formats and sizes, of which nothing is decoded yet.

    images: n string scalars of encoded bytes, or n images uint8 [h, w, c].
    facts: int32 [n, 4], heights and widths of the upright images, their orientations, 1 to 8, and their formats.
    """

    images: Sequence[tf.Tensor]
    facts: tf.Tensor

    @property
    def sizes(self) -> tf.Tensor:
        """Heights and widths of the upright images, int32 [n, 2]."""
        return self.facts[:, :2]

    @property
    def are_encoded(self) -> bool:
        """Whether they are to be decoded."""
        return self.images[0].dtype == tf.string


def look_at(images: Sequence[tf.Tensor], most: int = MAXIMUM_PIXELS) -> Seen:
    """See images: string scalars of encoded bytes, or all of them uint8 [h, w, c].

    Raises tf.errors.InvalidArgumentError for bytes of no known format, and for declared sizes of more than `most` pixels.
    """
    if images[0].dtype != tf.string:
        facts = tf.stack([tf.concat((tf.shape(image)[:2], [1, _PIXELS]), axis=0) for image in images])
        return Seen(images, facts)
    plain = jpeg.is_plain(images)

    def plain_jpegs() -> tf.Tensor:
        sizes = tf.stack([tf.image.extract_jpeg_shape(image) for image in images])[:, :2]
        return tf.concat((sizes, tf.constant([(1, JPEG)] * len(images))), axis=1)

    facts = tf.cond(tf.reduce_all(plain), plain_jpegs, lambda: _look_closer(images, plain))
    with tf.control_dependencies([assert_size(facts[:, :2], most)]):
        return Seen(images, tf.identity(facts))


def divisors(seen: Seen, boxes: tf.Tensor, target: tuple[int, int]) -> tf.Tensor:
    """By how much each image's sides are divided on decoding, int32 [n]: as coarse as does for what boxes become.

    boxes: float64 [n, 4], what the crop shows of the images. target: height and width that the boxes are resampled to.
    """
    return tf.where(seen.facts[:, 3] == JPEG, jpeg.divisor(boxes[:, 2:], target), 1)


def decoded_pixels(seen: Seen, windows: tf.Tensor, divided: tf.Tensor) -> tf.Tensor:
    """How many pixels pixels_of decodes for all images together, int64 scalar."""
    whole = tf.reduce_prod(tf.cast(seen.sizes, tf.int64), axis=1) // tf.cast(divided**2, tf.int64)
    window = tf.reduce_prod(tf.cast(windows[:, 2:], tf.int64), axis=1)
    in_part = (seen.facts[:, 3] == JPEG) & (divided == 1)
    return tf.reduce_sum(tf.where(in_part, window, whole))


def pixels_of(
    seen: Seen, windows: tf.Tensor, boxes: tf.Tensor, divided: tf.Tensor, rendering: Rendering
) -> tuple[list[tf.Tensor], tf.Tensor, tf.Tensor]:
    """The pixels of a window of each image.

    Args:
        seen: n images.
        windows: int32 [n, 4], top, left, height, width of whole pixels.
        boxes: float64 [n, 4], what the crop shows of them.
        divided: int32 [n], by how much their sides are divided on decoding.
        rendering: what becomes of what 8 bits of RGB cannot hold.

    Returns:
        n images uint8 [h, w, c]; the column, int32 [n], where each one's window begins; and the boxes, float64 [n, 4], in
        pixels from there.
    """
    if not seen.are_encoded:
        parts = [_slice(pixels, window) for pixels, window in zip(seen.images, tf.unstack(windows), strict=True)]
        return parts, tf.zeros_like(windows[:, 0]), _within(boxes, windows, tf.ones_like(windows[:, :1]))
    plain = tf.reduce_all(seen.facts[:, 2:] == (1, JPEG), axis=1) & (divided == 1)
    # From a whole block on, the operation need not copy what it decodes.
    before = tf.where(plain, windows[:, 1] % _BLOCK, 0)
    wider = windows + before[:, tf.newaxis] * (0, -1, 0, 1)
    facts = tf.concat((wider, seen.facts, divided[:, tf.newaxis]), axis=1)

    def plain_parts() -> list[tf.Tensor]:
        rows = zip(seen.images, tf.unstack(wider), strict=True)
        return [jpeg.part(encoded, window, rendering.smooth_chroma) for encoded, window in rows]

    parts = tf.cond(tf.reduce_all(plain), plain_parts, lambda: _parts(seen.images, facts, plain, rendering))
    for part in parts:
        part.set_shape((None, None, 3))
    return parts, before, _within(boxes, windows, divided[:, tf.newaxis])


def of_each(
    images: Sequence[tf.Tensor], act: Callable[[tf.Tensor, tf.Tensor], tf.Tensor], kind: tf.TensorSpec, at_once: int
) -> list[tf.Tensor]:
    """act(image, row) of each image and its row, in a loop: a graph then holds act once. What holds the images copies none.

    images: n string scalars. kind: of what act gives. at_once: how many images are acted on at a time, at most.
    """
    n = len(images)
    held = tf.TensorArray(tf.string, n, element_shape=())
    for row, image in enumerate(images):
        held = held.write(row, image)
    results = tf.TensorArray(kind.dtype, n, element_shape=kind.shape, infer_shape=False)

    def step(row: tf.Tensor, results: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
        return row + 1, results.write(row, act(held.read(row), row))

    start = tf.constant(0), results
    results = tf.while_loop(lambda row, _: row < n, step, start, parallel_iterations=at_once)[1]
    return [results.read(row) for row in range(n)]


@traced_once
def _look_closer(images: list[tf.Tensor], plain: tf.Tensor) -> tf.Tensor:
    """Facts of images, of which some may be known to be plain JPEGs: bool [n]."""

    def facts_of(image: tf.Tensor, row: tf.Tensor) -> tf.Tensor:
        return tf.cond(
            plain[row],
            lambda: tf.concat((jpeg.stored_size(image), [1, JPEG]), axis=0),
            lambda: header(image),
        )

    return tf.stack(of_each(images, facts_of, tf.TensorSpec((4,), tf.int32), len(images)))


@traced_once
def _parts(encoded: list[tf.Tensor], facts: tf.Tensor, plain: tf.Tensor, rendering: Rendering) -> list[tf.Tensor]:
    """Windows' pixels, n images uint8 [h, w, 3].

    facts: int32 [n, 9], the window, the image's facts, and by what its sides are divided. plain: bool [n], whether it is an
    upright JPEG that is not divided.
    """

    def part_of(image: tf.Tensor, row: tf.Tensor) -> tf.Tensor:
        known = facts[row]
        return tf.cond(
            plain[row],
            lambda: jpeg.part(image, known[:4], rendering.smooth_chroma),
            lambda: _other_part(image, known, rendering),
        )

    return of_each(encoded, part_of, tf.TensorSpec((None, None, 3), tf.uint8), len(encoded))


@traced_once
def _other_part(encoded: tf.Tensor, facts: tf.Tensor, rendering: Rendering) -> tf.Tensor:
    window, size, turned, kind, divided = facts[:4], facts[4:6], facts[6], facts[7], facts[8]
    stored_window = exif.stored_box(window, size, turned)

    def jpegs() -> tf.Tensor:
        return jpeg.part(encoded, stored_window, rendering.smooth_chroma)

    def others() -> tf.Tensor:
        return _slice(decode_other(encoded, exif.turned_size(size, turned), kind, rendering), stored_window)

    return tf.cond(
        divided > 1,
        lambda: jpeg.coarse_part(encoded, window, turned, divided, rendering.smooth_chroma),
        lambda: exif.upright(tf.cond(kind == JPEG, jpegs, others), turned),
    )


def _slice(pixels: tf.Tensor, window: tf.Tensor) -> tf.Tensor:
    return pixels[window[0] : window[0] + window[2], window[1] : window[1] + window[3]]


def _within(boxes: tf.Tensor, windows: tf.Tensor, divided: tf.Tensor) -> tf.Tensor:
    """Boxes, float64 [n, 4], in the pixels of windows, int32 [n, 4], whose sides are divided, int32 [n, 1]."""
    start = tf.cast(windows[:, :2] // divided, boxes.dtype)
    coarse = boxes / tf.cast(divided, boxes.dtype)
    return tf.concat((coarse[:, :2] - start, coarse[:, 2:]), axis=1)
