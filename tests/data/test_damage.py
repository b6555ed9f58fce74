"""Damaged files of every format: the fault and the crops of training, evaluation and serving agree on what can be read, whatever
depth and background the preset has.

With one exception: where a damaged bit makes a marker of a JPEG's data that is none, decoding all of it fails, and a crop that
ends above it does not. What has no fault can be read by all, and what is cut off by none.
"""

import resource
import time
from functools import cache

import numpy as np
import pytest
import tensorflow as tf
from pictures import encoded, photo, with_orientation
from PIL import Image

from keras_imagenet.data.images import evaluation_crops, fault, random_resized_crops, servable_evaluation_crop
from keras_imagenet.data.stream import UNREADABLE_ERRORS
from keras_imagenet.preset import Preset

IMAGE = photo(60, 80)
MORE = {"save_all": True, "append_images": [IMAGE.transpose(Image.Transpose.ROTATE_180)] * 2}
ALPHA = Image.merge("RGBA", (*IMAGE.split(), Image.linear_gradient("L").resize(IMAGE.size)))
FILES = {
    "JPEG": encoded(IMAGE),
    "progressive JPEG": encoded(IMAGE, progressive=True),
    "turned JPEG": with_orientation(IMAGE, 6),
    "PNG": encoded(IMAGE, "PNG"),
    "PNG of 16 bits": encoded(Image.fromarray(np.asarray(IMAGE.convert("L")).astype(np.uint16) * 257), "PNG"),
    "PNG with a palette and alpha": encoded(IMAGE.quantize(9), "PNG", transparency=bytes(range(0, 252, 28))),
    "animated PNG": encoded(IMAGE, "PNG", **MORE),
    "GIF": encoded(IMAGE, "GIF"),
    "animated GIF": encoded(IMAGE, "GIF", **MORE),
    "WebP": encoded(IMAGE, "WEBP"),
    "lossless WebP": encoded(IMAGE, "WEBP", lossless=True),
    "WebP with alpha": encoded(ALPHA, "WEBP"),
    "animated WebP": encoded(IMAGE, "WEBP", **MORE),
    "BMP": encoded(IMAGE, "BMP"),
}


SEQUENTIAL = {"JPEG", "turned JPEG"}


@cache
def crops():
    string, preset = [tf.TensorSpec([], tf.string)], Preset(size=(16, 16))
    laid = Preset(size=(16, 16), depth=12, background=(9, 99, 199))
    return {
        "training": tf.function(lambda image: random_resized_crops([image], tf.constant([(1, 2)]), preset)[0], string),
        "evaluation": tf.function(lambda image: evaluation_crops([image], preset)[0], string),
        "serving": tf.function(lambda image: servable_evaluation_crop(image, preset), string),
        "on a background": tf.function(lambda image: evaluation_crops([image], laid)[0], string),
    }


def readers(content: bytes) -> dict[str, bool]:
    """Who can read a file."""
    found = {"fault": fault(content) is None}
    for name, crop in crops().items():
        try:
            found[name] = crop(content).shape == (16, 16, 3)
        except UNREADABLE_ERRORS:
            found[name] = False
    return found


def flipped(content: bytes, count: int) -> list[bytes]:
    """The file with one bit turned over, anywhere."""
    random = np.random.default_rng(7)
    files = [bytearray(content) for _ in range(count)]
    for file, place, bit in zip(
        files, random.integers(0, len(content), count), random.integers(0, 8, count), strict=True
    ):
        file[place] ^= 1 << int(bit)
    return [bytes(file) for file in files]


def cut(content: bytes, count: int) -> list[bytes]:
    """The file cut off anywhere."""
    return [content[:length] for length in np.random.default_rng(8).integers(0, len(content), count)]


def agree_on(name: str, flips: int, cuts: int) -> None:
    assert all(readers(FILES[name]).values())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for content in flipped(FILES[name], flips) + cut(FILES[name], cuts):
        begin = time.process_time()
        found = readers(content)
        assert time.process_time() - begin < 10
        below_the_crop = name in SEQUENTIAL and len(content) == len(FILES[name]) and not found["fault"]
        assert len(set(found.values())) == 1 or below_the_crop, (found, content)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**20  # kilobytes


@pytest.mark.parametrize("name", FILES)
def test_a_few_damaged_files(name):
    agree_on(name, 30, 10)


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_many_damaged_files(name):
    agree_on(name, 300, 100)
