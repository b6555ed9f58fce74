"""Mirror images."""

import numpy as np
import tensorflow as tf

from keras_imagenet.data import order
from keras_imagenet.data.augment.pixels import changed
from keras_imagenet.data.machine_code import aligned, compiled
from keras_imagenet.data.seeds import uniform


def flip(images: tf.Tensor, seeds: tf.Tensor, horizontally: bool, vertically: bool) -> tf.Tensor:
    """Mirror images uint8 [n, h, w, c] along each named axis with probability 1/2; seeds int32 [n, 2]."""

    def act(pixels: np.ndarray, draws: np.ndarray) -> np.ndarray:
        results = aligned(pixels.shape)
        _mirror_each(pixels, (draws < 0.5) & np.array([horizontally, vertically]), results)
        return results

    return changed(images, act, uniform(seeds, 2))


def mirrored(seeds: tf.Tensor) -> tf.Tensor:
    """Which of the examples with these seeds, int32 [n, 2], `flip` mirrors left to right: bool [n]."""
    return uniform(seeds, 2)[:, 0] < 0.5


def alternating(plan: order.Plan, run_seed: int) -> np.ndarray:
    """Which rows are mirrored left to right, bool [k]: half of the examples the first time, then the other way round each time.

    arXiv:2404.00498, section 3.6. Each example's first way is drawn from its index and the run's seed.
    """
    keys = order.fold(order.fold(order.key_of(run_seed), 5), plan.indices)
    return (order.uniform(keys, "flip", 1)[:, 0] < 0.5) ^ (plan.times % 2 == 1)


def mirror(images: tf.Tensor, mirrored: tf.Tensor) -> tf.Tensor:
    """Images uint8 [n, h, w, c], those that are to be mirrored, bool [n], left to right."""

    def act(pixels: np.ndarray, turned: np.ndarray) -> np.ndarray:
        results = aligned(pixels.shape)
        _mirror_each(pixels, np.stack((turned, np.zeros_like(turned)), axis=1), results)
        return results

    return changed(images, act, mirrored)


@compiled
def _mirror_each(images: np.ndarray, turned: np.ndarray, results: np.ndarray) -> None:
    """turned: bool [n, 2], left to right and upside down."""
    count, height, width, channels = images.shape
    for index in range(count):
        for row in range(height):
            source = images[index, height - 1 - row if turned[index, 1] else row].reshape(-1)
            result = results[index, row].reshape(-1)
            if not turned[index, 0]:
                for place in range(len(source)):
                    result[place] = source[place]
            elif channels == 3:
                for column in range(width):
                    for channel in range(3):
                        result[3 * column + channel] = source[3 * (width - 1 - column) + channel]
            else:
                for place in range(width):
                    result[place] = source[width - 1 - place]
