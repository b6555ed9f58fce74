"""A box of an image resampled to a size, with the preset's kernel.

Kernels: `area` averages what each output pixel covers, and is bilinear where it enlarges; `bilinear` (triangle) and
`bicubic` (Keys, IEEE TASSP 29(6), 1981, with a = -0.5) widen with antialias when they shrink, as Pillow's do. Coordinates
are Pillow's: pixel i covers [i, i + 1).

Both axes are products with a sparse matrix of the kernel's weights, which costs about half of TensorFlow's own
antialiased resize (ScaleAndTranslate).
"""

from typing import Literal

import tensorflow as tf

from keras_imagenet.data.images.branches import apart

Kernel = Literal["area", "bilinear", "bicubic"]
Size = tuple[int, int] | tf.Tensor

_RADIUS = {"bilinear": 1.0, "bicubic": 2.0}


def resample(image: tf.Tensor, box: tf.Tensor | None, size: Size, kernel: Kernel, antialias: bool) -> tf.Tensor:
    """Resample a box of an image.

    Args:
        image: uint8 [h, w, c].
        box: float64 [4], top, left, height, width in pixels of the image, may have fractions; None for the whole image.
        size: height and width of the result, two numbers or int32 [2].
        kernel: which kernel.
        antialias: whether bilinear and bicubic widen when shrinking.

    Returns:
        uint8 [height, width, c], rounded to the nearest value.
    """
    if box is None and kernel == "area":
        shrinks = tf.reduce_all(tf.shape(image)[:2] >= size)
        return tf.cond(shrinks, lambda: _averaged(image, size), apart(lambda: _stretched(image, size)))
    if box is None:
        box = tf.cast(tf.concat((tf.zeros(2, tf.int32), tf.shape(image)[:2]), axis=0), tf.float64)
    return _weighted(image, box, size, kernel, antialias)


def margin(box: tf.Tensor, size: Size, kernel: Kernel, antialias: bool) -> tf.Tensor:
    """Pixels around a box that its border's values depend on, int32 [2] for rows and columns."""
    scale = box[2:] / tf.cast(size, box.dtype)
    if kernel == "area":
        return tf.fill((2,), 2 * tf.cast(tf.reduce_any(scale < 1), tf.int32))  # an average ends where its box does
    widening = tf.maximum(scale, 1.0)
    support = _RADIUS[kernel] * widening if antialias else tf.fill((2,), _RADIUS[kernel])
    return tf.cast(tf.math.ceil(support), tf.int32) + 1


def _averaged(image: tf.Tensor, size: Size) -> tf.Tensor:
    """A whole image no smaller than `size` with the kernel `area`: the same as _weighted, by an operation made for it."""
    return _rounded(tf.raw_ops.ResizeArea(images=image[tf.newaxis], size=size), size)


def _stretched(image: tf.Tensor, size: Size) -> tf.Tensor:
    """A whole image that `size` enlarges along some axis, likewise: averaged first along the other one."""
    extent = tf.shape(image)[:2]

    def shrunk() -> tf.Tensor:
        return tf.raw_ops.ResizeArea(images=image[tf.newaxis], size=tf.minimum(extent, size))

    first = tf.cond(tf.reduce_all(extent <= size), lambda: tf.cast(image, tf.float32)[tf.newaxis], shrunk)
    return _rounded(tf.raw_ops.ResizeBilinear(images=first, size=size, half_pixel_centers=True), size)


def _rounded(images: tf.Tensor, size: Size) -> tf.Tensor:
    """uint8 [height, width, c] from float32 [1, height, width, c]."""
    static = (None, None) if tf.is_tensor(size) else size
    return tf.ensure_shape(tf.cast(images[0] + 0.5, tf.uint8), (*static, images.shape[-1]))


def _weighted(image: tf.Tensor, box: tf.Tensor, size: Size, kernel: Kernel, antialias: bool) -> tf.Tensor:
    channels = image.shape[-1]
    extent = tf.shape(image)
    rows, columns = _matrices(box, extent, size, channels, kernel, antialias)
    flat = tf.cast(tf.reshape(image, (extent[0], extent[1] * channels)), tf.float32)
    # Each product is turned round on its way out: [h, w c] -> [w c, height] -> [height, width c].
    shrunk = _product(columns, _product(rows, flat))
    if kernel == "bicubic":
        shrunk = tf.minimum(tf.nn.relu(shrunk), 255.0)
    pixels = tf.reshape(tf.cast(shrunk + 0.5, tf.uint8), (size[0], size[1], channels))
    static = (None, None) if tf.is_tensor(size) else size
    return tf.ensure_shape(pixels, (*static, channels))


