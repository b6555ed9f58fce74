"""A box of an image resampled to a size, with the preset's kernel.

Kernels: `area` averages what each output pixel covers; `bilinear` (triangle) and `bicubic` (Keys, a = -0.5, IEEE TASSP
29(6), 1981) widen their support with antialias when they shrink, as Pillow's do. Coordinates are Pillow's: pixel i covers
[i, i + 1).
"""

from typing import Literal

import tensorflow as tf

Kernel = Literal["area", "bilinear", "bicubic"]

_KERNELS = {"bilinear": "triangle", "bicubic": "keyscubic"}
_SUPPORT = {"area": 0.5, "bilinear": 1.0, "bicubic": 2.0}


def resample(
    image: tf.Tensor, box: tf.Tensor, size: tuple[int, int] | tf.Tensor, kernel: Kernel, antialias: bool
) -> tf.Tensor:
    """Resample a box of an image.

    Args:
        image: uint8 [h, w, c].
        box: float32 [4], top, left, height, width in pixels of the image; may have fractions.
        size: height and width of the result, two numbers or int32 [2].
        kernel: which kernel; `area` is bilinear where it would enlarge.
        antialias: whether bilinear and bicubic widen when shrinking.

    Returns:
        uint8 [height, width, c], rounded to the nearest value.
    """
    if kernel == "area":
        shrinks = tf.reduce_all(box[2:] >= tf.cast(size, tf.float32))
        pixels = tf.cond(shrinks, lambda: _area(image, box, size), lambda: _scaled(image, box, size, "triangle", True))
    else:
        pixels = _scaled(image, box, size, _KERNELS[kernel], antialias)
    pixels = tf.saturate_cast(tf.round(pixels), tf.uint8)
    static = (None, None) if tf.is_tensor(size) else size
    return tf.ensure_shape(pixels, (*static, image.shape[-1]))


def margin(box: tf.Tensor, size: tuple[int, int], kernel: Kernel, antialias: bool) -> tf.Tensor:
    """Pixels around a box that its border's values depend on, int32 [2] for rows and columns."""
    if kernel == "area":
        return tf.ones(2, tf.int32)
    widening = tf.maximum(box[2:] / tf.cast(size, tf.float32), 1.0) if antialias else tf.ones(2)
    return tf.cast(tf.math.ceil(_SUPPORT[kernel] * widening), tf.int32) + 1


def _area(image: tf.Tensor, box: tf.Tensor, size: tuple[int, int] | tf.Tensor) -> tf.Tensor:
    whole = tf.cast(tf.round(box), tf.int32)
    cut = image[whole[0] : whole[0] + whole[2], whole[1] : whole[1] + whole[3]]
    return tf.raw_ops.ResizeArea(images=cut[tf.newaxis], size=size)[0]


def _scaled(
    image: tf.Tensor, box: tf.Tensor, size: tuple[int, int] | tf.Tensor, kernel: str, antialias: bool
) -> tf.Tensor:
    scale = tf.cast(size, tf.float32) / box[2:]
    return tf.raw_ops.ScaleAndTranslate(
        images=image[tf.newaxis],
        size=size,
        scale=scale,
        translation=-box[:2] * scale,
        kernel_type=kernel,
        antialias=antialias,
    )[0]
