"""Why an image cannot be decoded, in words that name the format found."""

import tensorflow as tf

from keras_imagenet.data.images.declared import MAXIMUM_PIXELS
from keras_imagenet.data.images.decoding import traced_decode
from keras_imagenet.data.images.jpeg import MOST_SCANS

_SUPPORTED = {b"\xff\xd8\xff": "JPEG", b"\x89PNG": "PNG", b"BM": "BMP", b"GIF8": "GIF"}

_UNSUPPORTED = {
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "BigTIFF",
    b"MM\0+": "BigTIFF",
    b"\0\0\0\x0cjP  ": "JPEG 2000",
    b"\xff\x4f\xff\x51": "JPEG 2000",
    b"\xff\x0a": "JPEG XL",
    b"\0\0\0\x0cJXL ": "JPEG XL",
    b"8BPS": "Photoshop",
    b"%PDF": "PDF",
    b"%!PS": "PostScript",
    b"PK\x03\x04": "ZIP archive",
    b"\x1f\x8b": "gzip archive",
    b"\0\0\x01\0": "Windows icon",
    b"v/1\x01": "OpenEXR",
    b"#?RADIANCE": "Radiance HDR",
    b"DDS ": "DirectDraw surface",
    b"SIMPLE  =": "FITS",
    b"\x89HDF": "HDF5",
    b"\x93NUMPY": "NumPy array",
}

_BRANDS = {
    b"avif": "AVIF",
    b"avis": "AVIF",
    b"heic": "HEIC",
    b"heix": "HEIC",
    b"hevc": "HEIC",
    b"heim": "HEIC",
    b"mif1": "HEIF",
    b"msf1": "HEIF",
    b"qt  ": "QuickTime video",
}

_WANTED = "give JPEG, PNG, BMP, GIF or WebP"


def fault(encoded: bytes) -> str | None:
    """Why an image cannot be decoded; None if it can.

    The image is decoded by the operations that training and serving use, so this answer is theirs. A declared size that
    would exhaust memory is refused before decoding.

    Args:
        encoded: the bytes of a file.
    """
    if not encoded:
        return "empty file"
    name = format_name(encoded)
    if name not in {*_SUPPORTED.values(), "WebP"}:
        return f"{name}, which is not supported; {_WANTED}"
    try:
        traced_decode()(tf.constant(encoded))
    except (tf.errors.InvalidArgumentError, tf.errors.ResourceExhaustedError, tf.errors.DataLossError) as error:
        return _reason(name, encoded, str(error))
    return None


def format_name(encoded: bytes) -> str:
    """The name of the format that the first bytes show, such as 'JPEG', 'TIFF' or 'text'."""
    for start, name in (_SUPPORTED | _UNSUPPORTED).items():
        if encoded.startswith(start):
            return name
    if encoded[:4] == b"RIFF" and encoded[8:12] == b"WEBP":
        return "WebP"
    if encoded[4:8] == b"ftyp":
        return _BRANDS.get(encoded[8:12], "MPEG-4 media")
    return _text_name(encoded[:512]) or f"unknown format (it starts with {encoded[:4].hex(' ')})"


def _text_name(head: bytes) -> str | None:
    if not any(head):
        return "zero bytes"
    try:
        text = head[: len(head) - 3 if len(head) == 512 else None].decode("utf-8")
    except UnicodeDecodeError:
        return None
    if any(ord(letter) < 32 and letter not in "\t\r\n\f" for letter in text):
        return None
    start = text.lstrip("\ufeff \t\r\n").lower()
    if "<svg" in start:
        return "SVG"
    return "HTML" if start.startswith(("<!doctype html", "<html")) else "text"


def _reason(name: str, encoded: bytes, message: str) -> str:
    # In full: the message also quotes lines of this package.
    if f"above {MAXIMUM_PIXELS} pixels" in message:
        return f"{name} that declares no pixels or more than {MAXIMUM_PIXELS:,}"
    if f"more than {MOST_SCANS} scans" in message:
        return f"JPEG of more than {MOST_SCANS} scans, which takes minutes to decode"
    if name == "JPEG" and b"\xff\xd9" not in encoded[-1024:]:
        return "truncated JPEG: its end is missing"
    return f"damaged {name}" if name != "BMP" else "BMP that is damaged, compressed, or of 1, 4 or 16 bits a pixel"
