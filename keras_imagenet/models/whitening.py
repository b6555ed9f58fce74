"""The first layer as a frozen change of basis in which the pixels of a patch are uncorrelated (arXiv:2404.00498, section 3.1)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from keras_imagenet.errors import SettingsError

if TYPE_CHECKING:
    import keras

EPSILON = 5e-4
"""Added to the variances (legacy/airbench94.py, `init_whitening_conv`)."""


def stem(network: keras.Model) -> keras.layers.Conv2D:
    """The convolution that sees the images, with two filters for each number of a patch.

    Raises SettingsError where the network begins with another layer.
    """
    seeing = [layer for layer in network.layers if layer.weights and layer.input is network.input]
    first = seeing[0] if len(seeing) == 1 else None
    shape = getattr(first, "kernel", np.empty(0)).shape
    if len(shape) != 4 or shape[-1] != 2 * np.prod(shape[:-1]):
        raise SettingsError(
            f"model.whiten: {network.name} does not begin with a convolution of two filters for each number of a patch, "
            "as airbench94 does; leave whiten out"
        )
    return first


def freeze(network: keras.Model) -> None:
    """Let the stem's filters stand still; its biases learn. Raises SettingsError as `stem`."""
    stem(network).kernel.trainable = False


def filters(kernel_shape: tuple[int, int, int, int], batches: Iterable[np.ndarray]) -> np.ndarray:
    """The kernel, float32 [height, width, channels, 2 height width channels], that whitens the images' patches.

    Filters are the eigenvectors of the patches' second moments, divided by the roots of their eigenvalues, the largest
    first, and then their negatives. batches: normalised images, [n, rows, columns, channels].
    """
    height, width, channels, _ = kernel_shape
    size = height * width * channels
    moments, count = np.zeros((size, size)), 0
    for images in batches:
        patches = np.lib.stride_tricks.sliding_window_view(images.astype(np.float64), (height, width), axis=(1, 2))
        patches = patches.transpose(0, 1, 2, 4, 5, 3).reshape(-1, size)
        moments += patches.T @ patches
        count += len(patches)
    variances, directions = np.linalg.eigh(moments / count)
    scaled = (directions / np.sqrt(variances + EPSILON))[:, ::-1]
    return np.concatenate([scaled, -scaled], axis=1).reshape(kernel_shape).astype(np.float32)
