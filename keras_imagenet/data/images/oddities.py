"""Images that can be read, and yet the network will hardly see what people do."""

import numpy as np
import tensorflow as tf

from keras_imagenet.data.images.decoding import traced_decode

_FEW_BITS = 14
"""A picture of 16 bits that uses no more than these loses its lower half to the shadows."""


def oddity(encoded: bytes, pixels: np.ndarray | None = None) -> str | None:
    """What is odd about an image, and what to do about it outside, in one line; None if nothing is.

    Args:
        encoded: the bytes of a file that has no fault.
        pixels: what it is decoded to, uint8 [h, w, 3], where that is known already.
    """
    if encoded[:4] == b"\x89PNG" and encoded[24:25] == b"\x10":  # IHDR's bit depth
        bits = int(np.max(tf.io.decode_png(encoded, dtype=tf.uint16))).bit_length()
        if bits <= _FEW_BITS:
            return f"16-bit PNG that uses {bits} bits, where the upper 8 are read: multiply its values by {2 ** (16 - bits)}"
    pixels = traced_decode(tf.constant(encoded)).numpy() if pixels is None else pixels
    if (pixels == pixels[0, 0]).all():
        colour = ", ".join(map(str, pixels[0, 0]))
        return f"every pixel is ({colour}): under what is drawn on a transparent ground, put a background; only colours are read"
    return None
