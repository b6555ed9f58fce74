"""A function of images and seeds as a KerasCV layer, so that stock KerasCV layers can stand beside it in one pipeline."""

from collections.abc import Callable

import tensorflow as tf
from keras_cv.layers import BaseImageAugmentationLayer

from keras_imagenet.data.seeds import fold


class Augmentation(BaseImageAugmentationLayer):
    """An operation that draws from each example's own seed, and so gives the same bytes per example and per batch.

    Called on a dict with images uint8 [h, w, c] or [n, h, w, c] and seeds int32 [2] or [n, 2], n known before it runs; other
    keys pass through.

    Args:
        function: (images uint8 [n, h, w, c], seeds int32 [n, 2]) -> images uint8 [n, h, w, c]. The seeds are the examples',
            folded with the layer's name.
        name: the operation's name.
    """

    def __init__(self, function: Callable[[tf.Tensor, tf.Tensor], tf.Tensor], name: str) -> None:
        super().__init__(name=name, dtype="uint8")
        self._function = function
        self._operation = name

    @tf.autograph.experimental.do_not_convert  # nothing to convert, which takes seconds
    def _batch_augment(self, inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        images = self._function(inputs["images"], fold(inputs["seeds"], self._operation))
        return {**inputs, "images": tf.ensure_shape(images, inputs["images"].shape)}

    @tf.autograph.experimental.do_not_convert
    def _augment(self, inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        group = {name: inputs[name][tf.newaxis] for name in ("images", "seeds")}
        return {**inputs, "images": self._batch_augment(group)["images"][0]}
