"""A box of an image resampled to a size, with the preset's kernel, in TensorFlow's operations: what a SavedModel runs.

Kernels: `area` averages what each output pixel covers, and is bilinear where it enlarges; `bilinear` (triangle) and
`bicubic` (Keys, IEEE TASSP 29(6), 1981, with a = -0.5) widen with antialias when they shrink. Coordinates are Pillow's:
pixel i covers [i, i + 1). So is the arithmetic of bilinear and bicubic: weights are whole multiples of 2**-22, columns are
resampled before rows, and each time the result is rounded to 8 bits; with antialias they give Pillow's values to the bit.
`area` takes rows first, which is the faster order where an image shrinks, and keeps 7 bits behind the point for the columns.

compiled_resample.py gives the same pixels in less than a tenth of the time, but in no SavedModel.
"""

from collections.abc import Callable
from typing import Literal

import tensorflow as tf

Kernel = Literal["area", "bilinear", "bicubic"]
Size = tuple[int, int] | tf.Tensor

PRECISION = 22
"""Bits of a weight behind the point, Pillow's PRECISION_BITS (Resample.c)."""

AREA_KEPT = 7
"""Bits behind the point that `area` keeps of its rows."""

AREA_COLUMN_PRECISION = 16
"""Bits behind the point of `area`'s weights of columns: their sums fill 31 bits."""

_STRIP = 2**22
"""Values that are computed with at a time, of eight bytes each."""

RADIUS = {"bilinear": 1.0, "bicubic": 2.0}
"""Half the width of a kernel that does not shrink, in pixels."""


def resample(image: tf.Tensor, box: tf.Tensor, size: Size, kernel: Kernel, antialias: bool) -> tf.Tensor:
    """Resample a box of an image.

    Args:
        image: uint8 [h, w, c].
        box: float64 [4], top, left, height, width in pixels of the image, may have fractions.
        size: height and width of the result, two numbers or int32 [2].
        kernel: which kernel.
        antialias: whether bilinear and bicubic widen when shrinking.

    Returns:
        uint8 [height, width, c].
    """
    channels = image.shape[-1]
    extent = tf.shape(image)
    column_precision = AREA_COLUMN_PRECISION if kernel == "area" else PRECISION
    rows, columns = _matrices(box, extent, size, channels, kernel, antialias, column_precision)
    pixels = tf.reshape(image, (extent[0], extent[1] * channels))
    if kernel == "area":
        # The operation's own transpositions take longer than those here.
        shrunk = _in_strips(pixels, 1, lambda strip: _rounded(tf.transpose(_times(rows, strip)), PRECISION - AREA_KEPT))
        pixels = _rounded(tf.transpose(_times(columns, shrunk)), column_precision + AREA_KEPT)
    else:
        shrunk = _in_strips(
            pixels,
            0,
            lambda strip: _cut_off(_rounded(tf.transpose(_times(columns, tf.transpose(strip))), column_precision)),
        )
        pixels = _cut_off(_rounded(_times(rows, shrunk), PRECISION))
    pixels = tf.reshape(tf.cast(pixels, tf.uint8), (size[0], size[1], channels))
    return tf.ensure_shape(pixels, (*((None, None) if tf.is_tensor(size) else size), channels))


def margin(boxes: tf.Tensor, size: tuple[int, int], kernel: Kernel, antialias: bool) -> tf.Tensor:
    """Pixels around boxes, float64 [n, 4], that their borders' values depend on, int32 [n, 2] for rows and columns."""
    scale = boxes[:, 2:] / tf.constant(size, boxes.dtype)
    if kernel == "area":
        return 2 * tf.cast(scale < 1, tf.int32)  # an average ends where its box does
    widening = tf.maximum(scale, 1.0) if antialias else tf.ones_like(scale)
    return tf.cast(tf.math.ceil(RADIUS[kernel] * widening), tf.int32) + 1


def _times(matrix: tf.sparse.SparseTensor, pixels: tf.Tensor) -> tf.Tensor:
    # Compressed here, as a SavedModel does not load loops that hold compressed ones.
    compressed = tf.raw_ops.SparseTensorToCSRSparseMatrix(
        indices=matrix.indices, values=matrix.values, dense_shape=matrix.dense_shape
    )
    return tf.raw_ops.SparseMatrixMatMul(a=compressed, b=pixels)


