"""A SavedModel that takes encoded images and answers with names, by the preprocessing that was evaluated."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from keras_imagenet import files
from keras_imagenet.data import images
from keras_imagenet.data.images.normalise import normalise
from keras_imagenet.errors import KerasImagenetError, SettingsError
from keras_imagenet.preset import Preset


class ServedClassifier(tf.Module):
    """Two signatures over one network.

    serving_default: image_bytes string [batch] (any format that training reads, of any sizes).
    images: images float32 [batch, height, width, channels], pixels 0-255 at the preset's size.
    Both answer: classes string [batch, k], probabilities float32 [batch, k], labels int32 [batch, k], the most probable
    first; k is the number of classes, at most 5.
    """

    def __init__(self, network: keras.Model, preset: Preset, classes: Sequence[str]) -> None:
        super().__init__()
        self._network = network
        self._preset = preset
        self._weights = [variable.value for variable in network.variables]
        self.class_names = tf.constant(list(classes))
        self.image_bytes = tf.function(
            self._image_bytes, input_signature=[tf.TensorSpec([None], tf.string, name="image_bytes")]
        )
        pixels = tf.TensorSpec([None, *preset.input_shape], tf.float32, name="images")
        self.images = tf.function(self._images, input_signature=[pixels])

    def _image_bytes(self, image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        shape = tf.TensorSpec(self._preset.input_shape, tf.uint8)
        crops = tf.map_fn(
            lambda encoded: images.servable_evaluation_crop(encoded, self._preset),
            image_bytes,
            fn_output_signature=shape,
        )
        return self._answer(crops)

    def _images(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        return self._answer(images)

    def _answer(self, pixels: tf.Tensor) -> dict[str, tf.Tensor]:
        logits = self._network(normalise(pixels, self._preset), training=False)
        k = min(5, logits.shape[-1])
        probabilities, labels = tf.math.top_k(tf.nn.softmax(logits), k)
        return {"classes": tf.gather(self.class_names, labels), "probabilities": probabilities, "labels": labels}


def export(network: keras.Model, preset: Preset, classes: Sequence[str], directory: Path) -> Path:
    """Write directory/N, N one above the highest there, as TF Serving expects; return it.

    The version appears by rename, whole. Raises SettingsError where the directory cannot be written.
    """
    served = ServedClassifier(network, preset, classes)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        files.sweep(directory)
        versions = [int(path.name) for path in directory.iterdir() if path.name.isdecimal()]
        target = directory / str(max(versions, default=0) + 1)
        signatures = {"serving_default": served.image_bytes, "images": served.images}
        with files.appearing_folder(target) as part:
            tf.saved_model.save(served, str(part), signatures=signatures)
    except OSError as error:
        raise SettingsError(f"--output {directory}: cannot be written: {error.strerror}") from error
    return target


def compare(network: keras.Model, preset: Preset, version: Path) -> float:
    """Largest difference of probabilities between a network and its SavedModel, which a new process with TensorFlow alone loads.

    Both see one photograph-like JPEG, larger than the network's input. Raises KerasImagenetError above 1e-4.
    """
    height, width = (side * 3 // 2 + 7 for side in preset.size)
    waves = np.sin(np.linspace(0, 9, height)[:, None, None] + np.linspace(0, 7, width)[None, :, None] + np.arange(3))
    encoded = tf.io.encode_jpeg(np.uint8(127.5 + 120 * waves)).numpy()
    crops = images.evaluation_crops([tf.constant(encoded)], preset)
    logits = network(normalise(crops, preset), training=False)
    ours = np.sort(tf.nn.softmax(logits).numpy()[0])[::-1]
    answer = json.loads(
        subprocess.run(
            [sys.executable, "-c", _ASK, str(version)], input=encoded, capture_output=True, check=True
        ).stdout
    )
    difference = float(np.max(np.abs(ours[: len(answer)] - np.array(answer))))
    if not difference <= 1e-4:
        raise KerasImagenetError(
            f"{version}: answers differently from the network it was made of, by {difference:g}; do not serve it"
        )
    return difference


_ASK = """
import os, sys, json
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import tensorflow as tf
served = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
answer = served(image_bytes=tf.constant([sys.stdin.buffer.read()]))
print(json.dumps(answer["probabilities"][0].numpy().tolist()))
"""
