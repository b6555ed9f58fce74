"""Operations on colours, with Pillow's arithmetic: results are cut off to whole numbers, as Image.blend does.

Images are uint8 [h, w, 1 or 3]; a factor of 1 leaves an image as it is, 0 takes the property away.
"""

import tensorflow as tf


def luma(image: tf.Tensor) -> tf.Tensor:
    """ITU-R 601's grey as Pillow rounds it: uint8 [h, w, 1] from [h, w, 1 or 3]."""
    if image.shape[-1] == 1:
        return image
    red, green, blue = tf.unstack(tf.cast(image, tf.int32), axis=-1)
    grey = tf.bitwise.right_shift(19_595 * red + 38_470 * green + 7_471 * blue + 32_768, 16)
    return tf.cast(grey, tf.uint8)[..., tf.newaxis]


def blend(degenerate: tf.Tensor, image: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """degenerate + factor * (image - degenerate), cut to 0..255 and to whole numbers."""
    start = tf.cast(degenerate, tf.float32)
    mixed = start + factor * (tf.cast(image, tf.float32) - start)
    return tf.cast(tf.clip_by_value(mixed, 0, 255), tf.uint8)


def brightness(image: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """Blend with black."""
    return blend(tf.constant(0, tf.uint8), image, factor)


def contrast(image: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """Blend with the rounded mean of the grey image."""
    mean = tf.floor(tf.reduce_mean(tf.cast(luma(image), tf.float32)) + 0.5)
    return blend(mean, image, factor)


def saturation(image: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """Blend with the grey image."""
    return blend(luma(image), image, factor)


def hue(image: tf.Tensor, shift: tf.Tensor) -> tf.Tensor:
    """Turn colours by `shift` turns of the colour circle, in -0.5..0.5; grey images have none."""
    if image.shape[-1] == 1:
        return image
    turned = tf.image.adjust_hue(tf.cast(image, tf.float32) / 255, shift)
    return tf.cast(tf.round(tf.clip_by_value(turned, 0, 1) * 255), tf.uint8)
