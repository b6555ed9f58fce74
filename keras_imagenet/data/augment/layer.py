"""A function of image and seed as a KerasCV layer, so that stock KerasCV layers can stand beside it in one pipeline."""

from collections.abc import Callable

import tensorflow as tf
from keras_cv.layers import BaseImageAugmentationLayer

from keras_imagenet.data.augment.seeds import fold


class Augmentation(BaseImageAugmentationLayer):
    """An operation that draws from each example's own seed, and so gives the same bytes per example and per batch.

    Called on a dict with images uint8 [h, w, c] or [b, h, w, c] and seeds int32 [2] or [b, 2]; other keys pass through.

    Args:
        function: (image uint8 [h, w, c], seed int32 [2]) -> image uint8 [h, w, c]. The seed is the example's, folded
            with the layer's name.
        name: the operation's name.
    """

    def __init__(self, function: Callable[[tf.Tensor, tf.Tensor], tf.Tensor], name: str) -> None:
        super().__init__(name=name, dtype="uint8")
        self._function = function
        self._operation = name
        self.auto_vectorize = False

    @tf.autograph.experimental.do_not_convert  # conditions are TensorFlow's already; converting costs seconds
    def _augment(self, inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        image = self._function(inputs["images"], fold(inputs["seeds"], self._operation))
        return {**inputs, "images": tf.ensure_shape(image, inputs["images"].shape)}
