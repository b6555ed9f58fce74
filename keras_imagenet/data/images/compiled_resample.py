"""What resample.py computes, to the bit, in machine code: for training and evaluation, where speed counts."""

import math
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from keras_imagenet.data.images.resample import AREA_COLUMN_PRECISION, AREA_KEPT, PRECISION, Kernel, Size
from keras_imagenet.data.machine_code import aligned, compiled

_AREA, _BILINEAR, _BICUBIC = range(3)
_NUMBER = {"area": _AREA, "bilinear": _BILINEAR, "bicubic": _BICUBIC}


def resample_each(
    images: Sequence[tf.Tensor],
    starts: tf.Tensor,
    boxes: tf.Tensor,
    size: Size,
    kernel: Kernel,
    antialias: bool,
    mirrored: tf.Tensor | None = None,
) -> tf.Tensor:
    """Resample a box of each image.

    Args:
        images: n images uint8 [h, w, c] of any sizes and one c, at most 4.
        starts: int32 [n], the column where each image begins; those before it do not count.
        boxes: float64 [n, 4], top, left, height, width in pixels of each image from there, may have fractions.
        size: height and width of the results, two numbers or int32 [2].
        kernel: which kernel.
        antialias: whether bilinear and bicubic widen when shrinking.
        mirrored: bool [n], whose results are mirrored left to right; None for nobody's.

    Returns:
        uint8 [n, height, width, c].
    """

    def act(
        starts: np.ndarray, boxes: np.ndarray, size: np.ndarray, mirrored: np.ndarray, *images: np.ndarray
    ) -> np.ndarray:
        results = aligned((len(images), *size, images[0].shape[-1]))
        for image, start, box, mirror, result in zip(images, starts, boxes, mirrored, results, strict=True):
            _resample(image, start, box, mirror, result, _NUMBER[kernel], antialias)
        return results

    # One call for all: it costs a tenth of a millisecond, and Python runs but one at a time.
    mirrored = tf.zeros(len(images), tf.bool) if mirrored is None else mirrored
    results = tf.numpy_function(act, [starts, boxes, size, mirrored, *images], tf.uint8, stateful=False)
    static = (None, None) if tf.is_tensor(size) else size
    return tf.ensure_shape(results, (len(images), *static, images[0].shape[-1]))


@compiled
def _resample(
    image: np.ndarray, start: int, box: np.ndarray, mirror: bool, result: np.ndarray, kernel: int, antialias: bool
) -> None:
    """One image uint8 [h, w, c], box float64 [4], into result uint8 [height, width, c]."""
    rows, stored, channels = image.shape
    height, width = result.shape[:2]
    columns = stored - start
    column_bits = AREA_COLUMN_PRECISION if kernel == _AREA else PRECISION
    row_first, row_weights = _weights(box[0], box[2], height, rows, kernel, antialias, PRECISION)
    column_first, column_weights = _weights(box[1], box[3], width, columns, kernel, antialias, column_bits)
    if mirror:
        column_first, column_weights = column_first[::-1].copy(), column_weights[::-1].copy()
    flat = image.reshape(rows, stored * channels)
    output = result.reshape(height, width * channels)
    offset, length = start * channels, columns * channels
    sums = np.empty(max(length, width * channels) + 4, np.int32)
    # As int32, with the zero weights' places beyond the end, and three more for sums of four at a time.
    row = np.zeros(length + channels * column_weights.shape[1] + 3, np.int32)
    if kernel == _AREA:
        for y in range(height):
            _combine_rows(flat, offset, row_first[y], row_weights[y], PRECISION - AREA_KEPT, sums, row[:length])
            _combine_columns(row, channels, column_first, column_weights, column_bits + AREA_KEPT, sums, output[y])
        return
    # Only rows that some weight falls on; they begin where the first output's do.
    top = row_first[0]
    bottom = min(row_first[height - 1] + row_weights.shape[1], rows)
    shrunk = np.empty((bottom - top, width * channels), np.uint8)
    for y in range(top, bottom):
        values = flat[y][offset:]
        for column in range(length):
            row[column] = values[column]
        _combine_columns(row, channels, column_first, column_weights, PRECISION, sums, shrunk[y - top])
    for y in range(height):
        _combine_rows(shrunk, 0, row_first[y] - top, row_weights[y], PRECISION, sums, output[y])


