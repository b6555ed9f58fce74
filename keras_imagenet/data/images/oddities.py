"""Images that can be read, and yet the network will hardly see what people do."""

import numpy as np
import tensorflow as tf

from keras_imagenet.data.images.decoding import traced_decode
from keras_imagenet.data.images.rendering import Rendering
from keras_imagenet.preset import colour_of

_LOST_BITS = 2
"""A picture that uses so many bits less than are read loses half of its values, or more, to the shadows."""
_GROUNDS = ("white", "black")


def oddity(encoded: bytes, rendering: Rendering, pixels: np.ndarray | None = None) -> str | None:
    """What is odd about an image, and what setting mends it, in one line; None if nothing is.

    Args:
        encoded: the bytes of a file that has no fault.
        rendering: how it is decoded.
        pixels: what it is decoded to, uint8 [h, w, 3], where that is known already.
    """
    if encoded[:4] == b"\x89PNG" and encoded[24:25] == b"\x10":  # IHDR's bit depth
        bits = int(np.max(tf.io.decode_png(encoded, channels=3, dtype=tf.uint16))).bit_length()
        if 0 < bits <= rendering.depth - _LOST_BITS:
            return f"16-bit PNG that uses {bits} bits, of which {max(bits + 8 - rendering.depth, 0)} are read; give data.depth {bits}"
        if bits > rendering.depth:
            return f"16-bit PNG that uses {bits} bits, more than data.depth {rendering.depth}; what is above is read as white"

    def shows_nothing(pixels: np.ndarray) -> bool:
        return bool((pixels == pixels[0, 0]).all())

    pixels = traced_decode(rendering)(encoded).numpy() if pixels is None else pixels
    if not shows_nothing(pixels):
        return None
    colour = f"every pixel is ({', '.join(map(str, pixels[0, 0]))})"
    for name in _GROUNDS:
        if not shows_nothing(traced_decode(rendering._replace(background=colour_of(name)))(encoded).numpy()):
            return f"{colour} where transparency is {'laid on it' if rendering.background else 'dropped'}; give data.background {name}"
    return colour
