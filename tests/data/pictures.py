"""Pictures that tests of images share, made by arithmetic."""

import io
import struct
from functools import cache

import numpy as np
from PIL import Image, ImageOps


@cache
def photo(height: int = 150, width: int = 200) -> Image.Image:
    """A smooth picture with edges, as photos have them."""
    random = np.random.default_rng(3)
    small = Image.fromarray(random.integers(0, 256, (9, 12, 3), np.uint8))
    image = np.array(small.resize((width, height), Image.BICUBIC))
    image[height // 3 : height // 2, width // 4 : width // 2] = (250, 20, 90)
    return Image.fromarray(image)


def encoded(image: Image.Image, kind: str = "JPEG", **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def with_orientation(image: Image.Image, number: int, order: str = "II") -> bytes:
    """A JPEG whose Exif segment stands behind the JFIF one, in either byte order."""
    sign = "<" if order == "II" else ">"
    directory = struct.pack(sign + "HHHIHH", 1, 274, 3, 1, number, 0) + b"\0\0\0\0"
    exif = b"Exif\0\0" + order.encode() + struct.pack(sign + "HI", 42, 8) + directory
    plain = encoded(image, quality=95)
    return plain[:20] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + plain[20:]


def pillows(content: bytes) -> np.ndarray:
    """What Pillow shows of a file, uint8 [h, w, 3]: the first frame, upright, without transparency."""
    return np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(content))).convert("RGB"))


def webp_chunk(kind: bytes, content: bytes) -> bytes:
    """A chunk of a WebP file (RFC 9649 section 2.3), padded to an even length."""
    return kind + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


def webp_of(*chunks: bytes) -> bytes:
    """A WebP file of chunks."""
    return b"RIFF" + struct.pack("<I", 4 + sum(map(len, chunks))) + b"WEBP" + b"".join(chunks)
