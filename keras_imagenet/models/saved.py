"""A network from its file, model.keras, whoever made it: no code of others runs, and nothing is allocated on trust."""

from __future__ import annotations

import math
import re
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_imagenet.errors import DataError
from keras_imagenet.models import archive

if TYPE_CHECKING:
    import keras

MODULES = re.compile(
    r"keras|keras\.(layers|initializers|regularizers|constraints|activations|dtype_policies|random|models)"
    r"|keras\.src\.(models\.\w+|ops\.[\w.]+)"
)
"""Where Keras has what networks are made of."""
HOLD_CODE = {"Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer", "__lambda__"}
READ_FILES = {"StringLookup", "IntegerLookup", "IndexLookup", "TextVectorization"}
LITERALS = {"__keras_tensor__", "__tensor__", "__numpy__", "__bytes__", "__ellipsis__", "__none__", "__slice__"}
MAXIMUM_OUTPUT = 2**28
"""Numbers that a layer may make of one image: a gigabyte in float32."""


def load(path: Path, input_shape: tuple[int, int, int] | None = None) -> keras.Model:
    """The network in a .keras file, not compiled; call under the strategy's scope.

    input_shape: (height, width, channels) of the images that it must take, if given. Raises DataError for a file that
    is damaged; for a layer that is neither Keras' nor registered with it, or that holds code or reads files; and for
    layers larger than the weights in the file.
    """
    import keras

    described = archive.config(path)
    _require_known(path, described)
    if input_shape is not None:
        archive.require_input(path, input_shape, described)
    room = archive.weight_bytes(path)
    try:
        # Variables of layers that are built here have a shape and no values yet.
        with keras.StatelessScope(initialize_variables=False):
            network = keras.saving.deserialize_keras_object(described, safe_mode=True)
            _require_room(path, network, room)
        with keras.StatelessScope():
            pass  # The end of such a scope gives every variable its first value.
        # Not from within the archive, where going back and forth costs twice the time of all else.
        with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(path) as members:
            network.load_weights(members.extract("model.weights.h5", folder))
    except DataError:
        keras.utils.clear_session()  # Else the next such scope would make the variables after all.
        raise
    except Exception as error:  # whatever Keras meets in a file that it did not write
        keras.utils.clear_session()
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise DataError(f"{path}: not a network that Keras can load: {reason:.300}") from error
    return network


def _require_known(path: Path, described: dict[str, Any]) -> None:
    """DataError, with the layer's name, for what is not Keras' own or what runs or reads something."""
    import keras

    for part in _objects(described):
        kind, module = part["class_name"], part.get("module")
        if keras.saving.get_registered_object(part.get("registered_name")) is not None or kind in LITERALS:
            continue
        if kind in HOLD_CODE | READ_FILES or not isinstance(module, str) or not MODULES.fullmatch(module):
            inside = part.get("config") if isinstance(part.get("config"), dict) else {}
            name = part.get("name") or inside.get("name") or "without a name"
            does = "reads files" if kind in READ_FILES else "may run code of whoever made it"
            known_as = f"{module}.{kind}" if module else part.get("registered_name") or kind
            raise DataError(
                f"{path}: the layer {name!s:.80} is a {known_as!s:.80}, which {does}; this program loads none such"
            )


def _objects(described: Any) -> Iterator[dict[str, Any]]:
    """Every object that a config describes, layers and what they hold."""
    waiting = [described]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict) and "class_name" in part:
            yield part
        waiting += part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()


def _require_room(path: Path, network: Any, room: int) -> None:
    """DataError if layers have more weights than the file has bytes for, or make too much of one image."""
    import keras

    if not isinstance(network, keras.Model):
        raise DataError(f"{path}: holds a {type(network).__name__}, not a network")
    numbers = {layer.name: sum(math.prod(weight.shape) for weight in layer.weights) for layer in network.layers}
    if 2 * sum(numbers.values()) > room:  # in float16, at the least
        name = max(numbers, key=numbers.__getitem__)
        raise DataError(
            f"{path}: its layers have {sum(numbers.values()):,} weights ({name:.80} alone {numbers[name]:,}), "
            f"for which the file has {room:,} bytes"
        )
    for node in _nodes(network):
        for output in node.output_tensors:
            if math.prod(size or 1 for size in output.shape[1:]) > MAXIMUM_OUTPUT:
                shape = "x".join(map(str, output.shape[1:]))
                raise DataError(f"{path}: the layer {node.operation.name:.80} makes {shape} numbers of one image")


def _nodes(network: Any) -> Iterator[Any]:
    """Every call in the graph, those in networks that are layers of it, too."""
    for operation in network.operations:
        yield from operation._inbound_nodes
        if hasattr(operation, "operations"):
            yield from _nodes(operation)
