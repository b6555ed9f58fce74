"""Google's policies against TensorFlow's own operations and the formulas of tensorflow/tpu; bicubic maps against Pillow."""

import math
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_imagenet.data.augment import build, google_policies, operations, policies
from keras_imagenet.preset import Preset
from keras_imagenet.settings import AugmentSettings

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "augment.npz"
GREY = (128, 128, 128)
SEEDS = tf.stack((tf.range(4000), tf.fill(4000, 5)), axis=1)


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    with np.load(GOLDEN) as file:
        return file["image"]


def operated(image: np.ndarray, name: str, argument: float, sampling: str = "nearest", fill=GREY) -> np.ndarray:
    number = np.array([[operations.NUMBERS[name]]])
    return operations.operate(image[np.newaxis], number, np.array([[float(argument)]]), fill, sampling)[0]


def moved(image: np.ndarray, transform: list[float]) -> np.ndarray:
    """TensorFlow's projective transform, nearest, with grey where a channel of ones finds none."""
    wrapped = np.concatenate((image, np.ones((*image.shape[:2], 1), np.uint8)), axis=2)
    result = tf.raw_ops.ImageProjectiveTransformV3(
        images=wrapped[np.newaxis],
        transforms=tf.constant([transform], tf.float32),
        output_shape=image.shape[:2],
        fill_value=0.0,
        interpolation="NEAREST",
    )[0].numpy()
    return np.where(result[..., 3:] == 0, 128, result[..., :3])


def blended(grey: np.ndarray, image: np.ndarray, share: float) -> np.ndarray:
    return np.clip(grey + share * (image.astype(np.float32) - grey), 0, 255).astype(np.uint8)


def argument(name: str, magnitude: float, sign: float = 1.0, **pixels: float) -> float:
    choices = google_policies.google_choices(**{"translate": 100.0, "cutout": 40.0, **pixels})
    return {choice.name: choice for choice in choices}[name].argument(magnitude / 10, sign)


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("magnitude", [2.0, 10.0, 15.0])
def test_maps_are_tensorflows(image, magnitude, sign):
    height, width = image.shape[:2]
    shear = sign * 0.3 * magnitude / 10
    turn = math.radians(sign * 30 * magnitude / 10)
    cosine, sine = math.cos(turn), math.sin(turn)
    x = ((width - 1) - (cosine * (width - 1) - sine * (height - 1))) / 2
    y = ((height - 1) - (sine * (width - 1) + cosine * (height - 1))) / 2
    wanted = {
        "shear_x": [1, shear, 0, 0, 1, 0, 0, 0],
        "shear_y": [1, 0, 0, shear, 1, 0, 0, 0],
        "translate_x": [1, 0, sign * 2 * magnitude, 0, 1, 0, 0, 0],
        "translate_y": [1, 0, 0, 0, 1, sign * 2 * magnitude, 0, 0],
        "rotate": [cosine, -sine, x, sine, cosine, y, 0, 0],
    }
    for name, transform in wanted.items():
        ours = operated(image, name, argument(name, magnitude, sign, translate=20.0))
        # Where a source lies midway between pixels, float32 and float64 may choose differently.
        assert (ours != moved(image, transform)).any(axis=2).mean() < 0.05, name


