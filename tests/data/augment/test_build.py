"""Layers from settings: what KerasCV does with them, the same bytes however they are called."""

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageEnhance
from pydantic import ValidationError

from keras_imagenet.data.augment import affine, build, color
from keras_imagenet.data.preset import Preset
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

    @tf.function  # traced once for both streams
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


def test_nothing_asked_for_leaves_keras_cv_unloaded():
    code = (
        "import sys; from keras_imagenet.data.augment import build; from keras_imagenet.data.preset import Preset;"
        "from keras_imagenet.settings.augment import AugmentSettings;"
        "assert build(AugmentSettings(), Preset()) == []; assert 'keras_cv' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("degrees", [13.0, -27.0, 90.0])
def test_rotation_is_pillows(photo, degrees):
    mapping = affine.rotate(tf.constant(np.deg2rad(degrees), tf.float32), tf.shape(photo))
    ours = affine.transform(tf.constant(photo), mapping, (0, 0, 0)).numpy()
    theirs = np.asarray(Image.fromarray(photo).rotate(degrees, Image.BILINEAR))
    difference = np.abs(ours.astype(int) - theirs)
    assert (difference > 1).mean() < 0.01  # single pixels at the border fall on the other side
    assert (difference > 0).mean() < 0.05


@pytest.mark.parametrize("factor", [0.0, 0.3, 1.0, 1.7])
def test_brightness_contrast_and_saturation_are_pillows(photo, factor):
    image = Image.fromarray(photo)
    for ours, theirs in (
        (color.brightness, ImageEnhance.Brightness),
        (color.contrast, ImageEnhance.Contrast),
        (color.saturation, ImageEnhance.Color),
    ):
        expected = np.asarray(theirs(image).enhance(factor)).astype(int)
        assert np.abs(ours(tf.constant(photo), factor).numpy() - expected).max() <= 1


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
