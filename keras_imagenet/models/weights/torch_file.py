"""Tensors of a file that torch.save wrote, without torch and without unpickling.

Such a file holds a pickle, a program for a stack machine. Here its instructions are only read: dictionaries, lists,
numbers and names are put together, a call of torch's function that rebuilds a tensor becomes a Tensor, and every other
call becomes an inert mark that nothing follows. Both layouts are known: zip archives, since torch 1.6, and before it
several pickles followed by the storages.
"""

from __future__ import annotations

import contextlib
import math
import mmap
import pickletools
import re
import struct
import zipfile
from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from keras_imagenet.models.weights.tensor import Tensor, Tensors, float32_of_bfloat16, mapped, stored_member

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
STORAGE_TYPES = {
    "torch DoubleStorage": "<f8",
    "torch FloatStorage": "<f4",
    "torch HalfStorage": "<f2",
    "torch BFloat16Storage": "<u2",
    "torch LongStorage": "<i8",
    "torch IntStorage": "<i4",
    "torch ShortStorage": "<i2",
    "torch CharStorage": "<i1",
    "torch ByteStorage": "<u1",
    "torch BoolStorage": "<?",
}
AVERAGED = r"(?i)(?<![a-z])(ema|swa|averaged?)(?![a-z])"
CONTAINERS = ("^state_dict_ema$", "^model_ema$", AVERAGED, "^state_dict$", "^model$", "^(model_state_dict|module)$")
"""Where training checkpoints keep the network's tensors; the first counts, as in timm's load_state_dict."""


@dataclass(frozen=True)
class Name:
    """A global that the pickle names: 'module attribute'."""

    path: str


@dataclass(frozen=True)
class Inert:
    """What a call that is not followed would have made."""

    path: str


@dataclass(frozen=True)
class Storage:
    """Numbers in the file: their type and how many there are; `bytes_of` finds them."""

    type: str
    key: str
    count: int


@dataclass(frozen=True)
class View:
    """A tensor: elements of a storage from an offset on, with shape and strides in elements."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


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
    content = _content(archive.read(stored_member(archive, program)))
    return content, lambda storage: archive.read(stored_member(archive, f"{prefix}data/{storage.key}"))


def _legacy(data: mmap.mmap) -> tuple[Any, BytesOf]:
    if _content(data) != LEGACY_MAGIC:
        raise ValueError("torch.save did not write it")
    _content(data)  # the protocol's version
    _content(data)  # sizes of C's types on the writing machine
    content = _content(data)
    keys = _content(data)
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
    numbers = (view.offset, *view.shape, *view.strides, view.storage.count)
    if not all(isinstance(number, int) and number >= 0 for number in numbers):
        raise ValueError(f"{name} has a shape that is not one of whole numbers")
    if math.prod(view.shape) and last >= view.storage.count:
        raise ValueError(f"{name} lies outside its storage")
    dtype = np.dtype(STORAGE_TYPES[view.storage.type])

    def read() -> np.ndarray:
        elements = np.frombuffer(bytes_of(view.storage), dtype, view.storage.count)[view.offset :]
        strides = tuple(stride * dtype.itemsize for stride in view.strides)
        values = np.lib.stride_tricks.as_strided(elements, view.shape, strides, writeable=False)
        return float32_of_bfloat16(values) if view.storage.type == "torch BFloat16Storage" else values

    return Tensor(view.shape, read)


_MARK = object()
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_EMPTY = {"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple, "EMPTY_SET": list}
_LITERALS = ("BININT", "LONG", "INT", "BINFLOAT", "BINUNICODE", "SHORT_BIN", "BINSTRING")


@dataclass(frozen=True)
class _Machine:
    """What the pickle's program works on. Raises ValueError where the program takes what is not there."""

    stack: list[Any] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)

    def pop(self, count: int) -> tuple[Any, ...]:
        values = tuple(self.stack[len(self.stack) - count :])
        if len(values) < count:
            raise ValueError("its pickle is damaged")
        del self.stack[len(self.stack) - count :]
        return values

    def since_mark(self) -> list[Any]:
        if not any(value is _MARK for value in self.stack):
            raise ValueError("its pickle is damaged")
        position = len(self.stack) - 1 - next(i for i, value in enumerate(reversed(self.stack)) if value is _MARK)
        values = self.stack[position + 1 :]
        del self.stack[position:]
        return values


