"""Distillation: a network learns from another one's answers, too.

The teacher sees what the network sees, the same crops, augmented and mixed, at its own normalisation and size ('consistent
teaching', arXiv:2106.05237 section 3). It does not learn, and is part of neither the state nor of what the run leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from keras_imagenet import run_folder
from keras_imagenet.data.images.logits import logits_of
from keras_imagenet.data.sources import Source
from keras_imagenet.errors import DataError, SettingsError
from keras_imagenet.models import assembly as networks
from keras_imagenet.models import folding, saved
from keras_imagenet.models.weights.published import PUBLISHED
from keras_imagenet.preset import Preset
from keras_imagenet.settings import Settings
from keras_imagenet.settings.model import ModelSettings
from keras_imagenet.settings.teacher import TeacherSettings

Loss = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
"""(the teacher's logits [batch, classes], the network's) -> losses [batch]."""
Answer = Callable[[Sequence[tf.Tensor], tf.Tensor], tf.Tensor]
"""(values of the teacher's variables, pixels 0-255 float32 [batch, height, width, channels]) -> logits [batch, classes]."""

LEAST_PROBABILITY = float(np.finfo(np.float32).tiny)
SAVED_MODEL = "saved_model.pb"
HEADS = ("logits", "logits_distilled")
"""Layers of a distilled network: the class token's head, and the distillation token's."""


@dataclass(frozen=True)
class Teacher:
    """Who teaches, and what it weighs.

    whence: it in words. size: (height, width) of its images; others are resized on the device. variables: what `answer` is
    given the values of. weight: its share in the loss, 0-1. token: whether a head of its own learns from it.
    """

    whence: str
    size: tuple[int, int]
    answer: Answer
    variables: Sequence[keras.Variable]
    loss: Loss
    weight: float
    token: bool = False

    def answers(self, values: Sequence[tf.Tensor], pixels: tf.Tensor) -> tf.Tensor:
        """Logits [batch, classes] of pixels 0-255 float32 [batch, height, width, channels] of any size."""
        if tuple(pixels.shape[1:3]) != self.size:
            pixels = tf.image.resize(pixels, self.size)  # bilinear, which XLA knows on every device
        return self.answer(values, pixels)


def soft(answers: tf.Tensor, logits: tf.Tensor, *, temperature: float) -> tf.Tensor:
    """T ** 2 KL(softmax(answers / T) || softmax(logits / T)) [batch], in nats, of logits [batch, classes].

    The factor keeps the gradient's size whatever T is. Source: arXiv:1503.02531 section 2; arXiv:2012.12877 equation 2.
    """
    taught, own = (tf.nn.log_softmax(one / temperature) for one in (answers, logits))
    return temperature**2 * tf.reduce_sum(tf.exp(taught) * (taught - own), axis=1)


def hard(answers: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Cross-entropy [batch], in nats, of logits [batch, classes] with the class that is answered (arXiv:2012.12877 equation 3)."""
    return tf.nn.sparse_softmax_cross_entropy_with_logits(tf.argmax(answers, axis=1), logits)


def build(
    settings: TeacherSettings | None, source: Source, preset: Preset, strategy: tf.distribute.Strategy
) -> Teacher | None:
    """The teacher that the settings name. Call it once the network is built, whose seeds come first.

    source, preset: of the training images. Raises SettingsError or DataError where there is none such, or where its classes,
    their order or its channels are others.
    """
    if settings is None:
        return None
    with _named():
        whence, own, answer, variables = _found(settings, source, strategy)
        if own.channels != preset.channels:
            raise SettingsError(
                f"{whence} looks at images of {own.channels} channels, data.channels is {preset.channels}"
            )
    loss = partial(soft, temperature=settings.temperature) if settings.name == "soft" else hard
    return Teacher(whence, own.size, answer, variables, loss, settings.weight, settings.token)


def two_headed(network: keras.Model) -> Callable[..., tuple[tf.Tensor, list[tf.Tensor]]]:
    """The training pass of a distilled network: logits of the class token's head and, below them, of the distillation token's.

    (weights, rest, images) -> (logits [2 rows, classes], rest). Raises SettingsError for a network with one head.
    """
    if not {layer.name for layer in network.layers}.issuperset(HEADS):
        raise SettingsError(
            f"teacher.token: {network.name} has no distillation token, as deit_*_distilled_* have; leave it out"
        )
    both = keras.Model(network.inputs, [network.get_layer(head).output for head in HEADS])

    def forward(
        weights: list[tf.Tensor], rest: list[tf.Tensor], images: tf.Tensor
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        logits, after = both.stateless_call(weights, rest, images, training=True)
        return tf.concat(logits, axis=0), after

    return forward


@contextmanager
def _named() -> Iterator[None]:
    """Let an error say that it is about the teacher: its network is found as any other."""
    try:
        yield
    except (SettingsError, DataError) as error:
        raise type(error)(f"teacher: {error}") from error


def _found(
    settings: TeacherSettings, source: Source, strategy: tf.distribute.Strategy
) -> tuple[str, Preset, Answer, Sequence[keras.Variable]]:
    if settings.source is not None and (settings.source / SAVED_MODEL).is_file():
        return _saved_model(settings.source, source, whole=settings.name == "soft")
    with strategy.scope():
        return _published(settings, source) if settings.network is not None else _run(settings.source, source)


def _run(path: Path, source: Source) -> tuple[str, Preset, Answer, Sequence[keras.Variable]]:
    if not (path / "settings.yaml").is_file():
        raise SettingsError(f"{path}: neither a run's folder nor a SavedModel's, which holds {SAVED_MODEL}")
    folder = run_folder.opened(path)
    if not folder.model_file.is_file():  # What it will have learned at its end is not known now.
        raise SettingsError(f"{path}: not a finished run: {folder.model_file.name} is missing")
    _require_order(str(path), folder.classes.identifiers, source.classes)
    preset = folder.preset.evaluation
    network = saved.load(folder.model_file, preset.input_shape)
    return f"{path} ({network.name})", preset, *answering(network, preset)


def _published(settings: TeacherSettings, source: Source) -> tuple[str, Preset, Answer, Sequence[keras.Variable]]:
    networks.require_known(settings.network)
    model = ModelSettings(name=settings.network, weights=settings.weights or Path(PUBLISHED))
    own = Settings(model=model)
    origin = networks.origin_of(own)
    whence = f"{settings.network} from {origin.whence}"
    if origin.classes is None or origin.preset is None:
        raise SettingsError(
            f"{whence}: does not say which classes it knows, or how it wants its images; a run's folder does"
        )
    _require_order(whence, origin.classes, source.classes)
    preset = networks.preset_of(own, origin).evaluation
    network, _ = networks.build(own, preset, origin, source.classes)
    return whence, preset, *answering(network, preset)


def answering(network: keras.Model, preset: Preset) -> tuple[Answer, Sequence[keras.Variable]]:
    """What answers as the network does in evaluation, and the variables whose values it takes."""
    learned, inference = len(network.trainable_variables), folding.inference(network)

    def answer(values: Sequence[tf.Tensor], pixels: tf.Tensor) -> tf.Tensor:
        def forward(images: tf.Tensor) -> tf.Tensor:
            with folding.holding(network, values[:learned], values[learned:]):
                return inference(images)

        return logits_of(forward, pixels, preset)

    return answer, [*network.trainable_variables, *network.non_trainable_variables]


def _saved_model(path: Path, source: Source, *, whole: bool) -> tuple[str, Preset, Answer, Sequence[keras.Variable]]:
    """A SavedModel's signature `images`, its weights constants of it; whole: whether all its probabilities are needed."""
    try:
        loaded = tf.saved_model.load(str(path))  # Its signature does not keep the variables alive by itself.
        signature = loaded.signatures["images"]
    except (OSError, KeyError, ValueError, tf.errors.OpError) as error:
        raise DataError(f"{path}: no SavedModel with a signature `images`, as export makes it") from error
    names = next((held for held in signature.captured_inputs if held.dtype == tf.string), None)
    if names is None or not {"probabilities", "labels"} <= signature.structured_outputs.keys():
        raise DataError(f"{path}: its signature `images` does not answer as one that export has made")
    _require_order(str(path), [name.decode() for name in names.numpy()], source.class_names)
    classes, told = len(source.classes), signature.structured_outputs["labels"].shape[1]
    if whole and told < classes:
        raise SettingsError(
            f"{path}: a SavedModel answers with its {told} most probable of {classes} classes; take teacher.name hard, or its run"
        )
    ask = _pure(signature)

    def answer(values: Sequence[tf.Tensor], pixels: tf.Tensor) -> tf.Tensor:
        labels, probabilities = ask(pixels)
        spread = tf.reduce_sum(tf.one_hot(labels, classes) * probabilities[..., tf.newaxis], axis=1)
        return tf.math.log(tf.maximum(spread, LEAST_PROBABILITY))

    _, height, width, channels = signature.structured_input_signature[1]["images"].shape
    return str(path), Preset(size=(height, width), channels=channels), answer, ()


def _pure(signature: Callable) -> Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]:
    """Images to labels and probabilities, without variables, which belong to one device, and names, which XLA does not know."""
    frozen = convert_variables_to_constants_v2(signature)
    outputs = dict(zip(sorted(signature.structured_outputs), frozen.outputs, strict=True))
    graph = frozen.graph.as_graph_def()
    whole = tf.compat.v1.wrap_function(lambda: tf.graph_util.import_graph_def(graph, name=""), [])
    inside = whole.graph.as_graph_element
    return whole.prune(
        [inside(tensor.name) for tensor in frozen.inputs],
        [inside(outputs[name].name) for name in ("labels", "probabilities")],
    )


def _require_order(whence: str, known: Sequence[str], wanted: Sequence[str]) -> None:
    if tuple(known) != tuple(wanted):
        raise DataError(
            f"{whence}: its {len(known)} classes are not the data's {len(wanted)}, or in another order; data.source.classes "
            "names a file that fixes the order"
        )
