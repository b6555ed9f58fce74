"""Animations: the first frame, as Pillow shows it, cut out of the file before anything is decoded."""

import struct
import time

import numpy as np
import pytest
import tensorflow as tf
from pictures import encoded, photo, pillows, webp_chunk, webp_of
from PIL import Image

from keras_imagenet.data.images import decode, fault, servable_evaluation_crop
from keras_imagenet.preset import Preset

FRAMES = [photo(30, 40), photo(30, 40).transpose(Image.Transpose.ROTATE_180), Image.new("RGB", (40, 30), (9, 80, 200))]


def translucent(image: Image.Image) -> Image.Image:
    """With an alpha channel of all values."""
    return Image.merge("RGBA", (*image.split(), Image.linear_gradient("L").resize(image.size)))


def animated_webp(frames: list[Image.Image], **options) -> bytes:
    return encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:], **options)


def framed_webp(frame: Image.Image, canvas: tuple[int, int], corner: tuple[int, int], **options) -> bytes:
    """An animation whose frames lie in a part of its canvas; width and height, left and top."""
    still = encoded(frame, "WEBP", **options)
    still = still[30:] if still[12:16] == b"VP8X" else still[12:]
    bits = [
        struct.pack("<I", number)[:3] for number in (corner[0] // 2, corner[1] // 2, frame.width - 1, frame.height - 1)
    ]
    flags = 0x12 if frame.mode == "RGBA" else 0x02
    head = struct.pack("<I", flags) + b"".join(struct.pack("<I", side - 1)[:3] for side in canvas)
    animation = webp_chunk(b"ANMF", b"".join(bits) + struct.pack("<I", 40) + still)
    return webp_of(webp_chunk(b"VP8X", head), webp_chunk(b"ANIM", bytes(6)), animation, animation)


WEBP = {
    "opaque": animated_webp(FRAMES),
    "opaque lossless": animated_webp(FRAMES, lossless=True),
    "alpha": animated_webp([translucent(image) for image in FRAMES]),
    "alpha lossless": animated_webp([translucent(image) for image in FRAMES], lossless=True),
    "mixed": animated_webp(FRAMES, allow_mixed=True),
    "some alpha": animated_webp([FRAMES[0], translucent(FRAMES[1])], minimize_size=True),
    "part": framed_webp(FRAMES[0], (61, 50), (20, 12)),
    "part with alpha": framed_webp(translucent(FRAMES[0]), (60, 50), (2, 4)),
}


@pytest.mark.parametrize("name", WEBP)
def test_an_animated_webp_is_its_first_frame(name):
    content = WEBP[name]
    assert b"ANMF" in content
    assert fault(content) is None
    np.testing.assert_array_equal(decode(content), pillows(content))


def test_no_animated_webp_reaches_tensorflows_decoder(python, tmp_path):
    """It overruns its memory; a served model decodes them too, in a process that must not die."""

    class Served(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([], tf.string)])
        def crop(self, image):
            return servable_evaluation_crop(image, Preset(size=(16, 16), fit="pad"))

    content = animated_webp(FRAMES)
    tf.saved_model.save(Served(), str(tmp_path / "served"))
    (tmp_path / "animated.webp").write_bytes(content)
    program = """
import sys, tensorflow as tf
content = open(sys.argv[2], "rb").read()
served = tf.saved_model.load(sys.argv[1])
for cut in (*[len(content)] * 20, *range(20, len(content), 97)):
    try:
        served.crop(tf.constant(content[:cut]))
    except tf.errors.InvalidArgumentError:
        assert cut < len(content)
print("alive")
"""
    done = python(program, tmp_path / "served", tmp_path / "animated.webp")
    assert done.returncode == 0, done.stderr[-300:]
    assert done.stdout == "alive\n"


def framed_gif(frames: list[Image.Image], canvas: tuple[int, int], corner: tuple[int, int], **options) -> bytes:
    """Frames with a palette of their own each, on a canvas; width and height, left and top."""
    blocks = []
    for frame in frames:
        still = encoded(frame, "GIF", **options)
        palette = still[13 : 13 + 3 * 2 ** (still[10] % 8 + 1)]
        place = still.index(b",", 13 + len(palette))
        flags = bytes([still[place + 9] & 0x40 | 0x80 | still[10] % 8])
        size = still[place + 5 : place + 9]
        extensions = still[13 + len(palette) : place]
        blocks.append(extensions + b"," + struct.pack("<HH", *corner) + size + flags + palette + still[place + 10 : -1])
    return b"GIF89a" + struct.pack("<HHBBB", *canvas, 0, 0, 0) + b"".join(blocks) + b";"


