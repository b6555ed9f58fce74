"""Whatever looks at a file has an answer for every sequence of bytes: a reason in one line, or pixels."""

import contextlib
from functools import cache

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import encoded, photo, with_orientation
from PIL import Image

from keras_imagenet.data.images import evaluation_crops, fault, random_resized_crops, servable_evaluation_crop
from keras_imagenet.data.images.faults import format_name
from keras_imagenet.data.prepare.check import Item, check, decoded
from keras_imagenet.data.stream import UNREADABLE_ERRORS
from keras_imagenet.preset import Preset

SMALL = photo(9, 12)
FILES = {
    "JPEG": encoded(SMALL),
    "progressive JPEG": encoded(SMALL, progressive=True),
    "turned JPEG": with_orientation(SMALL, 6),
    "PNG": encoded(SMALL, "PNG"),
    "GIF": encoded(SMALL, "GIF"),
    "BMP": encoded(SMALL, "BMP"),
    "palette BMP": encoded(SMALL.quantize(200), "BMP"),
    "WebP": encoded(SMALL, "WEBP"),
    "lossless WebP": encoded(SMALL, "WEBP", lossless=True),
    "animated GIF": encoded(SMALL, "GIF", save_all=True, append_images=[Image.new("RGB", (12, 9))]),
    "animated WebP": encoded(SMALL, "WEBP", save_all=True, append_images=[Image.new("RGB", (12, 9))]),
    "AVIF": b"\0\0\0\x18ftypavif" + bytes(20),
    "text": "één woord, en nog een".encode() * 4,
}
HEADS = [
    content[:length]
    for content in FILES.values()
    for length in (2, 3, 4, 8, 12, 16, 20, 21, 24, 30)
    if len(content) >= 64
]


@cache
def crops():
    """The crops of training, evaluation and the SavedModel, as functions of encoded bytes."""
    preset = Preset(size=(8, 8))
    string = [tf.TensorSpec([], tf.string)]
    return {
        "training": tf.function(lambda image: random_resized_crops([image], tf.constant([(1, 2)]), preset)[0], string),
        "evaluation": tf.function(lambda image: evaluation_crops([image], preset)[0], string),
        "served": tf.function(lambda image: servable_evaluation_crop(image, preset), string),
    }


def answers(content: bytes) -> str | None:
    """The fault, after everything that looks at a file had its say."""
    reason = fault(content)
    assert reason is None or (reason and "\n" not in reason)
    name = format_name(content)
    assert "\n" not in name
    pixels = decoded(content)
    assert (pixels is None) == (reason is not None)
    checked = check(Item("a.jpg", 0, content), 6, None)
    assert checked.fault == reason
    if pixels is not None:
        assert np.asarray(pixels).ndim == 3
    for which, crop in crops().items():
        if reason is None:
            assert crop(content).shape == (8, 8, 3), which
        else:
            with contextlib.suppress(*UNREADABLE_ERRORS):  # a part may be sound
                crop(content)
    return reason


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes(content):
    assert answers(content) is not None


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(HEADS), st.binary(max_size=120))
def test_a_head_and_any_bytes(head, rest):
    answers(head + rest)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(sorted(FILES)), st.data())
def test_a_file_with_any_field(name, data):
    """Bytes in the first hundred written over: the fields of all headers."""
    content = bytearray(FILES[name])
    place = data.draw(st.integers(2, min(100, len(content) - 1)))
    content[place : place + 4] = data.draw(st.binary(min_size=1, max_size=4) | st.just(b"\xff\xff\xff\xff"))
    answers(bytes(content))


@pytest.mark.parametrize("name", FILES)
def test_every_beginning_of_a_file(name):
    for length in range(64):
        assert answers(FILES[name][:length]) is not None or len(FILES[name]) < 80