def _matrices(
    box: tf.Tensor, extent: tf.Tensor, size: Size, channels: int, kernel: Kernel, antialias: bool
) -> tuple[tf.Tensor, tf.Tensor]:
    """The weights of rows [height, h] and of columns [width * channels, w * channels], as sparse matrices by rows.

    Both axes are computed together and in double precision: few small operations, whose rounding no optimiser of the graph
    can turn into another pixel.
    """
    height, width = size[0], size[1]
    start, length = tf.split(tf.reshape(tf.cast(box, tf.float64), (4, 1)), 2)  # [axes, 1]
    scale = length / tf.cast(tf.reshape(size, (2, 1)), tf.float64)
    widening = tf.maximum(scale, 1.0) if antialias or kernel == "area" else tf.ones_like(scale)
    support = (widening + 1) / 2 if kernel == "area" else _RADIUS[kernel] * widening
    outputs = tf.range(0.5, tf.cast(tf.reduce_max(size), tf.float64), dtype=tf.float64)
    centre = start + scale * outputs  # [axes, outputs]
    first = tf.floor(centre - support + 0.5)
    taps = 2 * tf.cast(tf.reduce_max(tf.math.ceil(support)), tf.int32) + 1
    pixel = first[..., tf.newaxis] + tf.range(tf.cast(taps, tf.float64), dtype=tf.float64)  # [axes, outputs, taps]
    weight = _kernel(tf.abs(pixel + 0.5 - centre[..., tf.newaxis]), widening[..., tf.newaxis], kernel)
    last = tf.cast(tf.reshape(extent[:2] - 1, (2, 1, 1)), tf.float64)
    inside = tf.clip_by_value(pixel, tf.zeros((), tf.float64), last)
    weight = tf.where(inside == pixel, weight, 0.0)
    weight = tf.cast(weight / tf.reduce_sum(weight, axis=2, keepdims=True), tf.float32)
    inside = tf.cast(inside, tf.int64)
    taps = tf.cast(taps, tf.int64)

    rows = _compressed(inside[0, :height], weight[0, :height], taps, extent[0])
    # A column's weights serve each of its channels: [width, taps] -> [width, channels * taps].
    channel = tf.range(channels * taps) // taps
    places = tf.tile(inside[1, :width] * channels, (1, channels)) + channel
    columns = _compressed(places, tf.tile(weight[1, :width], (1, channels)), taps, extent[1] * channels)
    return rows, columns


def _compressed(places: tf.Tensor, weights: tf.Tensor, taps: tf.Tensor, extent: tf.Tensor) -> tf.Tensor:
    """A sparse matrix whose rows hold `taps` weights each, at `places`; a variant tensor, compressed by rows."""
    values = tf.reshape(weights, (-1,))
    entry = tf.range(tf.size(values, tf.int64))
    return tf.raw_ops.SparseTensorToCSRSparseMatrix(
        indices=tf.stack((entry // taps, tf.reshape(places, (-1,))), axis=1),
        values=values,
        dense_shape=tf.stack((tf.size(values, tf.int64) // taps, tf.cast(extent, tf.int64))),
    )


def _kernel(distance: tf.Tensor, widening: tf.Tensor, kernel: Kernel) -> tf.Tensor:
    """The kernel's value at a distance in pixels of the input, up to a factor."""
    if kernel == "area":
        # The overlap of two intervals of lengths 1 and `widening`; with equal lengths it is the triangle.
        return tf.clip_by_value((widening + 1) / 2 - distance, 0.0, 1.0)
    x = distance / widening
    if kernel == "bilinear":
        return tf.maximum(1 - x, 0.0)
    x = tf.minimum(x, 2.0)
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return tf.where(x < 1, near, far)


def _product(matrix: tf.Tensor, dense: tf.Tensor) -> tf.Tensor:
    """(matrix @ dense) turned round: float32 [columns of dense, rows of matrix].

    Turned round also because graphs have oneDNN multiply otherwise, which adds in another order than eager calls.
    """
    return tf.raw_ops.SparseMatrixMatMul(a=matrix, b=dense, transpose_output=True)
