"""AlexNet's lighting (NIPS 2012, section 4.1): each image shifted along the principal components of ImageNet's colours."""

from collections.abc import Callable

import numpy as np

from keras_imagenet.data import order
from keras_imagenet.errors import SettingsError
from keras_imagenet.preset import Preset

DEVIATIONS = np.array([0.2175, 0.0188, 0.0045])
"""Of ImageNet's pixels along its components, on the scale 0-1; numbers and components as pycls and fb.resnet.torch have them."""
COMPONENTS = np.array([[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]])
"""Red, green and blue in rows, a component a column."""


def drawer(deviation: float, preset: Preset) -> Callable[[np.ndarray], np.ndarray]:
    """A function of k examples' seeds, int32 [k, 2]: what is added to their normalised red, green and blue, float32 [k, 3].

    The shift is the sum over components of component * its deviation * a number from N(0, deviation). Raises SettingsError
    for images of one channel.
    """
    if preset.channels != 3:
        raise SettingsError("augment.lighting: shifts colours, and data.channels is 1; leave it out")

    def draw(seeds: np.ndarray) -> np.ndarray:
        from scipy.special import ndtri

        uniform = order.uniform(order.keys_of(seeds), "lighting", 3)
        shares = deviation * ndtri(np.maximum(uniform, 2.0**-53))
        # Not a matrix product, which may add in another order for another number of rows.
        shifts = ((shares * DEVIATIONS)[:, np.newaxis] * COMPONENTS).sum(axis=2)
        return (shifts / preset.std).astype(np.float32)

    return draw
