"""Each operation that the random policies choose from, with Pillow's arithmetic.

Every one takes an image uint8 [h, w, c], an argument (float32 scalar; its meaning is each operation's own) and the colour
that fills what has no pixels; and gives uint8 [h, w, c].

What changes values by themselves is arithmetic on whole arrays, and only equalize looks values up: TensorFlow's gather
takes some 5 ns a value, several times an addition or a bitwise operation. For the same reason there are no tf.where on
uint8 and no broadcasts along the channels; rows of all channels, [h, w c], take their place.
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
    varied = high > low
    scale = tf.where(varied, 255 / (high - low), 1.0)
    shift = tf.where(varied, -low * scale, 0.0)
    scaled = tf.floor(tf.cast(_rows(image), tf.float64) * _each(scale, image) + _each(shift, image))
    stretched = tf.raw_ops.ClipByValue(
        t=scaled, clip_value_min=tf.zeros((), tf.float64), clip_value_max=tf.constant(255, tf.float64)
    )
    return tf.reshape(tf.cast(stretched, tf.uint8), tf.shape(image))


def equalize(image: tf.Tensor, argument: tf.Tensor, fill: Fill) -> tf.Tensor:
    """Spread each channel's values so that all are about equally frequent (ImageOps.equalize)."""
    channels = image.shape[-1]
    places = tf.cast(_rows(image), tf.int32) + _each(256 * tf.range(channels), image)
    counts = tf.math.bincount(tf.reshape(places, (-1,)), minlength=256 * channels, maxlength=256 * channels)
    counts = tf.reshape(counts, (channels, 256))
    highest = tf.cast(tf.reduce_max(image, axis=(0, 1)), tf.int32)
    last = tf.gather(counts, highest, batch_dims=1)
    step = ((tf.reduce_sum(counts, axis=1) - last) // 255)[:, tf.newaxis]
    before = step // 2 + tf.cumsum(counts, axis=1, exclusive=True)
    table = tf.where(step > 0, tf.minimum(before // tf.maximum(step, 1), 255), tf.range(256))
    return tf.reshape(tf.gather(tf.cast(tf.reshape(table, (-1,)), tf.uint8), places), tf.shape(image))


def invert(image: tf.Tensor, argument: tf.Tensor, fill: Fill) -> tf.Tensor:
    """255 minus each value."""
    return tf.bitwise.invert(image)


def posterize(image: tf.Tensor, argument: tf.Tensor, fill: Fill) -> tf.Tensor:
    """Keep the `argument` highest bits (0 to 8)."""
    dropped = tf.cast(8 - argument, tf.int32)
    kept = tf.bitwise.left_shift(tf.bitwise.right_shift(255, dropped), dropped)
    return tf.bitwise.bitwise_and(image, tf.cast(kept, tf.uint8))


def solarize(image: tf.Tensor, argument: tf.Tensor, fill: Fill) -> tf.Tensor:
    """Invert the values that are at least the argument (0 to 256)."""
    threshold = tf.cast(tf.math.ceil(argument), tf.int32)
    chosen = tf.cast(image >= tf.cast(tf.clip_by_value(threshold, 0, 255), tf.uint8), tf.uint8)
    # 255 - v is v with every bit turned; past 255 nothing is.
    return tf.bitwise.bitwise_xor(image, chosen * tf.where(threshold <= 255, tf.constant(255, tf.uint8), 0))


def solarize_add(image: tf.Tensor, argument: tf.Tensor, fill: Fill) -> tf.Tensor:
    """Add the argument (0 to 128) to the values below 128."""
    return image + tf.cast(image < 128, tf.uint8) * tf.cast(argument, tf.uint8)


def brightness(image: tf.Tensor, argument: tf.Tensor, fill: Fill) -> tf.Tensor:
    """Blend with black; the argument is the image's share, 1 leaves it as it is."""
    return color.brightness(image, argument)


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
    return affine.shear(image, argument, fill)


def shear_y(image: tf.Tensor, argument: tf.Tensor, fill: Fill) -> tf.Tensor:
    """Shift each column by the argument times its distance from the left."""
    return _transposed(affine.shear(_transposed(image), argument, fill))


def translate_x(image: tf.Tensor, argument: tf.Tensor, fill: Fill) -> tf.Tensor:
    """Shift to the left by the argument's share of the width."""
    return affine.shift(image, argument * tf.cast(tf.shape(image)[1], tf.float32), 1, fill)


def translate_y(image: tf.Tensor, argument: tf.Tensor, fill: Fill) -> tf.Tensor:
    """Shift upwards by the argument's share of the height."""
    return affine.shift(image, argument * tf.cast(tf.shape(image)[0], tf.float32), 0, fill)


def rotate(image: tf.Tensor, argument: tf.Tensor, fill: Fill) -> tf.Tensor:
    """Turn about the centre by the argument in degrees, counter-clockwise."""
    return affine.transform(image, affine.rotate(argument * (math.pi / 180), tf.shape(image)), fill)


def _transposed(image: tf.Tensor) -> tf.Tensor:
    """Rows as columns."""
    return tf.transpose(image, (1, 0, 2))


def _rows(image: tf.Tensor) -> tf.Tensor:
    """The image as [h, w c]."""
    return tf.reshape(image, (tf.shape(image)[0], -1))


def _each(numbers: tf.Tensor, image: tf.Tensor) -> tf.Tensor:
    """Each channel's number beside each pixel of a row: [w c] from [c]."""
    return tf.tile(numbers, tf.shape(image)[1:2])
