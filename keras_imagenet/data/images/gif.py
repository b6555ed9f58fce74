"""GIF (GIF89a specification, 1990): the first frame, cut out of the file before anything is decoded.

TensorFlow's operation decodes all frames of an animation, and needs memory for all, to give one.
"""

import tensorflow as tf

from keras_imagenet.data.images.declared import assert_size
from keras_imagenet.data.images.fields import number, piece
from keras_imagenet.data.images.tracing import traced_once

_EXTENSION, _CONTROL, _IMAGE = 0x21, 0xF9, 0x2C
_MOST_STEPS = 10_000
"""Steps that are taken from block to block. One goes over up to _RUN blocks of equal length, as an image's mostly are."""
_RUN = 1024
_SPARE = 16
"""Zeros behind the end, so that fields there can be read."""


@traced_once
def decode_gif(encoded: tf.Tensor) -> tf.Tensor:
    """The first frame on the file's canvas, uint8 [h, w, 3] of a string scalar; transparent colours are shown.

    As Pillow has it: the canvas grows where the frame lies beyond it, and what the frame leaves free has the transparent
    colour, or else the palette's first.

    Raises tf.errors.InvalidArgumentError for damaged bytes.
    """
    values = _values(encoded)
    image, control, steps = _first_image(values)
    corner, extent, size = _places(encoded, image)
    with tf.control_dependencies([assert_size(size), assert_size(extent)]):
        stop, _ = _skip_blocks(values, image + 10 + _palette_length(values, image + 9) + 1, steps)
    head = piece(encoded, 0, 13 + _palette_length(values, 10))
    # At the corner, and without what extensions say, the operation gives the whole frame in its colours.
    still = head + b",\0\0\0\0" + piece(encoded, image + 5, stop - image - 5) + b"\0;"
    pixels = tf.ensure_shape(tf.io.decode_gif(still)[0], (None, None, 3))

    def on_canvas() -> tf.Tensor:
        free = _colour(values, image, control)
        paddings = tf.concat((tf.stack((corner, size - corner - extent), axis=1), [[0, 0]]), axis=0)
        return tf.pad(pixels - free, paddings) + free  # modulo 256: Pad fills with one number only

    return tf.cond(tf.reduce_all(extent == size), lambda: pixels, on_canvas)


@traced_once
def declared_size(encoded: tf.Tensor) -> tf.Tensor:
    """Height and width of what decode_gif gives, int32 [2]. Raises tf.errors.InvalidArgumentError where no image begins."""
    return _places(encoded, _first_image(_values(encoded))[0])[2]


def _values(encoded: tf.Tensor) -> tf.Tensor:
    return tf.pad(tf.io.decode_raw(encoded, tf.uint8), [[0, _SPARE]])


def _first_image(values: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Where the first image's descriptor and the control block before it begin (0 if there is none), and steps taken."""

    def goes_on(offset: tf.Tensor, control: tf.Tensor, steps: tf.Tensor) -> tf.Tensor:
        return (values[offset] == _EXTENSION) & (steps < _MOST_STEPS)

    def step(offset: tf.Tensor, control: tf.Tensor, steps: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        stop, taken = _skip_blocks(values, offset + 2, steps + 1)
        return stop + 1, tf.where(values[offset + 1] == _CONTROL, offset, control), taken

    start = tf.minimum(13 + _palette_length(values, 10), _length(values))
    offset, control, steps = tf.while_loop(goes_on, step, (start, tf.constant(0), tf.constant(0)))
    check = tf.raw_ops.Assert(condition=values[offset] == _IMAGE, data=["GIF without an image"])
    with tf.control_dependencies([check]):
        return tf.identity(offset), control, steps


def _skip_blocks(values: tf.Tensor, offset: tf.Tensor, steps: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The offset of the empty block that ends a sequence of blocks, or of the file's end, and steps taken until there."""

    def goes_on(offset: tf.Tensor, steps: tf.Tensor) -> tf.Tensor:
        return (values[offset] > 0) & (steps < _MOST_STEPS)

    def step(offset: tf.Tensor, steps: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        stride = tf.cast(values[offset], tf.int32) + 1
        is_equal = values[offset : offset + _RUN * stride : stride] == values[offset]
        run = tf.reduce_sum(tf.math.cumprod(tf.cast(is_equal, tf.int32)))
        return tf.minimum(offset + run * stride, _length(values)), steps + 1

    return tf.while_loop(goes_on, step, (tf.minimum(offset, _length(values)), steps))


def _places(encoded: tf.Tensor, image: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """The first frame's corner and extent, and the canvas that holds it, int32 [2] each, rows before columns."""
    left, top, width, height = (number(encoded, image + at, 2, little=True) for at in (1, 3, 5, 7))
    screen = tf.stack((number(encoded, 8, 2, little=True), number(encoded, 6, 2, little=True)))
    corner, extent = tf.stack((top, left)), tf.stack((height, width))
    return corner, extent, tf.maximum(screen, corner + extent)


def _palette_length(values: tf.Tensor, flags_at: tf.Tensor | int) -> tf.Tensor:
    """Bytes of the palette that a flags' byte announces, int32."""
    flags = tf.cast(values[flags_at], tf.int32)
    return tf.where(flags >= 128, 3 * tf.bitwise.left_shift(2, flags % 8), 0)


def _colour(values: tf.Tensor, image: tf.Tensor, control: tf.Tensor) -> tf.Tensor:
    """The transparent colour, or else the palette's first, uint8 [3]."""
    is_transparent = (control > 0) & (values[control + 3] % 2 == 1)
    index = tf.where(is_transparent, tf.cast(values[control + 6], tf.int32), 0)
    palette = tf.where(_palette_length(values, image + 9) > 0, image + 10, 13)
    first = tf.minimum(palette + 3 * index, _length(values))
    return values[first : first + 3]


def _length(values: tf.Tensor) -> tf.Tensor:
    return tf.size(values) - _SPARE
