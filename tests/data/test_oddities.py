"""Images that are read and show nothing: told, with what to do, before a network is trained on them."""

from pathlib import Path

import numpy as np
import pytest
from pictures import encoded, photo, with_orientation
from PIL import Image

from keras_imagenet.cli import main
from keras_imagenet.data.images import fault, oddity
from keras_imagenet.data.images.rendering import Rendering
from keras_imagenet.data.sources import open_source
from keras_imagenet.data.summary import GLANCED, odd_lines, summary, summary_lines
from keras_imagenet.preset import Preset
from keras_imagenet.settings.data import FolderSource


def ink(shade: int = 0) -> Image.Image:
    """Strokes on a transparent ground of the same colour, of which transparency alone tells them."""
    pixels = np.full((30, 40, 4), (shade, shade, shade, 0), np.uint8)
    pixels[8:20, 10:30, 3] = 255
    return Image.fromarray(pixels, "RGBA")


def grey(bits: int) -> Image.Image:
    """A picture of so many bits in a file of sixteen."""
    values = np.linspace(0, 2**bits - 1, 30 * 40).reshape(30, 40)
    return Image.fromarray(values.astype(np.uint16))


ODD = {
    "ink, PNG": (
        encoded(ink(), "PNG"),
        "every pixel is (0, 0, 0) where transparency is dropped; give data.background white",
    ),
    "ink, WebP": (
        encoded(ink(), "WEBP", lossless=True, exact=True),
        "every pixel is (0, 0, 0) where transparency is dropped; give data.background white",
    ),
    "white ink": (
        encoded(ink(255), "PNG"),
        "every pixel is (255, 255, 255) where transparency is dropped; give data.background black",
    ),
    "one colour": (encoded(Image.new("RGB", (9, 9), (1, 2, 3)), "BMP"), "every pixel is (1, 2, 3)"),
    "12 bits": (
        encoded(grey(12), "PNG"),
        "16-bit PNG that uses 12 bits, of which 4 are read; give data.depth 12",
    ),
    "8 bits": (encoded(grey(8), "PNG"), "16-bit PNG that uses 8 bits, of which 0 are read; give data.depth 8"),
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
    assert oddity(content, Rendering()) == reason


def test_of_usual_images_nothing_is_told():
    assert [oddity(content, Rendering()) for content in USUAL] == [None] * len(USUAL)


def test_the_settings_that_are_told_mend_them():
    mended = Rendering(depth=12, background=(255, 255, 255))
    assert [oddity(ODD[name][0], mended) for name in ("ink, PNG", "ink, WebP", "12 bits")] == [None] * 3
    assert oddity(ODD["white ink"][0], mended).endswith("where transparency is laid on it; give data.background black")
    assert "more than data.depth 12; what is above is read as white" in oddity(encoded(grey(14), "PNG"), mended)


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    """Two classes, one with three drawings of ink."""
    root = tmp_path_factory.mktemp("photos")
    for label in ("ant", "bee"):
        (root / label).mkdir()
        (root / label / "photo.jpg").write_bytes(USUAL[0])
    for number in range(3):
        (root / "ant" / f"ink{number}.png").write_bytes(ODD["ink, PNG"][0])
    return root


def test_data_names_them(photos):
    splits = open_source(FolderSource(name="folder", directory=photos))
    content = summary(splits, Preset())
    assert list(content["train"]["odd"]) == [f"ant/ink{number}.png" for number in range(3)]
    lines = summary_lines(content)
    place = lines.index("  3 that the network will hardly see:")
    assert lines[place + 1].startswith("    ant/ink0.png: every pixel is (0, 0, 0)")
    assert summary(splits, Preset(background=(255, 255, 255)))["train"]["odd"] == {}


def test_a_run_says_so_in_a_line_before_it_begins(photos, capsys):
    words = ["fit", "--dry_run", "--data.source.name", "folder", "--data.source.directory", str(photos)]
    words += ["--data.source.validation_fraction", "null", "--data.size", "8", "--train.batch_size", "2"]
    assert main(words) == 0
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("hardly to be seen")]
    assert len(said) == 1
    assert said[0].startswith("hardly to be seen: 3 of 5 images looked at; ant/ink")
    assert said[0].endswith("give data.background white")
    assert main([*words, "--data.background", "white"]) == 0
    assert "hardly to be seen" not in capsys.readouterr().out


def test_a_run_looks_at_few_images_and_none_that_is_large(tmp_path):
    large = Image.new("L", (4000, 2001))
    for label in ("ant", "bee"):
        (tmp_path / label).mkdir()
        for number in range(20):
            (tmp_path / label / f"{number}.png").write_bytes(ODD["ink, PNG"][0])
    source = open_source(FolderSource(name="folder", directory=tmp_path)).train
    assert odd_lines(source, Preset())[0].startswith(f"hardly to be seen: {GLANCED} of {GLANCED} images looked at")
    for path in tmp_path.glob("*/*"):
        path.write_bytes(encoded(large, "PNG"))
    assert odd_lines(source, Preset()) == []
