"""Images as Python has them are what the same pixels in a file are."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from keras_imagenet.errors import SettingsError
from keras_imagenet.serving.given import given_images


def decoded(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def test_arrays_pillows_images_and_paths_mix_in_the_order_given(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 5, 7, 3), np.uint8)
    Image.fromarray(pixels[0]).save(tmp_path / "a.png")
    turned = Image.fromarray(pixels[1])
    turned.getexif()[0x0112] = 3
    grey = pixels[0, ..., 0]
    found, faults = given_images([pixels[0], tmp_path, turned, grey, grey[..., None], str(tmp_path / "none.png")])
    names = ["image 0", str(tmp_path / "a.png"), "image 2", "image 3", "image 4"]
    assert [name for name, _ in found] == names
    assert [path for path, _ in faults] == [tmp_path / "none.png"]
    np.testing.assert_array_equal(decoded(found[0][1]), pixels[0])
    np.testing.assert_array_equal(decoded(found[2][1]), pixels[1, ::-1, ::-1])
    for _, content in found[3:]:
        np.testing.assert_array_equal(decoded(content), np.repeat(grey[..., None], 3, 2))
    several, _ = given_images(pixels)
    assert [name for name, _ in several] == ["image 0", "image 1"]
    np.testing.assert_array_equal(decoded(several[1][1]), pixels[1])
    cmyk = Image.fromarray(pixels[0]).convert("CMYK")
    assert decoded(given_images(cmyk)[0][0][1]).shape == (5, 7, 3)


@pytest.mark.parametrize(
    ("images", "wanted"),
    [
        (3, "not 3 (int)"),
        ([None], "not None (NoneType)"),
        (np.zeros((4, 4, 3), np.float32), "not float32 [4, 4, 3]"),
        (np.zeros((4, 4, 2), np.uint8), "not uint8 [4, 4, 2]"),
        (np.zeros((0, 4, 3), np.uint8), "not uint8 [0, 4, 3]"),
        (np.zeros(4, np.uint8), "not uint8 [4]"),
    ],
)
def test_anything_else_is_one_line_that_says_what_is_right(images, wanted: str) -> None:
    with pytest.raises(SettingsError, match="expected a path, an array uint8") as raised:
        given_images(images)
    assert wanted in str(raised.value)
    assert "\n" not in str(raised.value)
