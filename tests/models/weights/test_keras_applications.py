"""keras.applications' weights give keras.applications' answers in our networks: random weights, no download."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_image

from keras_imagenet.errors import SettingsError
from keras_imagenet.models import registry, weights
from keras_imagenet.models.weights import fitting, keras_applications

CLASSES = 7
WITH_PREPROCESSING = ("mobilenet_v3", "tf_efficientnetv2", "efficientnet_v2", "convnext")

FAST = ["efficientnet_b0", "tf_efficientnetv2_b0", "mobilenet_v2", "mobilenet_v3_small", "convnext_tiny"]


def _network(name: str, size: int) -> keras.Model:
    """Theirs, with random weights and statistics, without the preprocessing that some contain."""
    options = {"include_preprocessing": False} if name.startswith(WITH_PREPROCESSING) else {}
    build = getattr(keras.applications, keras_applications.NETWORKS[name])
    network = build(weights=None, input_shape=(size, size, 3), classes=CLASSES, classifier_activation=None, **options)
    random = np.random.default_rng(0)
    for variable in network.weights:
        shape = variable.shape
        if variable.path.startswith("normalization"):
            continue
        if variable.name in ("gamma", "moving_variance"):
            variable.assign(random.uniform(0.5, 1.5, shape))
        else:
            fan_in = np.prod(shape[:2] if shape[-1] == 1 else shape[:-1]) if len(shape) > 1 else 100
            variable.assign(random.normal(0, max(1, fan_in) ** -0.5, shape))
    return network


def _compare(name: str, size: int, images: np.ndarray) -> None:
    """Both networks' logits differ by less than 1e-4, which float32 can tell of numbers up to 10 or so."""
    theirs = _network(name, size)
    tables = keras_applications.TABLES
    table = tables.get(name) or tables[registry.family(name)]
    ours = registry.build(name, input_shape=(size, size, 3), classes=CLASSES, **table.options)
    # EfficientNet B0 to B7 divide by 255 inside; their normalisation is the identity until its weights are loaded.
    scale = 255.0 if name.startswith("efficientnet_b") else 1.0
    seen = (images[..., ::-1] if table.flip else images) * scale
    expected = theirs(seen, training=False).numpy()
    largest = np.abs(expected).max()
    if largest > 10:  # the sums of 50 random blocks grow; a smaller head keeps every layer in the comparison
        for variable in theirs.weights[-2:]:
            variable.assign(variable * (10 / largest))
        expected = theirs(seen, training=False).numpy()
    fitting.fit(ours, weights.keras_tensors(theirs), table, "keras", name)
    np.testing.assert_allclose(ours(images, training=False).numpy(), expected, atol=1e-4, rtol=0)
    assert expected.std() > 0.01
    keras.backend.clear_session()


def _images(size: int) -> np.ndarray:
    return np.random.default_rng(size).normal(0, 1, (2, size, size, 3)).astype(np.float32)


@pytest.mark.parametrize("name", FAST)
def test_random_weights_give_equal_answers(name: str) -> None:
    _compare(name, 49, _images(49))


# keras.applications' VGGs have a linear layer on the map of 7 x 7, its MobileNet pads even sizes as 'same' does, and its
# Inception-v3 and Xception have a least size.
SIZES = {
    "vgg16": (224, 240),
    "vgg19": (224, 240),
    "mobilenetv1_100": (64, 96),
    "inception_v3_keras": (75, 98),
    "xception": (72, 97),
}


@pytest.mark.peer
@pytest.mark.parametrize(
    ("name", "size"),
    [(name, size) for name in sorted(keras_applications.NETWORKS) for size in SIZES.get(name, (64, 97))],
)
def test_noise_and_a_photo_give_equal_answers_for_every_name(name: str, size: int) -> None:
    pixels = np.asarray(Image.fromarray(load_sample_image("china.jpg")).resize((size, size)), np.float32)
    _compare(name, size, np.concatenate([_images(size), pixels[None] / 127.5 - 1]))


def test_networks_that_keras_lacks_are_refused() -> None:
    with pytest.raises(
        SettingsError, match=r"model.weights = keras: keras.applications has no efficientnet_lite0; it has"
    ):
        weights.find("keras", "efficientnet_lite0")