PALETTED = [frame.quantize(60) for frame in FRAMES]
GIF = {
    "whole": encoded(PALETTED[0], "GIF", save_all=True, append_images=PALETTED[1:]),
    "interlaced": encoded(PALETTED[0], "GIF", save_all=True, append_images=PALETTED[1:], interlace=1),
    "transparent": encoded(PALETTED[0], "GIF", save_all=True, append_images=PALETTED[1:], transparency=5),
    "comment": encoded(PALETTED[0], "GIF", save_all=True, append_images=PALETTED[1:], comment=b"text, " * 999),
    "part": framed_gif(PALETTED, (61, 50), (20, 12)),
    "part, transparent": framed_gif(PALETTED, (61, 50), (20, 12), transparency=5),
    "beyond the canvas": framed_gif(PALETTED, (30, 20), (5, 7)),
    "no canvas": framed_gif(PALETTED, (0, 0), (0, 0)),
    "grey": framed_gif([photo(30, 40).convert("L")] * 2, (50, 60), (1, 2)),
}


@pytest.mark.parametrize("name", GIF)
def test_an_animated_gif_is_its_first_frame(name):
    for content in (GIF[name], GIF[name][:-1]):
        assert fault(content) is None
        np.testing.assert_array_equal(decode(content), pillows(content))


def many_frames(kind: str, count: int) -> bytes:
    """Two thousand pixels square, one colour, a few kilobytes a frame."""
    frame = Image.new("RGB", (2000, 2000), (9, 80, 200))
    if kind == "GIF":
        one = framed_gif([frame.quantize(2)], frame.size, (0, 0))
        return one[:13] + one[13:-1] * count + b";"
    one = framed_webp(frame, frame.size, (0, 0), lossless=True)
    start = one.index(b"ANMF")
    return webp_of(one[12:start] + one[start : start + (len(one) - start) // 2] * count)


@pytest.mark.parametrize("kind", ["GIF", "WebP"])
def test_frames_behind_the_first_take_no_memory(kind, python, tmp_path):
    (tmp_path / "image").write_bytes(many_frames(kind, 300))
    program = """
import resource, sys
from keras_imagenet.data.images import fault
content = open(sys.argv[1], "rb").read()
assert fault(content[:100]) is not None
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
assert fault(content) is None
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    done = python(program, tmp_path / "image")
    assert done.returncode == 0, done.stderr[-300:]
    assert int(done.stdout) < 100_000  # kilobytes; a frame is 12 MB, 300 are 1,200 to 4,800 MB


def test_a_gif_in_small_pieces_is_read_or_refused_soon():
    whole = GIF["whole"]
    start = whole.index(b",", 13) + 11
    content = whole[:start] + b"\x01\x07\x02\x07\x07" * 300_000 + b"\0;"
    begin = time.perf_counter()
    assert fault(content) == "damaged GIF"
    assert time.perf_counter() - begin < 5


@pytest.mark.parametrize("change", ["no frame", "beyond the canvas", "nested", "far away"])
def test_broken_animations_are_refused(change):
    still = encoded(photo(30, 40), "WEBP")[12:]
    head = webp_chunk(b"VP8X", struct.pack("<I", 2) + struct.pack("<I", 39)[:3] + struct.pack("<I", 29)[:3])
    size = struct.pack("<I", 39)[:3] + struct.pack("<I", 29)[:3]
    content = {
        "no frame": webp_of(head, still),
        "beyond the canvas": framed_webp(photo(30, 40), (40, 30), (2, 0)),
        "nested": webp_of(head, webp_chunk(b"ANMF", bytes(6) + size + bytes(4) + head + still)),
        "far away": webp_of(head, *[webp_chunk(b"junk", b"")] * 100_000, webp_chunk(b"ANMF", bytes(16) + still)),
    }[change]
    assert fault(content) == "damaged WebP"
