"""From an origin's tensors to our layers: which goes where, whether it fits, and how it is turned.

Everything is matched and its shape compared before anything is read or assigned: a network is loaded whole or not at
all, and never is more read than the network has room for.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import keras
import numpy as np

from keras_imagenet.errors import DataError, SettingsError
from keras_imagenet.models.weights.table import Table, modules
from keras_imagenet.models.weights.tensor import DAMAGE, Tensor, Tensors

Layout = Literal["torch", "keras", "ours"]
Turn = Callable[[np.ndarray], np.ndarray]

HEADS = ("logits", "logits_distilled")
MAXIMUM_POSITIONS = 2**16
"""Embeddings of a grid that is interpolated: those of 4,096 x 4,096 pixels in patches of 16."""
FLATTENED = "hidden1"
"""The linear layer on a flattened feature map, in AlexNet and VGG."""

TORCH_SUFFIXES = {
    "kernel": "weight",
    "bias": "bias",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
ROWS = re.compile(r"\[(\d)/(\d)\]$")


@dataclass(frozen=True)
class Fitted:
    """What was done besides copying. new_head: logits keep their fresh weights, since the file has other classes.

    channels: the stem was adapted to another number of input channels. positions: embeddings were interpolated.
    """

    new_head: bool
    channels: bool
    positions: bool


@dataclass(frozen=True)
class _Move:
    variable: Any
    key: str
    tensor: Tensor
    turn: Turn


def fit(model: keras.Model, tensors: Tensors, table: Table | None, layout: Layout, where: str) -> Fitted:
    """Give the model's weights the values of the tensors that the table names for them (None: our own names).

    Raises SettingsError with the tensor's name for one that is missing, left over or of another shape.
    """
    owners = _owners(model)
    try:
        named = modules(table, list(owners)) if table else {owner: (owner,) for owner in owners}
    except KeyError as error:
        raise SettingsError(f"{where}: no table says where the weights of layer {error.args[0]} are") from error
    moves = []
    done = {"new_head": False, "channels": False, "positions": False}
    used: set[str] = set()
    stem = next(iter(owners))
    for owner, variables in owners.items():
        for index, variable in enumerate(variables):
            key, part = _key(owner, index, variable, named[owner], tensors, layout)
            if owner in HEADS and (key not in tensors or _head_size(tensors[key], layout) != variable.shape[-1]):
                done["new_head"] = True
                used.add(key)
                continue
            if key not in tensors:
                raise SettingsError(f"{where}: tensor {key} is missing (for our layer {owner})")
            used.add(key)
            turn, shape = _turn(owner, variable, tensors[key].shape, part, layout)
            wanted = tuple(variable.shape)
            if owner == FLATTENED and variable.name == "kernel" and layout == "torch":
                turn = _then(turn, lambda kernel: channels_last(kernel, _map_before(model)))
            if owner == stem and _only_channels_differ(shape, wanted):
                turn, shape = _then(turn, lambda kernel, count=wanted[2]: adapt_channels(kernel, count)), wanted
                done["channels"] = True
            if owner == "positions" and shape[0] == wanted[0] and shape[-1] == wanted[-1] and shape[1] != wanted[1]:
                grid = _grid(model)
                tokens = wanted[1] - math.prod(grid)
                _require_grid(shape[1] - tokens, key, where)
                resized = functools.partial(interpolate_positions, grid=grid, tokens=tokens)
                turn, shape = _then(turn, resized), wanted
                done["positions"] = True
            if table and table.flip and owner == stem and variable.name == "kernel":
                turn = _then(turn, lambda kernel: kernel[:, :, ::-1])
            if _squeezed(shape) != _squeezed(wanted):
                raise SettingsError(
                    f"{where}: tensor {key} has shape {list(tensors[key].shape)}, "
                    f"layer {owner} of {model.name} has {list(wanted)}"
                )
            moves.append(_Move(variable, key, tensors[key], turn))
    _require_all_used(tensors, used, table, HEADS[0] in owners, where)
    for move in moves:
        move.variable.assign(_value(move, where))
    return Fitted(**done)


def channels_last(kernel: np.ndarray, map_shape: tuple[int, int, int]) -> np.ndarray:
    """A linear kernel [channels * height * width, units], for torch's flattened map, in the order of ours.

    map_shape: (height, width, channels) of the map.
    """
    height, width, channels = map_shape
    by_axis = kernel.reshape(channels, height, width, -1)
    return by_axis.transpose(1, 2, 0, 3).reshape(kernel.shape)


def _value(move: _Move, where: str) -> np.ndarray:
    try:
        values = move.turn(np.asarray(move.tensor.read(), np.float32)).reshape(move.variable.shape)
    except DAMAGE as error:
        raise DataError(f"{where}: tensor {move.key} cannot be read: {str(error).splitlines()[0]}") from error
    if not np.isfinite(values).all():
        raise DataError(f"{where}: tensor {move.key} holds numbers that are not finite")
    return values


def adapt_channels(kernel: np.ndarray, channels: int) -> np.ndarray:
    """A stem kernel [height, width, input, output] for `channels` input channels.

    For one channel the sum, so that a grey image gives what it gave as RGB; for others the channels in turn, scaled so
    that the sum stays.
    """
    before = kernel.shape[2]
    if channels == 1:
        return kernel.sum(2, keepdims=True)
    return kernel[:, :, np.arange(channels) % before] * (before / channels)


def interpolate_positions(positions: np.ndarray, grid: tuple[int, int], tokens: int) -> np.ndarray:
    """Embeddings [1, tokens + side * side, channels], the tokens' first, to [1, tokens + height * width, channels].

    Bicubic, with the kernel widened when shrinking, as timm's resample_abs_pos_embed.
    """
    kept, rest = positions[:, :tokens], positions[:, tokens:]
    side = math.isqrt(rest.shape[1])
    image = rest.reshape(1, side, side, -1).astype(np.float32)
    resized = keras.ops.image.resize(image, grid, interpolation="bicubic", antialias=True, data_format="channels_last")
    return np.concatenate([kept, np.asarray(resized).reshape(1, grid[0] * grid[1], -1)], axis=1)


def _owners(model: keras.Model) -> dict[str, list[Any]]:
    """Weights by what holds them: a layer's name, or LAYER/PART for attention."""
    owners: dict[str, list[Any]] = {}
    for variable in model.weights:
        if "seed_generator" not in variable.path:
            owners.setdefault(variable.path.rpartition("/")[0], []).append(variable)
    return owners


