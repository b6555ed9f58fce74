"""Layers from settings: what KerasCV does with them, the same bytes however they are called."""

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageEnhance, ImageOps
from pydantic import ValidationError

from keras_imagenet.data.augment import build, operations
from keras_imagenet.data.augment.pad_crop import pad_crop
from keras_imagenet.preset import Preset
from keras_imagenet.settings import AugmentSettings

ALL = {
    "pad_crop": 2,
    "flip": "both",
    "rotation": 20.0,
    "three_augment": True,
    "color_jitter": {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1},
    "rand_augment": "rand-m9-n2-mstd0.5-inc1",
    "trivial_augment": True,
    "auto_augment": True,
    "augmix": {},
    "grid_mask": {"unit": (8, 20)},
}


@pytest.fixture
def photo() -> np.ndarray:
    random = np.random.default_rng(1)
    small = Image.fromarray(random.integers(0, 256, (6, 7, 3), np.uint8))
    return np.asarray(small.resize((40, 32), Image.BICUBIC))


@pytest.mark.parametrize("channels", [pytest.param(1, marks=pytest.mark.slow), 3])
def test_one_by_one_with_threads_and_as_a_batch_give_the_same_bytes(photo, channels):
    preset = Preset(channels=channels, mean=(0.5,) * channels, std=(0.5,) * channels)
    layers = build(AugmentSettings(**ALL), preset)
    assert [layer.name for layer in layers] == list(ALL)
    images = np.stack([photo[..., :channels]] * 8)
    seeds = np.arange(16, dtype=np.int32).reshape(8, 2)

    @tf.function(autograph=False)  # traced once for both streams
    def act(example):
        for layer in layers:
            example = layer(example)
        return example

    rows = tf.data.Dataset.from_tensor_slices({"images": images, "labels": np.arange(8), "seeds": seeds})
    streams = [next(iter(rows.map(act, num_parallel_calls=threads).batch(8))) for threads in (1, 2)]
    whole = act({"images": tf.constant(images), "labels": tf.range(8), "seeds": tf.constant(seeds)})
    assert streams[0]["images"].dtype == tf.uint8
    for other in (streams[1]["images"], whole["images"]):
        np.testing.assert_array_equal(streams[0]["images"], other)
    assert len({image.tobytes() for image in streams[0]["images"].numpy()}) == 8
    np.testing.assert_array_equal(streams[0]["labels"], np.arange(8))


def test_views_of_examples_are_those_of_each_and_the_first_is_augmix_alone(photo):
    (alone,), (views,) = (build(AugmentSettings(augmix={"consistency": kind}), Preset()) for kind in (0.0, 12.0))
    images, seeds = tf.constant(np.stack([photo] * 3)), tf.constant([[1, 2], [3, 4], [-5, 6]])
    whole = views({"images": images, "seeds": seeds})
    assert whole["views"].shape == (3, 2, *photo.shape)
    for row in range(3):
        one = views({"images": images[row], "seeds": seeds[row]})
        np.testing.assert_array_equal(one["images"], photo)
        np.testing.assert_array_equal(one["views"], whole["views"][row])
        mixed = alone({"images": images[row], "seeds": seeds[row]})
        np.testing.assert_array_equal(mixed["images"], one["views"][0])


