"""JPEGs, decoded only where and as finely as a crop needs.

The accurate integer transform is used, which gives Pillow's values to the bit and is no slower than the fast one.
"""

import tensorflow as tf

from keras_imagenet.data.images import exif

_ACCURATE = "INTEGER_ACCURATE"

SPARE = 2.0
"""An image is decoded at 1/2, 1/4 or 1/8 of its size where the crop then still has this many pixels for each of the
result's, along both axes; so the kernel does the last halving itself."""


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
