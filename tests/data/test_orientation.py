"""Orientations that a camera noted in a PNG or a WebP: turned as Pillow turns them, in the SavedModel's graph too."""

import struct
import zlib
from functools import cache

import numpy as np
import pytest
import tensorflow as tf
from pictures import encoded, photo, pillows, webp_chunk, webp_of
from PIL import Image

from keras_imagenet.data.images import decode, evaluation_crops, random_resized_crops, servable_evaluation_crop
from keras_imagenet.preset import Preset

IMAGE = photo(30, 40)
PRESET = Preset(size=(16, 24))


def tiff(number: int, order: str = "II", kind: int = 3, count: int = 1) -> bytes:
    """A TIFF structure of two entries, of which the second is the orientation, as a number of two or four bytes."""
    sign = "<" if order == "II" else ">"
    value = struct.pack(sign + "I", number) if kind == 4 else struct.pack(sign + "HH", number, 0)
    entries = struct.pack(sign + "HHII", 256, 4, 1, 40) + struct.pack(sign + "HHI", 274, kind, count) + value
    return order.encode() + struct.pack(sign + "HIH", 42, 8, 2) + entries + bytes(4)


def png(exif: bytes, behind: bool = False) -> bytes:
    """A PNG whose eXIf chunk stands before the pixels or behind them."""
    plain = encoded(IMAGE, "PNG")
    chunk = struct.pack(">I", len(exif)) + b"eXIf" + exif + struct.pack(">I", zlib.crc32(b"eXIf" + exif))
    place = len(plain) - 12 if behind else 33
    return plain[:place] + chunk + plain[place:]


def webp(exif: bytes, flags: int = 8, **options) -> bytes:
    """A WebP whose EXIF chunk stands behind the pixels."""
    sides = b"".join(struct.pack("<I", side - 1)[:3] for side in IMAGE.size)
    head = webp_chunk(b"VP8X", struct.pack("<I", flags) + sides)
    return webp_of(head, encoded(IMAGE, "WEBP", **options)[12:], webp_chunk(b"EXIF", exif))


def animated(kind: str) -> bytes:
    options = {"exif": tiff(6), "save_all": True, "append_images": [Image.new("RGB", (40, 30), (9, 80, 200))]}
    return encoded(IMAGE, kind, **options)


FILES = {
    "PNG": lambda number: png(tiff(number)),
    "PNG, behind the pixels": lambda number: png(tiff(number, "MM"), behind=True),
    "PNG by Pillow": lambda number: encoded(IMAGE, "PNG", exif=tiff(number, "MM")),
    "WebP": lambda number: webp(tiff(number)),
    "lossless WebP": lambda number: webp(tiff(number, "MM"), lossless=True),
    "WebP by Pillow": lambda number: encoded(IMAGE, "WEBP", exif=tiff(number)),
}
MORE = {
    "number of four bytes": png(tiff(6, "MM", kind=4)),
    "number of four bytes, WebP": webp(tiff(8, "II", kind=4)),
    "head as in a JPEG": webp(b"Exif\0\0" + tiff(5)),
    "not announced": webp(tiff(6), flags=0),
    "a byte": png(tiff(6, kind=1)),
    "text": webp(tiff(6, kind=2)),
    "no number": png(tiff(6, count=0)),
    "two numbers": webp(tiff(6, count=2)),
    "absurd": png(tiff(99)),
    "nothing": png(b""),
    "cut off": webp(tiff(6)[:20]),
    "animated PNG": animated("PNG"),
    "animated WebP": animated("WEBP"),
    "behind the end": encoded(IMAGE, "PNG") + b"eXIf" + tiff(6),
}


@cache
def graphs():
    string = [tf.TensorSpec([], tf.string)]
    return [
        tf.function(lambda image: evaluation_crops([image], PRESET)[0], string),
        tf.function(lambda image: servable_evaluation_crop(image, PRESET), string),
        tf.function(lambda image: random_resized_crops([image], tf.constant([(1, 2)]), PRESET)[0], string),
    ]


def upright(content: bytes, expected: np.ndarray) -> None:
    """Whole image and crops are those of the pixels that Pillow shows."""
    np.testing.assert_array_equal(decode(content), expected)
    evaluation, served, training = graphs()
    crop = evaluation_crops([expected], PRESET)[0]
    np.testing.assert_array_equal(evaluation(content), crop)
    np.testing.assert_array_equal(served(content), crop)
    np.testing.assert_array_equal(training(content), random_resized_crops([expected], tf.constant([(1, 2)]), PRESET)[0])


@pytest.mark.parametrize("number", range(1, 9))
@pytest.mark.parametrize("name", FILES)
def test_orientations_of_png_and_webp(name, number):
    content = FILES[name](number)
    upright(content, pillows(content))


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize("name", MORE)
def test_orientations_written_otherwise_or_wrongly(name):
    upright(MORE[name], pillows(MORE[name]))
