"""The smallest published network of every family is exported as users do, and answers alike where only TensorFlow is."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import numpy as np
import pytest
from sklearn.datasets import load_sample_image

from keras_imagenet.data.images.normalise import normalise
from keras_imagenet.models import registry
from keras_imagenet.preset import Preset
from keras_imagenet.serving.export import export

ANSWER = """
import json, os, sys
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import numpy as np, tensorflow as tf
for line in sys.stdin:
    folder, pixels = line.split()
    answer = tf.saved_model.load(folder).signatures["images"](images=tf.constant(np.load(pixels)))
    assert "keras_imagenet" not in sys.modules
    print(json.dumps({name: answer[name].numpy().tolist() for name in ("labels", "probabilities")}), flush=True)
"""
Served = Callable[[Path, np.ndarray], dict[str, list]]


def _smallest() -> list[str]:
    """By multiply-accumulates, the first of a family where two have as many."""
    by_size = sorted(registry.catalogue().values(), key=lambda record: record.macs, reverse=True)
    return sorted({record.family: record.name for record in by_size}.values())


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """What a process that has imported TensorFlow and nothing of ours answers for a SavedModel and pixels."""
    pixels = tmp_path_factory.mktemp("pixels") / "pixels.npy"
    with subprocess.Popen([sys.executable, "-c", ANSWER], stdin=-1, stdout=-1, text=True) as process:

        def ask(folder: Path, images: np.ndarray) -> dict[str, list]:
            np.save(pixels, images)
            process.stdin.write(f"{folder} {pixels}\n")
            process.stdin.flush()
            return json.loads(process.stdout.readline())

        yield ask
        process.stdin.close()


@pytest.mark.slow
@pytest.mark.parametrize("name", _smallest())
def test_a_published_network_is_served_with_its_own_logits(name: str, served: Served, tmp_path: Path) -> None:
    """Logits up to the constant that softmax takes off: logarithms of the five largest probabilities, within 1e-4."""
    keras.utils.set_random_seed(0)
    record = registry.catalogue()[name]
    channels = {1: {"channels": 1, "mean": (0.5,), "std": (0.5,)}, 3: {}}[record.channels]
    preset = Preset(size=(record.input_size, record.input_size), **channels)
    network = registry.build(name, input_shape=preset.input_shape, classes=record.classes)
    _settle_norms(network, normalise(_photo(preset), preset))
    classes = [f"class {number}" for number in range(record.classes)]
    answer = served(export(network, preset, classes, tmp_path), _photo(preset))
    logits = network(normalise(_photo(preset), preset), training=False).numpy()
    expected = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    assert answer["labels"] == np.argsort(-expected)[:, :5].tolist()
    np.testing.assert_allclose(np.log(answer["probabilities"]), -np.sort(-expected)[:, :5], atol=1e-4)
    assert np.ptp(answer["probabilities"]) > 0
    keras.backend.clear_session()


def _settle_norms(network: keras.Model, images: np.ndarray) -> None:
    """Moving statistics as training would leave them; without, activations grow with depth and softmax answers 0 and 1."""
    norms = [layer for layer in network.layers if isinstance(layer, keras.layers.BatchNormalization)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    if norms:
        network(images, training=True)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def _photo(preset: Preset) -> np.ndarray:
    """A photo's two halves at the preset's size: float32 [2, height, width, channels], 0-255."""
    photo = load_sample_image("flower.jpg").astype(np.float32)
    photo = photo if preset.channels == 3 else photo.mean(-1, keepdims=True)
    halves = np.stack(np.split(photo[:, :640], 2, axis=1))
    return np.asarray(keras.ops.image.resize(halves, preset.size))
