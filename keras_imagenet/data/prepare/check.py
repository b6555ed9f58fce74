"""One image on its way into a shard: whether it can be decoded, and whether it is stored as it is or anew."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from keras_imagenet.data.prepare.item import Item

if TYPE_CHECKING:
    from keras_imagenet.data.images.rendering import Rendering

DEFAULT_QUALITY = 90
CORRECTED_QUALITY = 100


@dataclass(frozen=True)
class Checked:
    """What came of an image: bytes to store, or the fault that keeps it out.

    digest: 16 bytes of the image as found, for finding copies. change: in words, why the stored bytes are not those found.
    psnr: of the stored JPEG to the pixels it was made from, in dB; None where nothing was coded.
    """

    name: str
    label: int
    digest: bytes
    stored: bytes | None = None
    fault: str | None = None
    change: str | None = None
    psnr: float | None = None


def check(item: Item, max_side: int | None, quality: int | None) -> Checked:
    """Decodes an image as training does, and stores it anew where that is asked for or needed.

    Needed: a JPEG in CMYK, and another format named .jpg, which readers other than ours take wrongly. Asked for: sides
    above max_side; quality without max_side, where that makes it smaller.
    """
    from keras_imagenet.data.images import fault

    digest = blake2b(item.encoded, digest_size=16).digest()
    pixels = None if item.fault is not None else decoded(item.encoded)
    if pixels is None:
        reason = item.fault or fault(item.encoded) or "cannot be decoded"
        return Checked(item.name, item.label, digest, fault=reason)
    size = _shrunk_size(pixels, max_side)
    wrong = _wrongly_named(item)
    if size is not None:
        change, chosen = f"shrunk to fit {max_side} pixels", quality or DEFAULT_QUALITY
        pixels = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))
    elif wrong:
        change, chosen = wrong, CORRECTED_QUALITY
    elif quality is not None and max_side is None:
        change, chosen = f"stored at quality {quality}", quality
    else:
        return Checked(item.name, item.label, digest, stored=item.encoded)
    stored = _encoded(pixels, chosen)
    if size is None and not wrong and len(stored) >= len(item.encoded):
        return Checked(item.name, item.label, digest, stored=item.encoded)
    return Checked(item.name, item.label, digest, stored=stored, change=change, psnr=_psnr(pixels, stored))


def decoded(encoded: bytes, rendering: Rendering | None = None) -> np.ndarray | None:
    """An image's pixels, uint8 [height, width, 3], as training decodes it (by default, if not said how); None if it cannot be."""
    import tensorflow as tf

    from keras_imagenet.data.images.decoding import traced_decode

    try:
        decode = traced_decode() if rendering is None else traced_decode(rendering)
        return decode(tf.constant(encoded)).numpy()
    except (tf.errors.InvalidArgumentError, tf.errors.ResourceExhaustedError, tf.errors.DataLossError):
        return None


def is_cmyk(encoded: bytes) -> bool:
    """Whether a JPEG's frame header (ITU-T T.81, B.2.2) declares four components."""
    position = 2
    while encoded[:2] == b"\xff\xd8" and position + 10 <= len(encoded) and encoded[position] == 0xFF:
        marker = encoded[position + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return encoded[position + 9] == 4
        position += 1 if marker == 0xFF else 2 + int.from_bytes(encoded[position + 2 : position + 4], "big")
    return False


def _wrongly_named(item: Item) -> str | None:
    if not item.encoded.startswith(b"\xff\xd8"):
        return "not a JPEG, though so named" if item.name.lower().endswith((".jpg", ".jpeg")) else None
    return "CMYK made RGB" if is_cmyk(item.encoded) else None


def _shrunk_size(pixels: np.ndarray, max_side: int | None) -> tuple[int, int] | None:
    """Width and height after shrinking; None if the image fits."""
    height, width = pixels.shape[:2]
    if max_side is None or max(height, width) <= max_side:
        return None
    scale = max_side / max(height, width)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _encoded(pixels: np.ndarray, quality: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality, subsampling=0 if quality == 100 else -1)
    return buffer.getvalue()


def _psnr(pixels: np.ndarray, stored: bytes) -> float:
    with Image.open(io.BytesIO(stored)) as image:
        error = np.mean(np.square(np.asarray(image, np.float32) - pixels))
    return 10 * math.log10(255**2 / max(float(error), 1e-4))