@compiled
def _weights(
    start: float, length: float, outputs: int, extent: int, kernel: int, antialias: bool, bits: int
) -> tuple[np.ndarray, np.ndarray]:
    """For each output of an axis its first pixel, int64 [outputs], and the weights from there on, int32 [outputs, taps].

    Weights are multiples of 2**-bits. Taps are as many as _combine_columns has straight lines for; the last ones may be 0
    and lie beyond the image.
    """
    scale = length / outputs
    widening = max(scale, 1.0) if antialias or kernel == _AREA else 1.0
    support = (widening + 1) / 2 if kernel == _AREA else widening * (1.0 if kernel == _BILINEAR else 2.0)
    first = np.empty(outputs, np.int64)
    most = 2 * math.ceil(support) + 1
    values = np.zeros((outputs, most))
    taps = 1
    for output in range(outputs):
        centre = start + (output + 0.5) * scale
        low = min(max(math.floor(centre - support + 0.5), 0), extent - 1)
        high = max(min(math.floor(centre + support + 0.5), extent), low + 1)
        total = 0.0
        for pixel in range(low, high):
            value = _kernel(abs(pixel - centre + 0.5), widening, kernel)
            values[output, pixel - low] = value
            total += value
        for tap in range(high - low):
            values[output, tap] = values[output, tap] / total * (1 << bits)
        first[output] = low
        taps = max(taps, high - low)
    if taps in (1, 5) or taps > 6:
        taps = 2 if taps == 1 else 6 if taps == 5 else -(-taps // 8) * 8
    weights = np.zeros((outputs, taps), np.int32)
    for output in range(outputs):
        for tap in range(min(taps, most)):
            value = values[output, tap]
            weights[output, tap] = np.int32(value + 0.5) if value >= 0 else np.int32(value - 0.5)
    return first, weights


@compiled
def _kernel(distance: float, widening: float, kernel: int) -> float:
    if kernel == _AREA:
        return min(max((widening + 1) / 2 - distance, 0.0), 1.0)
    x = distance / widening
    if kernel == _BILINEAR:
        return max(1 - x, 0.0)
    if x < 1:
        return (1.5 * x - 2.5) * x * x + 1
    return (((x - 5) * x + 8) * x - 4) * -0.5 if x < 2 else 0.0


@compiled
def _combine_rows(
    image: np.ndarray, offset: int, first: int, weights: np.ndarray, bits: int, sums: np.ndarray, result: np.ndarray
) -> None:
    """The weighted sum of rows of an image uint8 [h, offset + m], from the row `first` and the value `offset` on.

    Rounded, without its last bits, into uint8 or int32 [m]. sums: int32 [m] or more, room to work in.
    """
    half, most = np.int32(1 << (bits - 1)), np.int32(255 << (PRECISION - bits))
    for column in range(result.size):
        sums[column] = half
    for tap in range(min(weights.size, image.shape[0] - first)):
        row, weight = image[first + tap][offset:], weights[tap]
        if weight != 0:
            for column in range(result.size):
                sums[column] += weight * np.int32(row[column])
    for column in range(result.size):
        result[column] = min(max(sums[column] >> bits, 0), most)


@compiled
def _combine_columns(
    row: np.ndarray,
    channels: int,
    first: np.ndarray,
    weights: np.ndarray,
    bits: int,
    sums: np.ndarray,
    result: np.ndarray,
) -> None:
    """Weighted sums along a row int32, for each output from its first pixel on: rounded, without their last bits, into
    uint8 [outputs c]. sums: int32 [outputs c + 3] or more, room to work in."""
    half, taps = np.int32(1 << (bits - 1)), weights.shape[1]
    # A number of taps that is known becomes straight lines of code, and those become vectors.
    if taps == 2:
        _sums(row, channels, first, weights, 1, 2, half, sums)
    elif taps == 3:
        _sums(row, channels, first, weights, 1, 3, half, sums)
    elif taps == 4:
        _sums(row, channels, first, weights, 1, 4, half, sums)
    elif taps == 6:
        _sums(row, channels, first, weights, 1, 6, half, sums)
    elif taps == 8:
        _sums(row, channels, first, weights, 1, 8, half, sums)
    else:
        _sums(row, channels, first, weights, taps // 8, 8, half, sums)
    for column in range(result.size):
        result[column] = min(max(sums[column] >> bits, 0), 255)


@compiled
def _sums(
    row: np.ndarray,
    channels: int,
    first: np.ndarray,
    weights: np.ndarray,
    blocks: int,
    taps: int,
    half: int,
    sums: np.ndarray,
) -> None:
    """Sums of blocks * taps products into int32 [outputs c + 3], of four values side by side: a pixel's channels, and what
    the next output overwrites. Offsets are unsigned, because a signed one would be asked whether it counts from the end."""
    step, one, two, three = np.uint64(channels), np.uint64(1), np.uint64(2), np.uint64(3)
    for output in range(first.size):
        place = np.uint64(first[output]) * step
        sum_0 = sum_1 = sum_2 = sum_3 = half
        for block in range(blocks):
            for tap in range(taps):
                weight = weights[output, taps * block + tap]
                sum_0 += weight * row[place]
                sum_1 += weight * row[place + one]
                sum_2 += weight * row[place + two]
                sum_3 += weight * row[place + three]
                place += step
        at = np.uint64(output) * step
        sums[at] = sum_0
        sums[at + one] = sum_1
        sums[at + two] = sum_2
        sums[at + three] = sum_3
