"""Bits and transparency as the preset says (data.depth, data.background), the same wherever images are decoded."""

import io

import numpy as np
import pytest
import tensorflow as tf
from pictures import encoded, photo
from PIL import Image

from keras_imagenet import recipes
from keras_imagenet.data.images import decode, evaluation_crops, random_resized_crops, servable_evaluation_crop
from keras_imagenet.data.images.rendering import Rendering
from keras_imagenet.errors import SettingsError
from keras_imagenet.preset import Preset
from keras_imagenet.settings.resolution import resolve

GROUND = (250, 7, 130)
SIZE = WIDTH, HEIGHT = 40, 30
IMAGE = photo(HEIGHT, WIDTH)
ALPHA = Image.fromarray(np.random.default_rng(5).integers(0, 256, (HEIGHT, WIDTH), np.uint8))
CLEAR = Image.merge("RGBA", (*IMAGE.split(), ALPHA))
FEW = IMAGE.quantize(9)
GREY = IMAGE.convert("L")


def moving(**options) -> bytes:
    """An animated WebP whose first frame may be smaller than its canvas."""
    frame = Image.new("RGBA", SIZE)
    frame.paste(CLEAR.crop((0, 0, 20, 16)), (10, 8))
    return encoded(frame, "WEBP", save_all=True, append_images=[CLEAR], **options)


CLEARLY = {
    "RGBA": encoded(CLEAR, "PNG"),
    "interlaced RGBA of 16 bits": tf.io.encode_png(np.asarray(CLEAR).astype(np.uint16) * 255).numpy(),
    "LA": encoded(CLEAR.convert("LA"), "PNG"),
    "palette, one colour clear": encoded(FEW, "PNG", transparency=3),
    "palette, shares": encoded(FEW, "PNG", transparency=bytes(range(0, 252, 28))),
    "palette of 8 bits, shares": encoded(IMAGE.quantize(200), "PNG", transparency=bytes(range(200))),
    "grey, one value clear": encoded(GREY, "PNG", transparency=GREY.getpixel((0, 0))),
    "colours, one clear": encoded(IMAGE, "PNG", transparency=IMAGE.getpixel((15, 12))),
    "lossy WebP": encoded(CLEAR, "WEBP"),
    "lossless WebP": encoded(CLEAR, "WEBP", lossless=True, exact=True),
    "animated WebP": moving(),
    "lossless animated WebP": moving(lossless=True),
}
OPAQUE = {
    "palette of 4 bits": encoded(FEW, "PNG"),
    "1 bit": encoded(IMAGE.convert("1"), "PNG"),
    "grey": encoded(GREY, "PNG"),
    "colours": encoded(IMAGE, "PNG"),
    "JPEG": encoded(IMAGE),
    "WebP": encoded(IMAGE, "WEBP"),
    "animated WebP": encoded(IMAGE, "WEBP", save_all=True, append_images=[ALPHA]),
    "GIF with a clear colour": encoded(FEW, "GIF", transparency=3),
    "BMP": encoded(IMAGE, "BMP"),
}
DEEP = np.random.default_rng(6).integers(0, 2**16, (HEIGHT, WIDTH, 4)).astype(np.uint16)


def on_ground(content: bytes) -> np.ndarray:
    """What Pillow makes of an image laid on GROUND."""
    image = Image.open(io.BytesIO(content)).convert("RGBA")
    return np.asarray(Image.alpha_composite(Image.new("RGBA", image.size, GROUND), image).convert("RGB"))


@pytest.mark.parametrize("name", CLEARLY)
def test_transparency_lies_on_the_background_as_pillow_lays_it(name):
    content = CLEARLY[name]
    pixels = decode(content, Rendering(background=GROUND)).numpy()
    np.testing.assert_array_equal(pixels, on_ground(content))
    assert (pixels != decode(content).numpy()).any()


@pytest.mark.parametrize("name", OPAQUE)
def test_opaque_images_and_gifs_are_the_same_on_any_background(name):
    np.testing.assert_array_equal(decode(OPAQUE[name], Rendering(background=GROUND)), decode(OPAQUE[name]))


