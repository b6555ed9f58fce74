"""GridMask (arXiv:2001.04086): squares of a regular grid taken out of an image."""

import math

import numpy as np
import tensorflow as tf

from keras_imagenet.data.augment.operations import Fill
from keras_imagenet.data.augment.pixels import changed
from keras_imagenet.data.machine_code import aligned, compiled
from keras_imagenet.data.seeds import fold_in, uniform


def grid_mask(
    images: tf.Tensor,
    seeds: tf.Tensor,
    fill: Fill,
    *,
    probability: float,
    ratio: float,
    unit: tuple[int, int],
    rotation: float = 0.0,
) -> tf.Tensor:
    """With `probability` fill a grid of squares of each image uint8 [n, h, w, c]; seeds int32 [n, 2].

    The grid's unit is a whole number d of pixels uniform in `unit`, both ends included; of each unit round(ratio d) pixels
    are kept along each axis (the paper's r), the square of the rest is filled. The grid starts anywhere in 0..d - 1 along
    each axis, and is turned about the image's centre by an angle uniform in 0..rotation degrees. The fill is the mean's
    colour where the paper has 0 after normalising.
    """

    def act(pixels: np.ndarray, draws: np.ndarray, angles: np.ndarray) -> np.ndarray:
        results = aligned(pixels.shape)
        results[:] = pixels
        for result, draw, angle in zip(results, draws, angles[:, 0], strict=True):
            if draw[0] < probability:
                side = int(unit[0] + np.floor(draw[1] * np.float32(unit[1] - unit[0] + 1)))
                top, left = np.floor(draw[2:] * np.float32(side)).astype(int).tolist()
                fill_squares(result, side, ratio, (top, left), math.radians(rotation) * float(angle), fill)
        return results

    angles = uniform(fold_in(seeds, (1,)), 1) if rotation else tf.zeros((images.shape[0], 1))
    return changed(images, act, uniform(seeds, 4), angles)


def fill_squares(image: np.ndarray, unit: int, ratio: float, start: tuple[int, int], angle: float, fill: Fill) -> None:
    """Fill a grid's squares of an image uint8 [h, w, c]; `start` is where a unit begins, row and column.

    angle: in radians by which the grid is turned counterclockwise about the centre. A pixel belongs to the square that the
    pixel of the upright grid nearest to it does.
    """
    kept = int(ratio * unit + 0.5)
    _fill_squares(image, unit, kept, start, math.sin(angle), math.cos(angle), np.array(fill, np.uint8))


@compiled
def _fill_squares(
    image: np.ndarray, unit: int, kept: int, start: tuple[int, int], sine: float, cosine: float, fill: np.ndarray
) -> None:
    height, width, channels = image.shape
    middle_y, middle_x = (height - 1) / 2, (width - 1) / 2
    for row in range(height):
        for column in range(width):
            down, right = row - middle_y, column - middle_x
            y = math.floor(sine * right + cosine * down + middle_y + 0.5)
            x = math.floor(cosine * right - sine * down + middle_x + 0.5)
            if (y - start[0]) % unit >= kept and (x - start[1]) % unit >= kept:
                for channel in range(channels):
                    image[row, column, channel] = fill[channel]
