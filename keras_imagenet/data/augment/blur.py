"""Gaussian blur."""

import numpy as np

from keras_imagenet.data.machine_code import compiled

RADIUS = 6
"""Taps on each side: three standard deviations of the strongest blur in use, 2 pixels."""


@compiled
def gaussian_blur(image: np.ndarray, sigma: float, result: np.ndarray) -> None:
    """An image uint8 [h, w, c] under a Gaussian of `sigma` pixels (above 0 and up to 2), rounded, into uint8 [h, w, c].

    The kernel is cut off after RADIUS pixels and scaled to sum 1; the border is mirrored without repeating the edge.
    """
    height, width, channels = image.shape
    vertical, horizontal = _weights(sigma, height), _weights(sigma, width)
    border = len(horizontal) // 2 * channels
    row = np.empty(width * channels + 2 * border, np.float32)
    inner, sums = row[border : border + width * channels], np.empty(width * channels, np.float32)
    for y in range(height):
        inner[:] = 0
        for tap in range(len(vertical)):
            source = image[_mirrored(y + tap - len(vertical) // 2, height)].reshape(-1)
            for place in range(len(inner)):
                inner[place] += vertical[tap] * np.float32(source[place])
        for step in range(channels, border + channels, channels):
            for channel in range(channels):
                row[border - step + channel] = inner[step + channel]
                row[border + len(inner) - channels + step + channel] = inner[len(inner) - channels - step + channel]
        sums[:] = np.float32(0.5)
        for tap in range(len(horizontal)):
            shifted = row[tap * channels : tap * channels + len(sums)]
            for place in range(len(sums)):
                sums[place] += horizontal[tap] * shifted[place]
        values = result[y].reshape(-1)
        for place in range(len(sums)):
            values[place] = np.uint8(np.int32(min(sums[place], np.float32(255))))


@compiled
def _weights(sigma: float, size: int) -> np.ndarray:
    """The kernel for an axis of `size` pixels, on which more of them cannot be mirrored: float32."""
    radius = min(RADIUS, size - 1)
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    return (weights / weights.sum()).astype(np.float32)


@compiled
def _mirrored(place: int, size: int) -> int:
    return size - 1 - abs(size - 1 - abs(place))