def test_a_large_image_is_laid_in_strips():
    large = encoded(CLEAR.resize((3001, 2003)), "PNG", compress_level=1)
    np.testing.assert_array_equal(decode(large, Rendering(background=GROUND)), on_ground(large))


@pytest.mark.parametrize("depth", [1, 7, 8, 12, 15, 16])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_depth_reads_the_upper_8_of_so_many_bits(depth, channels):
    """Larger values are white; alpha has 16 bits in any case."""
    values = DEEP[..., :channels].astype(int) % 2 ** (depth + 1)
    content = tf.io.encode_png(values.astype(np.uint16)).numpy()
    upper = (np.minimum(values, 2**depth - 1) << (16 - depth)) >> 8
    np.testing.assert_array_equal(decode(content, Rendering(depth=depth)), np.broadcast_to(upper[..., :3], (30, 40, 3)))


def test_depth_and_background_together():
    values = DEEP // (16, 16, 16, 1)
    pixels = decode(tf.io.encode_png(values.astype(np.uint16)), Rendering(depth=12, background=GROUND))
    eight = encoded(Image.fromarray((DEEP >> 8).astype(np.uint8)), "PNG")
    np.testing.assert_array_equal(pixels, on_ground(eight))


def test_8_bits_have_no_depth():
    for content in (*CLEARLY.values(), *OPAQUE.values()):
        if content[24:25] != b"\x10":
            np.testing.assert_array_equal(decode(content, Rendering(depth=9)), decode(content))


@pytest.mark.parametrize("fit", ["crop", "pad"])
def test_training_evaluation_and_serving_see_the_same(fit):
    contents = [CLEARLY["LA"], CLEARLY["animated WebP"], tf.io.encode_png(DEEP // 16).numpy(), OPAQUE["JPEG"]]
    preset = Preset(size=(16, 20), fit=fit, depth=12, background=GROUND, kernel="bilinear")
    seeds = tf.constant([(number, 5) for number in range(len(contents))])
    pixels = [decode(content, Rendering(depth=12, background=GROUND)) for content in contents]
    crops, string = evaluation_crops(pixels, preset), [tf.TensorSpec([], tf.string)]
    np.testing.assert_array_equal(evaluation_crops(contents, preset), crops)
    served = tf.function(lambda content: servable_evaluation_crop(content, preset), string)
    np.testing.assert_array_equal([served(content) for content in contents], crops)
    drawn = tf.function(lambda contents: random_resized_crops(tf.unstack(contents), seeds, preset))
    np.testing.assert_array_equal(drawn(tf.constant(contents)), random_resized_crops(pixels, seeds, preset))


def resolved(flags: dict[str, str], origin: Preset | None = None) -> Preset:
    return resolve(recipes.load(None, [(f"data.{name}", value) for name, value in flags.items()]).data, origin)


def test_settings_name_bits_and_colours():
    assert (resolved({}).depth, resolved({}).background) == (16, None)
    assert resolved({"depth": "12"}).depth == 12
    assert resolved({"background": "white"}).background == (255, 255, 255)
    assert resolved({"background": "[1, 2, 3]"}).background == (1, 2, 3)
    own = Preset(depth=10, background=GROUND)
    assert resolved({}, own) == own
    assert resolved({"background": "none"}, own).background is None
    assert Preset.model_validate_json(own.model_dump_json()) == own


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("background", "whit", "data.background: whit: no such colour; did you mean white?; give [red, green, blue]"),
        ("background", "[1, 2]", "data.background.2: is required"),
        ("background", "[1, 2, 256]", "data.background.2 = 256: input should be less than or equal to 255"),
        ("depth", "0", "data.depth = 0: input should be greater than or equal to 1"),
        ("depth", "17", "data.depth = 17: input should be less than or equal to 16"),
    ],
)
def test_what_is_no_colour_or_depth_is_one_line(name, value, message):
    with pytest.raises(SettingsError) as caught:
        resolved({name: value})
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