@pytest.mark.parametrize("magnitude", [0.0, 5.0, 10.0, 17.0])
def test_colours_follow_googles_formulas(image, magnitude):
    share, level = magnitude / 10 * 1.8 + 0.1, magnitude / 10
    threshold, added = int(level * 256), np.clip(image.astype(int) + int(level * 110), 0, 255)
    bits = max(int(level * 4), 1)  # TensorFlow's right_shift goes no further than 7
    wanted = {
        "brightness": blended(np.float32(0), image, share),
        "contrast_with_count": blended(np.float32(min(image.shape[0] * image.shape[1] // 256, 255)), image, share),
        "solarize": np.where(image < threshold, image, 255 - image),
        "solarize_add": np.where(image < 128, added, image),
        "posterize": image >> (8 - bits) << (8 - bits),
        "invert": 255 - image,
    }
    for name, expected in wanted.items():
        np.testing.assert_array_equal(operated(image, name, argument(name, magnitude)), expected, err_msg=name)
    grey = tf.image.grayscale_to_rgb(tf.image.rgb_to_grayscale(image)).numpy().astype(np.float32)
    ours = operated(image, "saturation", argument("saturation", magnitude)).astype(int)
    assert np.abs(ours - blended(grey, image, share)).max() <= math.ceil(abs(1 - share)) + 1
    shifted = tf.bitwise.left_shift(tf.bitwise.right_shift(image, np.uint8(8)), np.uint8(8)).numpy()
    np.testing.assert_array_equal(operated(image, "posterize", argument("posterize", 0)), shifted & 128)


def test_a_square_is_cut_out_about_its_place_and_cut_off_at_the_border(image):
    width = image.shape[1]
    number, half = np.array([[operations.NUMBERS["cutout"]]]), np.array([[5.0]])
    ours = operations.operate(image[np.newaxis], number, half, GREY, "nearest", np.array([[[0.0, 0.5]]]))[0]
    wanted = image.copy()
    wanted[:5, width // 2 - 5 : width // 2 + 5] = 128
    np.testing.assert_array_equal(ours, wanted)
    assert argument("cutout", 10.0) == 40


def test_operations_are_drawn_evenly_and_garden_may_do_nothing():
    plain = google_policies.google_draws(SEEDS, 16, 2, 15.0, 1.0, False)
    np.testing.assert_allclose(np.bincount(plain.index.numpy().ravel(), minlength=16) / 8000, 1 / 16, atol=0.01)
    assert set(plain.level.numpy().ravel()) == {1.5}
    garden = google_policies.google_draws(SEEDS, 15, 2, 9.0, 0.5, True).index.numpy().ravel()
    counts = np.bincount(garden, minlength=16) / 8000
    np.testing.assert_allclose(counts[:15], 0.5 / 16, atol=0.008)
    assert plain.places.numpy().mean() == pytest.approx(0.5, abs=0.02)


def test_policies_are_built_from_settings(image):
    """Each runs in a graph, changes most images, and excludes what it is told to exclude."""
    images = tf.tile(image[np.newaxis], (64, 1, 1, 1))
    preset = Preset(size=image.shape[:2])
    for asked in (
        {"rand_augment": {"form": "google", "magnitude": 15}},
        {"rand_augment": {"form": "garden", "magnitude": 9, "exclude": ["cutout", "contrast"], "translate": 10}},
        {"auto_augment": "v0"},
    ):
        (layer,) = build(AugmentSettings(**asked), preset)
        found = tf.function(lambda layer=layer: layer({"images": images, "seeds": SEEDS[:64]}))()["images"].numpy()
        assert 0.5 < (found != image).any(axis=(1, 2, 3)).mean() <= 1
    only = AugmentSettings(
        rand_augment={
            "form": "garden",
            "count": 1,
            "exclude": [choice.name.removesuffix("_with_count") for choice in google_policies.google_choices(1, 1)[1:]],
        }
    )
    (layer,) = build(only, preset)
    found = layer({"images": images, "seeds": SEEDS[:64]})["images"].numpy()
    stretched = operated(image, "auto_contrast", 0)
    assert all(any((one == known).all() for known in (image, stretched)) for one in found)


@pytest.mark.parametrize("name", ["rotate", "shear_x", "shear_y", "translate_x"])
def test_bicubic_maps_are_pillows(image, name):
    """What torchvision and timm do to PIL images where their crop is bicubic."""
    height, width = image.shape[:2]
    amount = {"rotate": 17.0, "shear_x": 0.21, "shear_y": -0.13, "translate_x": 4.3}[name]
    matrix = {
        "shear_x": (1, amount, 0, 0, 1, 0),
        "shear_y": (1, 0, 0, amount, 1, 0),
        "translate_x": (1, 0, amount, 0, 1, 0),
    }
    picture, fill = Image.fromarray(image), (124, 116, 104)
    if name == "rotate":
        wanted = picture.rotate(amount, Image.Resampling.BICUBIC, fillcolor=fill)
    else:
        how = Image.Transform.AFFINE, matrix[name], Image.Resampling.BICUBIC
        wanted = picture.transform((width, height), *how, fillcolor=fill)
    np.testing.assert_array_equal(operated(image, name, amount, "bicubic", fill), np.asarray(wanted))


def test_policies_sample_as_the_crop_does(image):
    images, sheared = tf.constant(image[np.newaxis]), policies.Draws(*(np.array([[value]]) for value in (1, 1.0, 1.0)))
    choices = policies.torchvision_choices(wide=False, size=image.shape[:2])
    wanted = {kind: policies.apply(images, choices, sheared, (0, 0, 0), kind) for kind in ("bilinear", "bicubic")}
    assert (wanted["bilinear"] != wanted["bicubic"]).numpy().any()
    many, seeds = tf.tile(images, (64, 1, 1, 1)), SEEDS[:64]
    for kernel, kind in (("area", "bilinear"), ("bicubic", "bicubic")):
        (layer,) = build(AugmentSettings(trivial_augment=True), Preset(size=image.shape[:2], kernel=kernel))
        ours = layer({"images": many, "seeds": seeds})["images"]
        direct = policies.trivial_augment_wide(many, layer_seeds(seeds, "trivial_augment"), (0, 0, 0), kind)
        np.testing.assert_array_equal(ours, direct)


def layer_seeds(seeds: tf.Tensor, name: str) -> tf.Tensor:
    from keras_imagenet.data.seeds import fold

    return fold(seeds, name)