def _key(
    owner: str, index: int, variable: Any, alternatives: tuple[str, ...], tensors: Tensors, layout: Layout
) -> tuple[str, re.Match[str] | None]:
    """The tensor's name, the first alternative's if none is there, and which part of its rows is meant."""
    keys = []
    for module in alternatives:
        part = ROWS.search(module)
        module = module.removesuffix(part[0]) if part else module
        if layout == "ours":
            keys += [(f"{module}/{variable.name}", part), (f"{module}/{index}", part)]
        elif _is_parameter(owner, variable):
            keys.append((module, part))
        elif layout == "keras":
            keys.append((f"{module}/{variable.name}", part))
        else:
            suffix = TORCH_SUFFIXES[variable.name]
            keys.append((f"{module}{suffix}" if module.endswith("_") else f"{module}.{suffix}", part))
    return next((candidate for candidate in keys if candidate[0] in tensors), keys[0])


def _is_parameter(owner: str, variable: Any) -> bool:
    """Whether a kernel is a learned tensor by itself: see keras_imagenet.models.parameters."""
    return bool(re.search(r"(?:^|_)(?:positions|token|scale\d?)$", owner))


def _turn(
    owner: str, variable: Any, shape: tuple[int, ...], part: re.Match[str] | None, layout: Layout
) -> tuple[Turn, tuple[int, ...]]:
    """How the tensor becomes the variable's value, and the shape that it then has."""
    wanted = tuple(variable.shape)
    first: Turn = _same
    if part and shape and shape[0] % int(part[2]) == 0:
        rows, number = shape[0] // int(part[2]), int(part[1])
        first, shape = (lambda values: values[number * rows : (number + 1) * rows]), (rows, *shape[1:])
    if layout != "torch" or variable.name != "kernel" or _is_parameter(owner, variable):
        return _folded(first, shape, wanted)
    if len(shape) == 4 and len(wanted) == 4:
        # [output, input, height, width]; a depthwise kernel is [channels, 1, height, width] there, [..., channels, 1] here.
        depthwise = shape[1] == 1 and wanted[3] == 1 and shape[0] == wanted[2]
        axes = (2, 3, 0, 1) if depthwise else (2, 3, 1, 0)
        return _then(first, lambda values: values.transpose(axes)), tuple(shape[axis] for axis in axes)
    # Linear: [output, input], as a 1x1 convolution with two axes more.
    if len(shape) == 4 and shape[2:] == (1, 1):
        first, shape = _then(first, lambda values: values[:, :, 0, 0]), shape[:2]
    if len(shape) != 2:
        return first, shape
    return _folded(_then(first, np.transpose), shape[::-1], wanted)