def test_nothing_asked_for_leaves_keras_cv_unloaded():
    code = (
        "import sys; from keras_imagenet.data.augment import build; from keras_imagenet.preset import Preset;"
        "from keras_imagenet.settings.augment import AugmentSettings;"
        "assert build(AugmentSettings(), Preset()) == []; assert 'keras_cv' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("degrees", [13.0, -27.0, 90.0, 180.0, 0.0])
def test_rotation_is_pillows(photo, degrees):
    for image in (photo, photo[..., 0]):
        theirs = np.asarray(Image.fromarray(image).rotate(degrees, Image.BILINEAR))
        np.testing.assert_array_equal(operated(image, "rotate", degrees), theirs)


@pytest.mark.parametrize("amount", [0.27, -0.3, 1 / 3, 5.0, -7.25, 1e-10, 50.0])
def test_shears_and_translations_are_pillows(photo, amount):
    maps = {
        "shear_x": (1, amount, 0, 0, 1, 0),
        "shear_y": (1, 0, 0, amount, 1, 0),
        "translate_x": (1, 0, amount, 0, 1, 0),
        "translate_y": (1, 0, 0, 0, 1, amount),
    }
    for name, mapping in maps.items():
        for image in (photo, photo[..., 0]):
            picture = Image.fromarray(image)
            theirs = picture.transform(picture.size, Image.AFFINE, mapping, Image.BILINEAR)
            np.testing.assert_array_equal(operated(image, name, amount), theirs, err_msg=name)


@pytest.mark.parametrize("factor", [0.0, 0.3, 1.0, 1.7])
def test_blends_are_pillows(photo, factor):
    enhancements = {
        "brightness": ImageEnhance.Brightness,
        "contrast": ImageEnhance.Contrast,
        "saturation": ImageEnhance.Color,
        "sharpness": ImageEnhance.Sharpness,
    }
    for name, theirs in enhancements.items():
        for image in (photo, photo[..., 0], photo[:2, :2], photo[:1]):
            if min(image.shape[:2]) < 3 and name == "sharpness":
                continue  # Pillow's own border covers it
            np.testing.assert_array_equal(operated(image, name, factor), theirs(Image.fromarray(image)).enhance(factor))


def test_spreading_of_values_is_pillows(photo):
    for image in (
        photo,
        photo[..., 0],
        np.full_like(photo, 9),
        photo[:3, :5],
        np.where(photo > 99, 3, 250).astype(np.uint8),
    ):
        for name, theirs in (("auto_contrast", ImageOps.autocontrast), ("equalize", ImageOps.equalize)):
            np.testing.assert_array_equal(operated(image, name, 0.0), theirs(Image.fromarray(image)), err_msg=name)


def operated(image: np.ndarray, name: str, argument: float) -> np.ndarray:
    """One image, [h, w] or [h, w, 3], after one operation."""
    pixels = image if image.ndim == 3 else image[..., np.newaxis]
    numbers, arguments = np.array([[operations.NUMBERS[name]]]), np.array([[argument]])
    result = operations.operate(np.ascontiguousarray(pixels)[np.newaxis], numbers, arguments, (0,) * pixels.shape[-1])
    return result[0].reshape(image.shape)


def test_a_grid_whose_range_falls_is_refused():
    with pytest.raises(ValidationError, match="ends before it"):
        AugmentSettings(grid_mask={"unit": (20, 8)})


def test_timm_words_become_fields():
    fields = AugmentSettings(rand_augment="rand-m7-n3-mstd0.5-inc1-p0.25").rand_augment
    assert (fields.magnitude, fields.count, fields.deviation) == (7.0, 3, 0.5)
    assert (fields.increasing, fields.probability) == (True, 0.25)


@pytest.mark.parametrize("words", ["rand-x9", "augmix-m3", "rand-m11"])
def test_other_words_are_refused(words):
    with pytest.raises(ValidationError, match="rand"):
        AugmentSettings(rand_augment=words)


def test_a_reflecting_border_is_the_image_mirrored_at_its_edge(photo):
    """numpy's reflect, of which each crop is a window, all as likely."""
    images, seeds = np.stack([photo] * 200), np.arange(400, dtype=np.int32).reshape(200, 2)
    padded = np.pad(photo, ((2, 2), (2, 2), (0, 0)), "reflect")
    height, width = photo.shape[:2]
    windows = {padded[y : y + height, x : x + width].tobytes() for y in range(5) for x in range(5)}
    assert {crop.tobytes() for crop in pad_crop(images, seeds, 2, "reflect").numpy()} == windows
