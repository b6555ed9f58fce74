"""JPEGs that take a few bytes and long to decode: refused in one line, in the SavedModel too; what only looks so is read."""

import re
import time

import numpy as np
import pytest
import tensorflow as tf
from pictures import encoded, photo, pillows, with_orientation

from keras_imagenet.data.images import decode, evaluation_crops, fault, random_resized_crops, servable_evaluation_crop
from keras_imagenet.preset import Preset

PHOTO = photo(150, 200)
APPLICATION = b"\xff\xe4\0\x02"


def progressive(scans: int) -> bytes:
    """A progressive JPEG whose last scan, with its table, stands there again and again."""
    content = encoded(PHOTO, progressive=True)
    end = content.rindex(b"\xff\xd9")
    places = [found.start() for found in re.finditer(b"\xff\xda", content)]
    last = content[content.rindex(b"\xff\xc4", 0, places[-1]) : end]
    return content[:end] + last * (scans - len(places)) + content[end:]


def one_colour_a_scan(scans: int) -> bytes:
    """A sequential JPEG whose scans hold one component each, and nearly no data."""
    content = encoded(PHOTO, subsampling=0)
    head = content[: content.index(b"\xff\xda")]
    return head + b"\xff\xda\0\x08\x01\x01\0\0\x3f\0\x7f\x7f" * scans + b"\xff\xd9"


def spread_out(content: bytes) -> bytes:
    """With segments before the tables, so that the pixels begin late."""
    return content[:2] + APPLICATION * 100 + content[2:]


@pytest.mark.parametrize("change", [bytes, spread_out])
@pytest.mark.parametrize("bomb", [progressive, one_colour_a_scan])
def test_more_than_a_hundred_scans_are_refused(bomb, change):
    content = change(bomb(2000))
    assert fault(content) == "JPEG of more than 100 scans, which takes minutes to decode"
    preset = Preset(size=(32, 32))
    for crop in (
        lambda: evaluation_crops([content], preset),
        lambda: random_resized_crops([content, encoded(PHOTO)], tf.constant([(1, 2), (3, 4)]), preset),
        lambda: servable_evaluation_crop(content, preset),
    ):
        with pytest.raises(tf.errors.InvalidArgumentError, match="more than 100 scans"):
            crop()


@pytest.mark.parametrize(
    "content",
    [
        progressive(100),
        encoded(PHOTO) + b"\xff\xda" * 300,
        with_orientation(PHOTO, 6) + b"\xff\xda" * 300,
        spread_out(encoded(PHOTO)) + b"\xff\xda" * 300,
        spread_out(encoded(PHOTO.convert("L"))) + b"\xff\xda" * 300,
    ],
    ids=["a hundred", "a film behind it", "a turned one's film", "many segments", "grey"],
)
def test_photos_with_that_many_or_bytes_that_look_so_are_read(content):
    assert fault(content) is None
    np.testing.assert_array_equal(decode(content), pillows(content))


def test_many_segments_take_no_time():
    content = encoded(PHOTO)
    content = content[:2] + APPLICATION * 300_000 + content[2:]
    begin = time.perf_counter()
    assert fault(content) is None
    assert time.perf_counter() - begin < 5
