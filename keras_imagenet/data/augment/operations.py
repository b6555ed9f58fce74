"""Each operation that the random policies choose from, with Pillow's arithmetic.

Every one takes an image uint8 [h, w, c], an argument (float32 scalar; its meaning is each operation's own) and the colour
that fills what has no pixels; and gives uint8 [h, w, c]. What only changes values by themselves is one look-up in a
256-entry table.
"""

import math

import tensorflow as tf

from keras_imagenet.data.augment import affine, color

Fill = tuple[int, ...]


def identity(image: tf.Tensor, argument: tf.Tensor, fill: Fill) -> tf.Tensor:
    """The image as it is."""
    return image


def auto_contrast(image: tf.Tensor, argument: tf.Tensor, fill: Fill) -> tf.Tensor:
    """Stretch each channel to 0..255 (ImageOps.autocontrast)."""
    low = tf.cast(tf.reduce_min(image, axis=(0, 1)), tf.float64)
    high = tf.cast(tf.reduce_max(image, axis=(0, 1)), tf.float64)
    scale = 255 / (high - low)
    values = tf.range(256, dtype=tf.float64)[:, tf.newaxis]  # [256, channels] from here on
    stretched = tf.clip_by_value(tf.floor(values * scale + -low * scale), 0, 255)
    table = tf.where(high > low, stretched, values)
    return _look_up(image, tf.cast(table, tf.uint8))


def equalize(image: tf.Tensor, argument: tf.Tensor, fill: Fill) -> tf.Tensor:
    """Spread each channel's values so that all are about equally frequent (ImageOps.equalize)."""
    channels = image.shape[-1]
    places = tf.cast(image, tf.int32) + 256 * tf.range(channels)
    counts = tf.math.bincount(tf.reshape(places, (-1,)), minlength=256 * channels, maxlength=256 * channels)
    counts = tf.transpose(tf.reshape(counts, (channels, 256)))  # [256, channels]
    highest = tf.reduce_max(image, axis=(0, 1))
    last = tf.stack([counts[tf.cast(highest[channel], tf.int32), channel] for channel in range(channels)])
    step = (tf.reduce_sum(counts, axis=0) - last) // 255
    before = step // 2 + tf.cumsum(counts, exclusive=True)
    table = tf.minimum(before // tf.maximum(step, 1), 255)
    return _look_up(image, tf.cast(tf.where(step > 0, table, tf.range(256)[:, tf.newaxis]), tf.uint8))


def invert(image: tf.Tensor, argument: tf.Tensor, fill: Fill) -> tf.Tensor:
    """255 minus each value."""
    return 255 - image


def posterize(image: tf.Tensor, argument: tf.Tensor, fill: Fill) -> tf.Tensor:
    """Keep the `argument` highest bits (0 to 8)."""
    dropped = tf.cast(8 - argument, tf.int32)
    values = tf.range(256)
    table = tf.bitwise.left_shift(tf.bitwise.right_shift(values, dropped), dropped)
    return tf.gather(tf.cast(table, tf.uint8), tf.cast(image, tf.int32))


def solarize(image: tf.Tensor, argument: tf.Tensor, fill: Fill) -> tf.Tensor:
    """Invert the values that are at least the argument (0 to 256)."""
    return tf.where(tf.cast(image, tf.float32) >= argument, 255 - image, image)


def solarize_add(image: tf.Tensor, argument: tf.Tensor, fill: Fill) -> tf.Tensor:
    """Add the argument (0 to 128) to the values below 128."""
    values = tf.range(256)
    table = tf.where(values < 128, tf.minimum(values + tf.cast(argument, tf.int32), 255), values)
    return tf.gather(tf.cast(table, tf.uint8), tf.cast(image, tf.int32))


def brightness(image: tf.Tensor, argument: tf.Tensor, fill: Fill) -> tf.Tensor:
    """Blend with black; the argument is the image's share, 1 leaves it as it is."""
    values = color.brightness(tf.range(256)[:, tf.newaxis], argument)
    return tf.gather(values[:, 0], tf.cast(image, tf.int32))


def contrast(image: tf.Tensor, argument: tf.Tensor, fill: Fill) -> tf.Tensor:
    """Blend with the mean grey; the argument is the image's share."""
    return color.contrast(image, argument)


def saturation(image: tf.Tensor, argument: tf.Tensor, fill: Fill) -> tf.Tensor:
    """Blend with the grey image; the argument is the image's share."""
    return color.saturation(image, argument)


def sharpness(image: tf.Tensor, argument: tf.Tensor, fill: Fill) -> tf.Tensor:
    """Blend with the smoothed image (kernel 1 1 1, 1 5 1, 1 1 1 over 13; the border stays); the argument is its share."""
    channels = image.shape[-1]
    weights = tf.constant([[1, 1, 1], [1, 5, 1], [1, 1, 1]], tf.float32)[..., tf.newaxis, tf.newaxis] / 13
    source = tf.cast(image, tf.float32)
    smooth = tf.nn.depthwise_conv2d(source[tf.newaxis], tf.tile(weights, (1, 1, channels, 1)), (1, 1, 1, 1), "VALID")[0]
    smooth = tf.floor(smooth + 0.5)
    middle = color.blend(smooth, image[1:-1, 1:-1], argument)
    rows = tf.concat((image[1:-1, :1], middle, image[1:-1, -1:]), axis=1)
    return tf.concat((image[:1], rows, image[-1:]), axis=0)


def shear_x(image: tf.Tensor, argument: tf.Tensor, fill: Fill) -> tf.Tensor:
    """Shift each row by the argument times its distance from the top."""
    return _affine(image, (1.0, argument, 0.0, 0.0, 1.0, 0.0), fill)


def shear_y(image: tf.Tensor, argument: tf.Tensor, fill: Fill) -> tf.Tensor:
    """Shift each column by the argument times its distance from the left."""
    return _affine(image, (1.0, 0.0, 0.0, argument, 1.0, 0.0), fill)


def translate_x(image: tf.Tensor, argument: tf.Tensor, fill: Fill) -> tf.Tensor:
    """Shift to the left by the argument's share of the width."""
    return _affine(image, (1.0, 0.0, argument * tf.cast(tf.shape(image)[1], tf.float32), 0.0, 1.0, 0.0), fill)


def translate_y(image: tf.Tensor, argument: tf.Tensor, fill: Fill) -> tf.Tensor:
    """Shift upwards by the argument's share of the height."""
    return _affine(image, (1.0, 0.0, 0.0, 0.0, 1.0, argument * tf.cast(tf.shape(image)[0], tf.float32)), fill)


def rotate(image: tf.Tensor, argument: tf.Tensor, fill: Fill) -> tf.Tensor:
    """Turn about the centre by the argument in degrees, counter-clockwise."""
    return affine.transform(image, affine.rotate(argument * (math.pi / 180), tf.shape(image)), fill)


def _affine(image: tf.Tensor, mapping: tuple, fill: Fill) -> tf.Tensor:
    return affine.transform(image, tf.stack([tf.cast(number, tf.float32) for number in mapping]), fill)


def _look_up(image: tf.Tensor, table: tf.Tensor) -> tf.Tensor:
    """Each channel through its own column of a table uint8 [256, channels]."""
    channels = image.shape[-1]
    flat = tf.reshape(table, (-1,))
    return tf.gather(flat, tf.cast(image, tf.int32) * channels + tf.range(channels))
