"""Fine-tuning: which layers stand still, and how fast the others learn by their depth."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from keras_imagenet.errors import SettingsError, nearest

if TYPE_CHECKING:
    import keras

_GROUP = re.compile(r"(?:stage\d+_)?block\d+(?=_|$)|stage\d+(?=_|$)")


def freeze(model: keras.Model, patterns: Sequence[str]) -> list[str]:
    """Make layers untrainable and return their names, of those that have weights.

    A pattern is a layer's name, the beginning of one up to an underscore (stem, stage1, stage1_block2), or has
    wildcards (stage[12]_*, *_norm). A frozen batch normalisation uses its moving statistics and does not change them.
    Raises SettingsError for a pattern that fits no layer with weights, or where nothing is left to learn.
    """
    names = [layer.name for layer in model.layers if layer.weights]
    frozen: set[str] = set()
    for pattern in patterns:
        fitting = {name for name in names if fnmatch.fnmatchcase(name, pattern) or name.startswith(f"{pattern}_")}
        if not fitting:
            known = dict.fromkeys([*names, *(name.partition("_")[0] for name in names), *map(_beginning, names)])
            hint = nearest(pattern, filter(None, known)) or f"; its layers are {names[0]} to {names[-1]}"
            raise SettingsError(f"model.freeze: {pattern!r} fits no layer of {model.name}{hint}")
        frozen |= fitting
    for name in frozen:
        model.get_layer(name).trainable = False
    if frozen and not model.trainable_variables:
        raise SettingsError(f"model.freeze = {list(patterns)}: freezes every layer, and nothing is left to learn")
    return [name for name in names if name in frozen]


def depth_factors(model: keras.Model, decay: float) -> dict[str, float]:
    """Factors on the learning rate by the path of each trainable weight: decay ** (how many groups follow its own).

    Groups are the stem, each block (or stage, where a stage has no blocks), and what comes after the last; the last
    learns at the full rate (layer-wise decay: arXiv:2106.08254, appendix; decay in (0, 1]).
    """
    depths = _depths(model)
    last = max(depths.values(), default=0)
    return {
        variable.path: decay ** (last - depths[variable.path.partition("/")[0]])
        for variable in model.trainable_variables
    }


def parts(model: keras.Model) -> dict[str, str]:
    """The part of the network that each layer with weights belongs to, in the graph's order: stem, then each stage (or block,
    where there are no stages), then head. A network without either has each of its layers for a part."""
    names = [layer.name for layer in model.layers if layer.weights]
    own = [_beginning(name).partition("_")[0] for name in names]
    if not any(own):
        return {name: name for name in names}
    last, found, current = max(index for index, part in enumerate(own) if part), {}, "stem"
    for index, (name, part) in enumerate(zip(names, own, strict=True)):
        current = part or (current if index < last else "head")
        found[name] = current
    return found


def _depths(model: keras.Model) -> dict[str, int]:
    """Group of each layer with weights: 0 the stem, then blocks in the graph's order, then the head."""
    names = [layer.name for layer in model.layers if layer.weights]
    groups = [_beginning(name) for name in names]
    order: list[str] = []
    for group in groups:
        if group and group not in order:
            order.append(group)
    # A stage's own layers, such as a downsampling before its first block, go with that block.
    first_blocks = {group: next((other for other in order if other.startswith(f"{group}_")), group) for group in order}
    order = [group for group in order if first_blocks[group] == group]
    numbers = {group: order.index(first_blocks[group]) + 1 for group in first_blocks}
    last_grouped = max((index for index, group in enumerate(groups) if group), default=-1)
    depths, current = {}, 0
    for index, (name, group) in enumerate(zip(names, groups, strict=True)):
        current = numbers[group] if group else current
        depths[name] = current if group or index < last_grouped else len(order) + 1
    return depths


def _beginning(name: str) -> str:
    found = _GROUP.match(name)
    return found[0] if found else ""
