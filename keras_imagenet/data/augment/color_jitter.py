"""Random brightness, contrast, saturation and hue, in random order, as torchvision's ColorJitter draws them."""

import numpy as np
import tensorflow as tf

from keras_imagenet.data.augment import operations
from keras_imagenet.data.augment.pixels import changed
from keras_imagenet.data.seeds import uniform


def color_jitter(
    images: tf.Tensor, seeds: tf.Tensor, brightness: float, contrast: float, saturation: float, hue: float
) -> tf.Tensor:
    """Jitter images uint8 [n, h, w, 1 or 3]; seeds int32 [n, 2].

    Factors of brightness, contrast and saturation are uniform in [max(0, 1 - s), 1 + s] for a strength s, the hue's
    shift in [-hue, hue] turns. What has strength 0 is left out.
    """
    strengths = {"brightness": brightness, "contrast": contrast, "saturation": saturation, "hue": hue}
    if not any(strengths.values()):
        return images

    def act(pixels: np.ndarray, draws: np.ndarray) -> np.ndarray:
        return operations.operate(pixels, *steps(draws, strengths), (0,) * pixels.shape[-1])

    return changed(images, act, uniform(seeds, 8))


def steps(draws: np.ndarray, strengths: dict[str, float]) -> tuple[np.ndarray, np.ndarray]:
    """Operations by number and their arguments, int64 and float64 [n, k], from draws float32 [n, 8] and each one's strength."""
    numbers, arguments = [], []
    for place, (name, strength) in enumerate(strengths.items()):
        if strength:
            low, high = (-strength, strength) if name == "hue" else (max(0.0, 1 - strength), 1 + strength)
            numbers.append(operations.NUMBERS[name])
            arguments.append(low + (high - low) * draws[:, place].astype(np.float64))
    order = np.argsort(draws[:, 4 : 4 + len(numbers)], axis=1)
    return np.array(numbers, np.int64)[order], np.take_along_axis(np.stack(arguments, axis=1), order, axis=1)
