"""The whitened stem: what its filters do to the training images, and that they stand still."""

import numpy as np
import pytest
import tensorflow as tf

from keras_imagenet.data.images.normalise import normalise
from keras_imagenet.data.pipeline import evaluation_stream
from keras_imagenet.data.sources import open_source
from keras_imagenet.errors import SettingsError
from keras_imagenet.models import airbench, registry
from keras_imagenet.models import whitening as stems
from keras_imagenet.preset import Preset
from keras_imagenet.settings.data import DigitsSource
from keras_imagenet.training import whitening


def network(channels: int = 1):
    return airbench.build(airbench.Airbench((8, 8, 8)), input_shape=(32, 32, channels), classes=10)


def moments(images: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Mean products of the first half of the filters' outputs, after a check that the second half are their negatives."""
    outputs = tf.nn.conv2d(images, kernel, 1, "VALID").numpy().reshape(-1, kernel.shape[-1])
    first, second = np.split(outputs.astype(np.float64), 2, axis=1)
    np.testing.assert_array_equal(first, -second)
    return first.T @ first / len(first)


def test_filtered_patches_are_uncorrelated_with_unit_variance() -> None:
    random = np.random.default_rng(0)
    images = random.normal(size=(30, 9, 8, 3)) + 3 * random.normal(size=(30, 1, 1, 3))
    kernel = stems.filters((2, 2, 3, 24), [images[:20], images[20:]])
    assert kernel.shape == (2, 2, 3, 24)
    # The epsilon that is added to variances of 1 and more.
    np.testing.assert_allclose(moments(images.astype(np.float32), kernel), np.eye(12), atol=1e-3)


def test_a_run_s_stem_whitens_its_training_images_and_stands_still() -> None:
    model, strategy = network(), tf.distribute.get_strategy()
    preset = Preset(size=(32, 32), channels=1, mean=(0.3,), std=(0.35,))
    digits = open_source(DigitsSource(name="digits")).train
    options = {"threads": 2, "report": pytest.fail}
    line = whitening.whiten(model, preset, digits, strategy, seed=0, **options)
    assert line == f"whitening: stem's filters from {len(digits):,} training images; they do not learn"
    batches = evaluation_stream(digits, preset, strategy, batch_size=len(digits), **options)
    images = normalise(next(batches)["images"], preset).numpy()
    found = moments(images, model.get_layer("stem_conv").kernel.numpy())
    np.testing.assert_allclose(found - np.diag(np.diag(found)), 0, atol=1e-3)
    assert np.diag(found).min() > 0.5
    assert np.diag(found).max() < 1.001
    stems.freeze(model)
    learning = {variable.path for variable in model.trainable_variables}
    assert "stem_conv/bias" in learning
    assert "stem_conv/kernel" not in learning


def test_a_network_without_such_a_stem_is_told_so() -> None:
    with pytest.raises(SettingsError, match=r"^model.whiten: simple_cnn does not begin .*; leave whiten out$"):
        stems.freeze(registry.build("simple_cnn", input_shape=(28, 28, 1), classes=10))