def _content(program: Any) -> Any:
    """What one pickle describes, from bytes or an open map; see the module."""
    machine = _Machine()
    for opcode, argument, _ in pickletools.genops(program):
        if opcode.name == "STOP":
            return machine.pop(1)[0]
        _follow(machine, opcode.name, argument)
    raise ValueError("its pickle has no end")


def _follow(machine: _Machine, name: str, argument: Any) -> None:
    """One instruction; ValueError for one that tensors do not need."""
    stack, memo = machine.stack, machine.memo
    match name:
        case "PROTO" | "FRAME":
            pass
        case "MARK":
            stack.append(_MARK)
        case _ if name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        case _ if name in _EMPTY:
            stack.append(_EMPTY[name]())
        case "TUPLE":
            stack.append(tuple(machine.since_mark()))
        case "LIST":
            stack.append(machine.since_mark())
        case "DICT":
            stack.append(_dictionary(machine.since_mark()))
        case "TUPLE1" | "TUPLE2" | "TUPLE3":
            stack.append(machine.pop(int(name[-1])))
        case "APPEND" | "APPENDS" | "ADDITEMS":
            values = list(machine.pop(1)) if name == "APPEND" else machine.since_mark()
            if isinstance(stack[-1], list):
                stack[-1].extend(values)
        case "SETITEM" | "SETITEMS":
            values = list(machine.pop(2)) if name == "SETITEM" else machine.since_mark()
            if isinstance(stack[-1], dict):
                stack[-1].update(_dictionary(values))
        case "GLOBAL":
            stack.append(Name(argument))
        case "STACK_GLOBAL":
            stack.append(Name(" ".join(map(str, machine.pop(2)))))
        case "REDUCE" | "NEWOBJ":
            stack.append(_called(*machine.pop(2)))
        case "BUILD":
            machine.pop(1)  # attributes, such as a state dictionary's version numbers
        case "BINPERSID":
            stack.append(_storage(*machine.pop(1)))
        case "BINPUT" | "LONG_BINPUT":
            memo[argument] = stack[-1]
        case "MEMOIZE":
            memo[len(memo)] = stack[-1]
        case "BINGET" | "LONG_BINGET":
            stack.append(memo[argument])
        case _ if name.startswith(_LITERALS):
            stack.append(argument)
        case _:
            raise ValueError(f"its pickle has the instruction {name}, which tensors do not need")


def _dictionary(values: list[Any]) -> dict[Any, Any]:
    pairs = zip(values[::2], values[1::2], strict=True)
    return {key: value for key, value in pairs if isinstance(key, str | int)}


def _called(function: Any, arguments: Any) -> Any:
    path = function.path if isinstance(function, Name | Inert) else ""
    if path == "collections OrderedDict":
        return {}
    if path == "torch._utils _rebuild_tensor_v2":
        storage, offset, shape, strides = arguments[:4]
        if isinstance(storage, Storage) and isinstance(shape, tuple) and isinstance(strides, tuple):
            return View(storage, offset, shape, strides)
    if path == "torch._utils _rebuild_parameter":
        return arguments[0]
    return Inert(path)


def _storage(identity: Any) -> Storage:
    kind, storage_type, key, _, count, *view = identity
    if kind != "storage" or not isinstance(storage_type, Name) or storage_type.path not in STORAGE_TYPES:
        raise ValueError("a storage is of no known type")
    if view and view[0] is not None:
        raise ValueError("a storage is a view of another")
    return Storage(storage_type.path, str(key), int(count))
