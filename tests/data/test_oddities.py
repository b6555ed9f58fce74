"""Images that are read and show nothing: told, with what to do, before a network is trained on them."""

import numpy as np
import pytest
from pictures import encoded, photo, with_orientation
from PIL import Image

from keras_imagenet.data.images import fault, oddity
from keras_imagenet.data.sources import open_source
from keras_imagenet.data.summary import summary, summary_lines
from keras_imagenet.settings.data import FolderSource


def ink() -> Image.Image:
    """Black strokes on a transparent ground, of which transparency alone tells them."""
    pixels = np.zeros((30, 40, 4), np.uint8)
    pixels[8:20, 10:30, 3] = 255
    return Image.fromarray(pixels, "RGBA")


def grey(bits: int) -> Image.Image:
    """A picture of so many bits in a file of sixteen."""
    values = np.linspace(0, 2**bits - 1, 30 * 40).reshape(30, 40)
    return Image.fromarray(values.astype(np.uint16))


ODD = {
    "ink, PNG": (
        encoded(ink(), "PNG"),
        "every pixel is (0, 0, 0): under what is drawn on a transparent ground, put",
    ),
    "ink, WebP": (encoded(ink(), "WEBP", lossless=True, exact=True), "every pixel is (0, 0, 0)"),
    "one colour": (encoded(Image.new("RGB", (9, 9), (1, 2, 3)), "BMP"), "every pixel is (1, 2, 3)"),
    "12 bits": (
        encoded(grey(12), "PNG"),
        "16-bit PNG that uses 12 bits, where the upper 8 are read: multiply its values by 16",
    ),
    "8 bits": (encoded(grey(8), "PNG"), "16-bit PNG that uses 8 bits"),
}
USUAL = [
    encoded(photo(30, 40)),
    with_orientation(photo(30, 40), 6),
    encoded(photo(30, 40), "PNG"),
    encoded(photo(30, 40).convert("LA"), "PNG"),
    encoded(grey(16), "PNG"),
    encoded(grey(15), "PNG"),
]


@pytest.mark.parametrize("name", ODD)
def test_images_that_show_nothing_are_told(name):
    content, reason = ODD[name]
    assert fault(content) is None
    assert oddity(content).startswith(reason)


def test_of_usual_images_nothing_is_told():
    assert [oddity(content) for content in USUAL] == [None] * len(USUAL)


def test_data_names_them(tmp_path):
    for label in ("ant", "bee"):
        (tmp_path / label).mkdir()
        (tmp_path / label / "photo.jpg").write_bytes(USUAL[0])
    (tmp_path / "ant" / "ink.png").write_bytes(ODD["ink, PNG"][0])
    content = summary(open_source(FolderSource(name="folder", directory=tmp_path)))
    assert list(content["train"]["odd"]) == ["ant/ink.png"]
    lines = summary_lines(content)
    place = lines.index("  1 that the network will hardly see:")
    assert lines[place + 1].startswith("    ant/ink.png: every pixel is (0, 0, 0)")