def _folded(turn: Turn, shape: tuple[int, ...], wanted: tuple[int, ...]) -> tuple[Turn, tuple[int, ...]]:
    """Attention's kernels and biases are by head here: [input, heads, size], [heads, size, output], [heads, size]."""
    folds = {(math.prod(wanted),), (wanted[0], math.prod(wanted[1:])), (math.prod(wanted[:-1]), wanted[-1])}
    return (turn, wanted) if len(wanted) in (2, 3) and len(shape) < len(wanted) and shape in folds else (turn, shape)


def _same(values: np.ndarray) -> np.ndarray:
    return values


def _then(first: Turn, second: Turn) -> Turn:
    return lambda values: second(first(values))


def _squeezed(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(size for size in shape if size != 1)


def _head_size(tensor: Tensor, layout: Layout) -> int:
    sizes = tensor.shape
    return sizes[0] if layout == "torch" else sizes[-1]


def _only_channels_differ(shape: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    return (
        len(shape) == 4
        and shape[:2] == wanted[:2]
        and shape[3:] == wanted[3:]
        and shape[2] != wanted[2]
        and shape[2] == 3
    )


def _grid(model: keras.Model) -> tuple[int, int]:
    height, width = model.get_layer("patch_embedding").output.shape[1:3]
    return height, width


def _map_before(model: keras.Model) -> tuple[int, int, int]:
    return tuple(model.get_layer("flatten").input.shape[1:])


def _require_grid(positions: int, key: str, where: str) -> None:
    if positions > MAXIMUM_POSITIONS:
        raise SettingsError(f"{where}: tensor {key} has {positions:,} positions, which no image has")
    if math.isqrt(positions) ** 2 != positions:
        raise SettingsError(f"{where}: tensor {key} has {positions} positions, which are not a square to interpolate")


def _require_all_used(tensors: Tensors, used: set[str], table: Table | None, has_head: bool, where: str) -> None:
    unused = [r".*num_batches_tracked", *(table.unused if table else ())]
    if not has_head:
        heads = [theirs for ours, theirs in table.lines if ours in HEADS] if table else HEADS
        unused += [re.escape(head) + r"[./].*" for head in heads]
    left = [key for key in tensors if key not in used and not any(re.fullmatch(each, key) for each in unused)]
    if left:
        raise SettingsError(
            f"{where}: tensor {left[0]} and {len(left) - 1} more have no place in the network"
            if len(left) > 1
            else f"{where}: tensor {left[0]} has no place in the network"
        )
