"""What becomes of what a file holds beyond 8 bits of RGB: 16 bits a value, and transparency."""

from typing import NamedTuple

import tensorflow as tf

from keras_imagenet.preset import Colour, Preset

_STRIP = 2**22
"""Pixels that are computed with at a time."""


class Rendering(NamedTuple):
    """How files become 8 bits of RGB.

    smooth_chroma: whether a JPEG's colours that are stored at half the size are interpolated, as Pillow does, or repeated.
    depth: bits that the values of 16-bit PNGs use, of which the upper 8 are read; larger values are white.
    background: the colour on which the transparency of PNG and WebP is laid; None drops it.
    """

    smooth_chroma: bool = True
    depth: int = 16
    background: Colour | None = None


def rendering_of(preset: Preset) -> Rendering:
    """A preset's. An average sees each colour where it is stored; what is interpolated between is for kernels that sample points."""
    return Rendering(preset.kernel != "area", preset.depth, preset.background)


def rendered(pixels: tf.Tensor, rendering: Rendering) -> tf.Tensor:
    """Decoded values, uint8 or uint16 [h, w, 3], or [h, w, 4] with alpha last, which is laid on the background: uint8 [h, w, 3].

    alpha uses all of its bits, whatever the depth of the colours.
    """

    def act(strip: tf.Tensor) -> tf.Tensor:
        colours, alpha = strip[..., :3], strip[..., 3:]
        if strip.dtype == tf.uint16:
            colours, alpha = _upper_8(colours, rendering.depth), _upper_8(alpha, 16)
        return colours if strip.shape[-1] == 3 else _laid(colours, alpha, rendering.background)

    height, width = tf.shape(pixels)[0], tf.shape(pixels)[1]
    thickness = tf.maximum(_STRIP // width, 1)
    count = -(-height // thickness)

    def step(number: tf.Tensor, results: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
        return number + 1, results.write(number, act(pixels[number * thickness : (number + 1) * thickness]))

    results = tf.TensorArray(tf.uint8, size=count, infer_shape=False, element_shape=(None, None, 3))
    _, results = tf.while_loop(lambda number, _: number < count, step, (tf.constant(0), results), parallel_iterations=1)
    return tf.ensure_shape(results.concat(), (None, None, 3))


def _upper_8(values: tf.Tensor, depth: int) -> tf.Tensor:
    """The upper 8 bits, uint8, of values of `depth` bits, uint16."""
    values = tf.minimum(values, tf.constant(2**depth - 1, tf.uint16))
    shift = tf.constant(abs(depth - 8), tf.uint16)
    moved = tf.bitwise.right_shift(values, shift) if depth >= 8 else tf.bitwise.left_shift(values, shift)
    return tf.cast(moved, tf.uint8)


def _laid(colours: tf.Tensor, alpha: tf.Tensor, background: Colour) -> tf.Tensor:
    """Colours, uint8 [h, w, 3], over a background as alpha, uint8 [h, w, 1], says, rounded as Pillow's alpha_composite (AlphaComposite.c).

    Sums of shares of 255 fit into 16 bits.
    """
    alpha, ground = tf.cast(alpha, tf.uint16), tf.constant(background, tf.uint16)
    sums = tf.cast(colours, tf.uint16) * alpha + ground * (255 - alpha) + 128
    eight = tf.constant(8, tf.uint16)
    return tf.cast(tf.bitwise.right_shift(sums + tf.bitwise.right_shift(sums, eight), eight), tf.uint8)
