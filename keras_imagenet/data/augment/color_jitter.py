"""Random brightness, contrast, saturation and hue, in random order, as torchvision's ColorJitter draws them."""

from collections.abc import Callable

import tensorflow as tf

from keras_imagenet.data.augment import color


def color_jitter(
    image: tf.Tensor, seed: tf.Tensor, brightness: float, contrast: float, saturation: float, hue: float
) -> tf.Tensor:
    """Jitter an image uint8 [h, w, 1 or 3]; seed int32 [2].

    Factors of brightness, contrast and saturation are uniform in [max(0, 1 - s), 1 + s] for a strength s, the hue's
    shift in [-hue, hue] turns. What has strength 0 is left out.
    """
    draws = tf.random.stateless_uniform((8,), seed)
    operations = []
    for index, (operation, strength) in enumerate(
        ((color.brightness, brightness), (color.contrast, contrast), (color.saturation, saturation))
    ):
        if strength:
            low = max(0.0, 1 - strength)
            operations.append((operation, low + (1 + strength - low) * draws[index]))
    if hue:
        operations.append((color.hue, hue * (2 * draws[3] - 1)))
    order = tf.argsort(draws[4 : 4 + len(operations)])
    for step in range(len(operations)):
        image = tf.switch_case(order[step], [_bound(*operation, image) for operation in operations])
    return image


def _bound(operation: Callable, factor: tf.Tensor, image: tf.Tensor) -> Callable[[], tf.Tensor]:
    return lambda: operation(image, factor)
