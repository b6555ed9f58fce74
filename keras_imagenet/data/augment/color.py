"""Operations on colours, with Pillow's arithmetic: results are cut off to whole numbers, as Image.blend does.

Images are uint8 [h, w, 1 or 3]; a factor of 1 leaves an image as it is, 0 takes the property away.
"""

import tensorflow as tf


def luma(image: tf.Tensor) -> tf.Tensor:
    """ITU-R 601's grey as Pillow rounds it: uint8 [h, w, 1] from [h, w, 1 or 3]."""
    return image if image.shape[-1] == 1 else tf.cast(_luma(image, copies=1), tf.uint8)


def blend(degenerate: tf.Tensor, image: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """degenerate + factor * (image - degenerate), cut to 0..255 and to whole numbers: uint8 from uint8 or float32."""
    start = tf.cast(degenerate, tf.float32)
    mixed = start + factor * (tf.cast(image, tf.float32) - start)
    return tf.cast(tf.minimum(tf.nn.relu(mixed), 255.0), tf.uint8)


def brightness(image: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """Blend with black."""
    bright = factor * tf.cast(image, tf.float32)
    return tf.cast(tf.minimum(tf.nn.relu(bright), 255.0), tf.uint8)


def contrast(image: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """Blend with the rounded mean of the grey image."""
    mean = tf.floor(tf.reduce_mean(_luma(image, copies=1)) + 0.5)
    return blend(mean, image, factor)


def saturation(image: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """Blend with the grey image."""
    return blend(_luma(image, copies=image.shape[-1]), image, factor)


def grey(image: tf.Tensor) -> tf.Tensor:
    """The grey image in every channel: uint8 of the image's shape."""
    return image if image.shape[-1] == 1 else tf.cast(_luma(image, copies=3), tf.uint8)


def hue(image: tf.Tensor, shift: tf.Tensor) -> tf.Tensor:
    """Turn colours by `shift` turns of the colour circle, in -0.5..0.5; grey images have none."""
    if image.shape[-1] == 1:
        return image
    turned = tf.image.adjust_hue(tf.cast(image, tf.float32) / 255, shift)
    return tf.cast(tf.round(tf.clip_by_value(turned, 0, 1) * 255), tf.uint8)


def _luma(image: tf.Tensor, copies: int) -> tf.Tensor:
    """luma as float32 [h, w, copies]: whole numbers below 2**24 throughout, so exact in whatever order they are added."""
    values = tf.cast(image, tf.float32)
    if image.shape[-1] == 1:
        return values
    weights = tf.constant([[19_595.0], [38_470.0], [7_471.0]])
    grey = tf.matmul(tf.reshape(values, (-1, 3)), tf.repeat(weights, copies, axis=1))
    shape = tf.concat((tf.shape(image)[:2], (copies,)), axis=0)
    return tf.ensure_shape(tf.reshape(tf.floor((grey + 32_768) / 65_536), shape), (*image.shape[:2], copies))