def _in_strips(pixels: tf.Tensor, axis: int, act: Callable[[tf.Tensor], tf.Tensor]) -> tf.Tensor:
    """What `act` makes of strips along an axis of uint8 [h, m], as float64, one below the other.

    A large image takes eight times its memory as float64, and more on the way; a strip does not.
    """
    extent = tf.shape(pixels)
    thickness = tf.maximum(_STRIP // extent[1 - axis], 1)
    count = -(-extent[axis] // thickness)

    def step(number: tf.Tensor, results: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
        strip = slice(number * thickness, (number + 1) * thickness)
        values = tf.cast(pixels[strip] if axis == 0 else pixels[:, strip], tf.float64)
        return number + 1, results.write(number, act(values))

    results = tf.TensorArray(tf.float64, size=count, infer_shape=False, element_shape=(None, None))
    _, results = tf.while_loop(lambda number, _: number < count, step, (tf.constant(0), results), parallel_iterations=1)
    return tf.ensure_shape(results.concat(), (None, None))


def _rounded(sums: tf.Tensor, bits: int) -> tf.Tensor:
    """Sums without their last bits, rounded; whole numbers far below 2**53, and so exact in whatever order they are added."""
    return tf.floor((sums + 2.0 ** (bits - 1)) * 2.0**-bits)


def _cut_off(values: tf.Tensor) -> tf.Tensor:
    return tf.clip_by_value(values, tf.zeros((), values.dtype), tf.constant(255, values.dtype))


def _matrices(
    box: tf.Tensor,
    extent: tf.Tensor,
    size: Size,
    channels: int,
    kernel: Kernel,
    antialias: bool,
    column_precision: int,
) -> tuple[tf.sparse.SparseTensor, tf.sparse.SparseTensor]:
    """The weights of rows [height, h] and of columns [width * channels, w * channels], as sparse matrices by rows.

    Whole numbers, multiples of 2**-PRECISION and of 2**-column_precision.
    """
    height, width = size[0], size[1]
    start, length = tf.split(tf.reshape(box, (4, 1)), 2)  # [axes, 1]
    scale = length / tf.cast(tf.reshape(size, (2, 1)), tf.float64)
    widening = tf.maximum(scale, 1.0) if antialias or kernel == "area" else tf.ones_like(scale)
    support = (widening + 1) / 2 if kernel == "area" else RADIUS[kernel] * widening
    outputs = tf.range(0.5, tf.cast(tf.reduce_max(size), tf.float64), dtype=tf.float64)
    centre = start + outputs * scale  # [axes, outputs]
    first = tf.floor(centre - support + 0.5)
    taps = 2 * tf.cast(tf.reduce_max(tf.math.ceil(support)), tf.int32) + 1
    pixel = first[..., tf.newaxis] + tf.range(tf.cast(taps, tf.float64), dtype=tf.float64)  # [axes, outputs, taps]
    weight = _kernel(tf.abs(pixel - centre[..., tf.newaxis] + 0.5), widening[..., tf.newaxis], kernel)
    last = tf.cast(tf.reshape(extent[:2] - 1, (2, 1, 1)), tf.float64)
    inside = tf.clip_by_value(pixel, tf.zeros((), tf.float64), last)
    weight = tf.where(inside == pixel, weight, 0.0)
    precision = tf.constant([[[2.0**PRECISION]], [[2.0**column_precision]]], tf.float64)
    weight = weight / tf.reduce_sum(weight, axis=2, keepdims=True) * precision
    weight = tf.sign(weight) * tf.floor(tf.abs(weight) + 0.5)
    inside = tf.cast(inside, tf.int64)
    taps = tf.cast(taps, tf.int64)

    rows = _sparse(inside[0, :height], weight[0, :height], taps, extent[0])
    # A column's weights serve each of its channels: [width, taps] -> [width, channels * taps].
    channel = tf.range(channels * taps) // taps
    places = tf.tile(inside[1, :width] * channels, (1, channels)) + channel
    columns = _sparse(places, tf.tile(weight[1, :width], (1, channels)), taps, extent[1] * channels)
    return rows, columns


def _sparse(places: tf.Tensor, weights: tf.Tensor, taps: tf.Tensor, extent: tf.Tensor) -> tf.sparse.SparseTensor:
    """A sparse matrix whose rows hold `taps` weights each, at `places`."""
    values = tf.reshape(weights, (-1,))
    entry = tf.range(tf.size(values, tf.int64))
    return tf.sparse.SparseTensor(
        indices=tf.stack((entry // taps, tf.reshape(places, (-1,))), axis=1),
        values=values,
        dense_shape=tf.stack((tf.size(values, tf.int64) // taps, tf.cast(extent, tf.int64))),
    )


def _kernel(distance: tf.Tensor, widening: tf.Tensor, kernel: Kernel) -> tf.Tensor:
    """The kernel's value at a distance in pixels of the input, up to a factor."""
    if kernel == "area":
        # The overlap of two intervals of lengths 1 and `widening`; with equal lengths it is the triangle.
        return tf.clip_by_value((widening + 1) / 2 - distance, tf.zeros((), tf.float64), tf.ones((), tf.float64))
    x = distance / widening
    if kernel == "bilinear":
        return tf.maximum(1 - x, 0.0)
    x = tf.minimum(x, 2.0)
    near = (1.5 * x - 2.5) * x * x + 1
    far = (((x - 5) * x + 8) * x - 4) * -0.5
    return tf.where(x < 1, near, far)
