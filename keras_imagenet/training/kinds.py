"""What the weights of a network are, by their paths and shapes: what decay, rates and clipping go by."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from keras_imagenet.errors import SettingsError, nearest
from keras_imagenet.models.weights.fitting import HEADS
from keras_imagenet.settings.optimizer import SPARED

if TYPE_CHECKING:
    import keras

EMBEDDING = re.compile(r"(?:^|[/_])(?:positions|token)/kernel$")


def kind(variable: keras.Variable) -> str:
    """norms, biases, embeddings (positions, Swin's biases by distance, tokens), layer_scales, or kernels.

    By the names that Keras' layers and models.parameters give; a layer scale is what else extends along one axis only.
    """
    name = variable.path.rpartition("/")[2]
    if name in ("gamma", "beta"):
        return "norms"
    if name == "bias":
        return "biases"
    if EMBEDDING.search(variable.path):
        return "embeddings"
    return "layer_scales" if sum(size > 1 for size in variable.shape) < 2 else "kernels"


def layer(variable: keras.Variable) -> str:
    """The name of the network's layer that it belongs to."""
    return variable.path.partition("/")[0]


def fits(pattern: str, variable: keras.Variable) -> bool:
    """Whether a pattern is the variable's kind, or fits its path (stem_conv/kernel) or its layer's name (stem_*)."""
    names = (kind(variable),) if pattern in SPARED else (variable.path, layer(variable))
    return any(fnmatch.fnmatchcase(name, pattern) for name in names)


def fitting(patterns: Iterable[str], variables: Sequence[keras.Variable], setting: str) -> list[list[str]]:
    """For each variable the patterns that fit it. Raises SettingsError, naming the setting, for one that fits nothing.

    A kind, such as norms, may fit nothing: recipes name kinds for any network.
    """
    for pattern in patterns:
        if pattern not in SPARED and not any(fits(pattern, variable) for variable in variables):
            known = [*SPARED, *dict.fromkeys(map(layer, variables)), *(variable.path for variable in variables)]
            hint = nearest(pattern, known) or f"; such as {known[4]} or {known[-1]}"
            raise SettingsError(f"{setting}: {pattern!r} fits no weight that learns{hint}")
    return [[pattern for pattern in patterns if fits(pattern, variable)] for variable in variables]


def of_head(variables: Sequence[keras.Variable], among: Sequence[keras.Variable]) -> list[bool]:
    """Which weights belong to the layers that give logits: the last, or ours by name. among: all of the network's, in order,
    since those that learn may be a part in the middle."""
    heads = {*HEADS, *(layer(variable) for variable in among[-1:])}
    return [layer(variable) in heads for variable in variables]


def of_matrices(variables: Sequence[keras.Variable], among: Sequence[keras.Variable]) -> list[bool]:
    """Which weights are hidden matrices: kernels but the first layer's, the head's, and depthwise ones. among: as of_head."""
    return [
        kind(variable) == "kernels" and variable.shape[-1] > 1 and layer(variable) != layer(among[0]) and not head
        for variable, head in zip(variables, of_head(variables, among), strict=True)
    ]
