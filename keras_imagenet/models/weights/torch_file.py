"""Tensors of a file that torch.save wrote, without torch and without unpickling.

Both layouts are known: zip archives, since torch 1.6, and before it several pickles followed by the storages. torch
itself is not asked: it weighs two gigabytes, for what is a pickle (see pickled.py) and numbers behind it.
"""

from __future__ import annotations

import contextlib
import functools
import math
import mmap
import re
import struct
import zipfile
from collections.abc import Callable, Iterator, Set
from pathlib import Path
from typing import Any

import numpy as np

from keras_imagenet.models.archive import stored_member
from keras_imagenet.models.weights import pickled
from keras_imagenet.models.weights.pickled import STORAGE_TYPES, Storage, View
from keras_imagenet.models.weights.tensor import Tensor, Tensors, float32_of_bfloat16, mapped

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
AVERAGED = r"(?i)(?<![a-z])(ema|swa|averaged?)(?![a-z])"
CONTAINERS = ("^state_dict_ema$", "^model_ema$", AVERAGED, "^state_dict$", "^model$", "^(model_state_dict|module)$")
"""Where training checkpoints keep the network's tensors; the first counts, as in timm's load_state_dict."""
MAXIMUM_REPEATED = 2**20
"""Numbers that a tensor may have, beyond those of its storage, by strides of 0."""


def tensors(path: Path, stack: contextlib.ExitStack) -> Tensors:
    """Tensors by name, from the dictionary itself or from the one that it keeps the network in.

    A checkpoint's averaged weights go before the raw ones; the result's `part` says which were taken. Raises ValueError
    if the file is damaged, or holds no dictionary of tensors or several of which none is known to be the network's.
    """
    if zipfile.is_zipfile(path):
        content, bytes_of = _archive(path, stack)
    else:
        content, bytes_of = _legacy(mapped(path, stack))
    holders = {id(part) for part in _distinct(content) if isinstance(part, dict) and _views(part)}
    chosen = _network(content, holders, set())
    if chosen is None:
        raise ValueError("it holds no dictionary of tensors; save the network's state_dict()")
    views, part = chosen
    return Tensors({str(name): _tensor(str(name), view, bytes_of) for name, view in views.items()}, part)


def _network(content: Any, holders: Set[int], seen: set[int]) -> tuple[dict[Any, View], str] | None:
    """The views of the network's tensors by name, and the names of the dictionaries on the way to them; None for none.

    holders: identities of the dictionaries that hold tensors. seen: of those that were looked into.
    """
    if not isinstance(content, dict) or id(content) in seen:
        return None
    seen.add(id(content))
    inside = [key for key, value in content.items() if isinstance(key, str) and isinstance(value, dict)]
    known = [key for pattern in CONTAINERS for key in inside if re.search(pattern, key)]
    # An averaged model is one container in another: {"ema": {"module": ...}}.
    parts = ((key, found) for key in known if (found := _network(content[key], holders, seen)))
    key, found = next(parts, (None, None))
    if found is None:
        alone = [key for key in inside if id(content[key]) in holders]
        if len(alone) > 1:
            raise ValueError(f"it holds several sets of tensors: {', '.join(alone[:5])}; save the one that is meant")
        if not alone:
            return (_views(content), "") if id(content) in holders else None
        key, found = alone[0], (_views(content[alone[0]]), "")
    views, part = found
    return views, f"{key}.{part}" if part else key


def _views(content: dict[Any, Any]) -> dict[Any, View]:
    return {name: value for name, value in content.items() if isinstance(value, View)}


def _distinct(content: Any) -> Iterator[Any]:
    """What a pickle describes and all that is inside it, each thing once: a pickle may hold one thing in many places."""
    seen: set[int] = set()
    waiting = [content]
    while waiting:
        part = waiting.pop()
        if id(part) not in seen:
            seen.add(id(part))
            yield part
            waiting += part.values() if isinstance(part, dict) else part if isinstance(part, list | tuple) else ()


BytesOf = Callable[[Storage], Any]


def _archive(path: Path, stack: contextlib.ExitStack) -> tuple[Any, BytesOf]:
    archive = stack.enter_context(zipfile.ZipFile(path))
    members = archive.namelist()
    program = next((name for name in members if name.endswith("data.pkl")), None)
    if program is None:
        raise ValueError("it has no data.pkl")
    prefix = program.removesuffix("data.pkl")
    if f"{prefix}byteorder" in members and archive.read(stored_member(archive, f"{prefix}byteorder")) != b"little":
        raise ValueError("its numbers are big-endian")
    content = pickled.read(archive.read(stored_member(archive, program)))

    @functools.lru_cache(1)  # Many tensors may lie in one storage.
    def bytes_of(storage: Storage) -> bytes:
        return archive.read(stored_member(archive, f"{prefix}data/{storage.key}"))

    return content, bytes_of


def _legacy(data: mmap.mmap) -> tuple[Any, BytesOf]:
    if pickled.read(data) != LEGACY_MAGIC:
        raise ValueError("torch.save did not write it")
    pickled.read(data)  # the protocol's version
    pickled.read(data)  # sizes of C's types on the writing machine
    content = pickled.read(data)
    keys = [key for key in pickled.read(data) if isinstance(key, str)]
    sizes = {part.storage.key: part.storage for part in _distinct(content) if isinstance(part, View)}
    starts = {}
    position = data.tell()
    for key in keys:
        (count,) = struct.unpack_from("<q", data, position)
        if key not in sizes or count != sizes[key].count:
            raise ValueError(f"storage {key} does not have its size")
        starts[key] = position + 8
        position += 8 + count * np.dtype(STORAGE_TYPES[sizes[key].type]).itemsize
        if position > len(data):
            raise ValueError(f"storage {key} lies outside the file")
    return content, lambda storage: memoryview(data)[starts[storage.key] :]


def _tensor(name: str, view: View, bytes_of: BytesOf) -> Tensor:
    last = view.offset + sum((size - 1) * stride for size, stride in zip(view.shape, view.strides, strict=True))
    size = math.prod(view.shape)
    if size and last >= view.storage.count:
        raise ValueError(f"{name} lies outside its storage")
    if size > max(view.storage.count, MAXIMUM_REPEATED):
        raise ValueError(f"{name} repeats {view.storage.count:,} numbers until they are {size:,}")
    dtype = np.dtype(STORAGE_TYPES[view.storage.type])

    def read() -> np.ndarray:
        elements = np.frombuffer(bytes_of(view.storage), dtype, view.storage.count)[view.offset :]
        strides = tuple(stride * dtype.itemsize for stride in view.strides)
        values = np.lib.stride_tricks.as_strided(elements, view.shape, strides, writeable=False)
        return float32_of_bfloat16(values) if view.storage.type == "torch BFloat16Storage" else values

    return Tensor(view.shape, read)
