"""A SavedModel that takes encoded images and answers with names, by the preprocessing that was evaluated."""

import json
import math
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from keras_imagenet import files
from keras_imagenet.data import images
from keras_imagenet.data.images.logits import logits_of
from keras_imagenet.errors import DataError, KerasImagenetError, SettingsError, writing_output
from keras_imagenet.models import folding
from keras_imagenet.preset import Preset

MAX_PIXELS = images.MAXIMUM_PIXELS
"""What a served image may have at most, where nothing else is said: as Pillow has it."""


class ServedClassifier(tf.Module):
    """Two signatures over one network.

    serving_default: image_bytes string [batch] (any format that training reads, of up to max_pixels each). One that
    cannot be decoded or is larger ends the request with an error.
    images: images float32 [batch, height, width, channels], pixels 0-255 at the preset's size.
    Both answer: classes string [batch, k], probabilities float32 [batch, k], labels int32 [batch, k], the most probable
    first; k is the number of classes, at most 5.
    """

    def __init__(
        self, network: keras.Model, preset: Preset, classes: Sequence[str], max_pixels: int = MAX_PIXELS
    ) -> None:
        super().__init__()
        self._max_pixels = max_pixels
        self._preset = preset
        self._network, self._weights = folding.baked(network)
        self.class_names = tf.constant(list(classes))
        self.image_bytes = tf.function(
            self._image_bytes,
            input_signature=[tf.TensorSpec([None], tf.string, name="image_bytes")],
            autograph=False,
        )
        pixels = tf.TensorSpec([None, *preset.input_shape], tf.float32, name="images")
        self.images = tf.function(self._images, input_signature=[pixels], autograph=False)

    def _image_bytes(self, image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        shape = tf.TensorSpec(self._preset.input_shape, tf.uint8)
        crops = tf.map_fn(
            lambda encoded: images.servable_evaluation_crop(encoded, self._preset, self._max_pixels),
            image_bytes,
            fn_output_signature=shape,
            parallel_iterations=1,  # so that a request needs memory for one image, not for ten
        )
        return self._answer(crops)

    def _images(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        return self._answer(images)

    def _answer(self, pixels: tf.Tensor) -> dict[str, tf.Tensor]:
        rows = tf.shape(pixels)[0]
        # TensorFlow's fused convolutions fail on no images, where a server asks so.
        pixels = tf.pad(pixels, [[0, tf.cast(rows == 0, tf.int32)], [0, 0], [0, 0], [0, 0]])
        logits = logits_of(self._network, pixels, self._preset)[:rows]
        k = min(5, logits.shape[-1])
        probabilities, labels = tf.math.top_k(tf.nn.softmax(logits), k)
        return {"classes": tf.gather(self.class_names, labels), "probabilities": probabilities, "labels": labels}


def export(
    network: keras.Model, preset: Preset, classes: Sequence[str], directory: Path, max_pixels: int = MAX_PIXELS
) -> tuple[Path, float]:
    """Write directory/N, N one above the highest there, as TF Serving expects; return it, and how far its answers are off.

    The version appears by rename, after a new process has loaded it and answered as the network does: the largest
    difference of a probability is at most 1e-4, and names belong to their probabilities. Raises DataError where there are
    not as many classes as answers, SettingsError where the directory cannot be written or max_pixels is too few for the
    photo that both are asked about or more than can be decoded, KerasImagenetError where the answers differ.
    """
    if len(classes) != network.output_shape[-1]:
        raise DataError(f"the network tells {network.output_shape[-1]} classes apart, and {len(classes)} are named")
    least = math.prod(_sides_to_compare(preset))
    if not least <= max_pixels <= images.MAXIMUM_PIXELS:
        raise SettingsError(f"--max_pixels {max_pixels}: must be from {least} to {images.MAXIMUM_PIXELS}")
    served = ServedClassifier(network, preset, classes, max_pixels)
    with writing_output(directory):
        directory.mkdir(parents=True, exist_ok=True)
        files.sweep(directory)
        versions = [int(path.name) for path in directory.iterdir() if path.name.isdecimal()]
        target = directory / str(max(versions, default=0) + 1)
        signatures = {"serving_default": served.image_bytes, "images": served.images}
        with files.appearing_folder(target) as part:
            tf.saved_model.save(served, str(part), signatures=signatures)
            difference = _difference(network, preset, classes, part)
    return target, difference


def _difference(network: keras.Model, preset: Preset, classes: Sequence[str], saved_model: Path) -> float:
    """The largest difference of a probability between a network and its SavedModel, asked in a new process.

    Both see one photograph-like JPEG, larger than the network's input.
    """
    height, width = _sides_to_compare(preset)
    waves = np.sin(np.linspace(0, 9, height)[:, None, None] + np.linspace(0, 7, width)[None, :, None] + np.arange(3))
    encoded = tf.io.encode_jpeg(np.uint8(127.5 + 120 * waves)).numpy()
    crops = images.evaluation_crops([tf.constant(encoded)], preset)
    # Folded and as a graph, as the SavedModel is: in 16 bits, other orders of rounding differ by more than is looked for here.
    asked = tf.function(lambda pixels: logits_of(folding.inference(network), pixels, preset), autograph=False)
    ours = tf.nn.softmax(asked(crops)).numpy()[0]
    answer = _asked(saved_model, encoded)
    theirs = np.array(answer["probabilities"])
    # By label, and by rank: a model that answers with others' probabilities, or leaves the largest out, differs too.
    by_label = np.abs(ours[answer["labels"]] - theirs)
    by_rank = np.abs(np.sort(ours)[::-1][: len(theirs)] - theirs)
    difference = float(np.max([by_label, by_rank]))
    names = [classes[label] for label in answer["labels"]]
    if not difference <= 1e-4 or names != answer["classes"]:
        raise KerasImagenetError(
            f"the SavedModel answers otherwise than the network it was made of, by {difference:g}; it was not kept"
        )
    return difference


def _asked(saved_model: Path, encoded: bytes) -> dict[str, list]:
    """What a SavedModel answers to one image, in a process with TensorFlow alone, which imports nothing from where it runs."""
    words = [sys.executable, "-P", "-c", _ASK, str(saved_model)]
    done = subprocess.run(words, input=encoded, capture_output=True, check=False)
    if done.returncode:
        complaint = done.stderr.decode(errors="replace").strip().splitlines()
        raise KerasImagenetError(f"the SavedModel cannot be asked: {complaint[-1] if complaint else done.returncode}")
    return json.loads(done.stdout)


def _sides_to_compare(preset: Preset) -> tuple[int, int]:
    """Height and width of the photo that a network and its SavedModel are compared by."""
    height, width = preset.size
    return height * 3 // 2 + 7, width * 3 // 2 + 7


_ASK = """
import os, sys, json
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import tensorflow as tf
served = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
answer = {name: value[0].numpy() for name, value in served(image_bytes=tf.constant([sys.stdin.buffer.read()])).items()}
answer["classes"] = [name.decode() for name in answer["classes"]]
print(json.dumps({name: list(value) if name == "classes" else value.tolist() for name, value in answer.items()}))
"""
