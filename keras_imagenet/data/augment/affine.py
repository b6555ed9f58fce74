"""Affine maps of an image, written as Pillow's Image.transform takes them: from output to input coordinates.

A map is float32 [6], (a, b, c, d, e, f): the output pixel whose centre is (x + 0.5, y + 0.5) takes its value from
(a x + b y + c, d x + e y + f), again of centres.
"""

import tensorflow as tf


def rotate(angle: tf.Tensor, shape: tf.Tensor) -> tf.Tensor:
    """A turn about the centre by an angle in radians, counter-clockwise where it is positive, as Pillow's rotate."""
    cosine, sine = tf.cos(angle), tf.sin(angle)
    middle_y, middle_x = tf.unstack(tf.cast(shape[:2], tf.float32) / 2)
    return tf.stack(
        (
            cosine,
            -sine,
            middle_x - cosine * middle_x + sine * middle_y,
            sine,
            cosine,
            middle_y - sine * middle_x - cosine * middle_y,
        )
    )


def transform(
    image: tf.Tensor, mapping: tf.Tensor, fill: tuple[int, ...], interpolation: str = "BILINEAR"
) -> tf.Tensor:
    """An image uint8 [h, w, c] under a map; output pixels whose source lies outside take the fill's colour.

    The border follows Pillow: a source within the image but beyond the outermost centres repeats the edge.
    """
    a, b, c, d, e, f = tf.unstack(mapping)
    size = tf.shape(image)[:2]
    # The operation samples corners' coordinates: shift by half a pixel on both sides.
    half = tf.stack((a, b, c + (a + b - 1) / 2, d, e, f + (d + e - 1) / 2, tf.zeros(()), tf.zeros(())))
    warped = tf.raw_ops.ImageProjectiveTransformV3(
        images=tf.cast(image, tf.float32)[tf.newaxis],
        transforms=half[tf.newaxis],
        output_shape=size,
        fill_value=0.0,
        interpolation=interpolation,
        fill_mode="NEAREST",
    )[0]
    warped = tf.cast(warped + 1e-3, tf.uint8)  # cut off, as Pillow does; the summand outweighs rounding errors
    return _filled_outside(warped, _known(mapping, image), fill, image)


def shear(image: tf.Tensor, factor: tf.Tensor, fill: tuple[int, ...]) -> tf.Tensor:
    """As `transform` for the map (1, factor, 0, 0, 1, 0): each row moves by the factor times its distance from the top.

    Rows are cut out of themselves, which takes less than half the time of the transform that knows any map.
    """
    height, width = tf.shape(image)[0], tf.shape(image)[1]
    rows, columns = tf.cast(height, tf.float32), tf.cast(width, tf.float32)
    amount = factor * tf.range(0.5, rows)
    # Each row is an image of its own with its border repeated; boxes are in shares of the distance of its outer centres.
    padded = tf.concat((image[:, :1], image, image[:, -1:]), axis=1)[:, tf.newaxis]
    left, zeros = (amount + 1) / (columns + 1), tf.zeros_like(amount)
    moved = tf.image.crop_and_resize(
        padded,
        tf.stack((zeros, left, zeros, left + (columns - 1) / (columns + 1)), axis=1),
        tf.range(height),
        tf.stack((1, width)),
    )
    source = tf.repeat(tf.range(0.5, columns), image.shape[-1]) + amount[:, tf.newaxis]
    return _filled_outside(tf.cast(moved + 1e-3, tf.uint8), (source >= 0) & (source < columns), fill, image)


def shift(image: tf.Tensor, amount: tf.Tensor, axis: int, fill: tuple[int, ...]) -> tf.Tensor:
    """As `transform` for the map that takes each pixel from `amount` (float32) pixels further along an axis, 0 or 1."""
    along_rows = axis == 0
    size = tf.shape(image)[axis]
    extent = tf.cast(size, tf.float32)
    amount = tf.clip_by_value(amount, -extent, extent)
    # Output i has its source i + 0.5 + amount within [0, size) from `first` to before `stop`.
    first = tf.clip_by_value(tf.cast(tf.math.ceil(-amount - 0.5), tf.int32), 0, size)
    stop = tf.clip_by_value(tf.cast(tf.math.ceil(extent - amount - 0.5), tf.int32), first, size)
    whole = tf.floor(amount)
    edges = (image[:1], image[-1:]) if along_rows else (image[:, :1], image[:, -1:])
    padded = tf.concat((edges[0], image, edges[1]), axis=axis)  # several times faster than tf.pad(mode="SYMMETRIC")
    start = first + tf.cast(whole, tf.int32) + 1

    def part(offset: int) -> tf.Tensor:
        found = slice(start + offset, start + offset + stop - first)
        return padded[found] if along_rows else padded[:, found]

    def between() -> tf.Tensor:
        near, far = tf.cast(part(0), tf.float32), tf.cast(part(1), tf.float32)
        return tf.cast(near + (amount - whole) * (far - near) + 1e-3, tf.uint8)

    moved = tf.cond(amount > whole, between, lambda: part(0))
    before, after = (_filled(fill, image, axis, count) for count in (first, size - stop))
    return tf.ensure_shape(tf.concat((before, moved, after), axis=axis), image.shape)


def _filled(fill: tuple[int, ...], image: tf.Tensor, axis: int, count: tf.Tensor) -> tf.Tensor:
    """`count` rows (axis 0) or columns (axis 1) of the fill's colour: uint8 [count, w, c] or [h, count, c]."""
    height, width = (count, tf.shape(image)[1]) if axis == 0 else (tf.shape(image)[0], count)
    row = tf.tile(tf.constant(fill, tf.uint8), (width,))
    return tf.reshape(tf.tile(row, (height,)), (height, width, len(fill)))


def _filled_outside(pixels: tf.Tensor, known: tf.Tensor, fill: tuple[int, ...], image: tf.Tensor) -> tf.Tensor:
    """Pixels uint8, as many as the image's and in its shape, with the fill's colour where `known`, bool [h, w c], is false."""
    colour = tf.tile(tf.constant(fill, tf.uint8), tf.shape(image)[1:2])
    chosen = tf.cast(known, tf.uint8) * 255
    rows = tf.reshape(pixels, tf.shape(known))
    mixed = tf.bitwise.bitwise_xor(colour, tf.bitwise.bitwise_and(chosen, tf.bitwise.bitwise_xor(rows, colour)))
    return tf.ensure_shape(tf.reshape(mixed, tf.shape(image)), image.shape)


def _known(mapping: tf.Tensor, image: tf.Tensor) -> tf.Tensor:
    """Whether an output value has its source within the image: bool [h, w c]."""
    height, width = tf.unstack(tf.cast(tf.shape(image)[:2], tf.float32))
    x = tf.repeat(tf.range(0.5, width), image.shape[-1])
    y = tf.range(0.5, height)[:, tf.newaxis]
    source_x = mapping[0] * x + (mapping[1] * y + mapping[2])
    source_y = mapping[3] * x + (mapping[4] * y + mapping[5])
    return (source_x >= 0) & (source_x < width) & (source_y >= 0) & (source_y < height)
