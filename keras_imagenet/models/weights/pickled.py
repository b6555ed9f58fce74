"""What a pickle of torch's describes, without unpickling it.

A pickle is a program for a stack machine. Here its instructions are only read: dictionaries, lists, numbers and names are
put together, a call of torch's function that rebuilds a tensor becomes a View, and every other call becomes an inert
mark that nothing follows. Whatever a program does, it takes time and memory in proportion to its instructions, and of
those there are at most MAXIMUM_INSTRUCTIONS.
"""

from __future__ import annotations

import pickletools
from dataclasses import dataclass, field
from typing import Any

from keras_imagenet.models.weights.tensor import MAXIMUM_NAME, MAXIMUM_RANK

MAXIMUM_INSTRUCTIONS = 2_000_000
"""Some fifty for each tensor, and as many for what an optimizer keeps of it."""
MAXIMUM_KEY = 2**31
"""Integers up to here may be keys; larger ones could be chosen so that a dictionary takes for ever."""

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


_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_EMPTY = {"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple, "EMPTY_SET": list}
_LITERALS = ("BININT", "LONG", "INT", "BINFLOAT", "BINUNICODE", "SHORT_BIN", "BINSTRING")


@dataclass(frozen=True)
class _Machine:
    """What the pickle's program works on. Raises ValueError where the program takes what is not there."""

    stack: list[Any] = field(default_factory=list)
    marks: list[int] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)

    def pop(self, count: int) -> tuple[Any, ...]:
        values = tuple(self.stack[-count:])
        if len(values) < count:
            raise ValueError("its pickle is damaged")
        del self.stack[-count:]
        return values

    def since_mark(self) -> list[Any]:
        if not self.marks:
            raise ValueError("its pickle is damaged")
        position = self.marks.pop()
        values = self.stack[position:]
        del self.stack[position:]
        return values


def read(program: Any) -> Any:
    """What one pickle describes, from bytes or an open map. Raises ValueError for one that does more than torch.save asks."""
    machine = _Machine()
    for number, (opcode, argument, _) in enumerate(pickletools.genops(program)):
        if opcode.name == "STOP":
            return machine.pop(1)[0]
        if number == MAXIMUM_INSTRUCTIONS:
            raise ValueError(f"its pickle has more than {MAXIMUM_INSTRUCTIONS:,} instructions")
        _follow(machine, opcode.name, argument)
    raise ValueError("its pickle has no end")


def _follow(machine: _Machine, name: str, argument: Any) -> None:
    """One instruction; ValueError for one that tensors do not need."""
    stack, memo = machine.stack, machine.memo
    match name:
        case "PROTO" | "FRAME":
            pass
        case "MARK":
            machine.marks.append(len(stack))
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
            stack.append(_name(*machine.pop(2)))
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
    return {key: value for key, value in pairs if _is_name(key) or _is_count(key, MAXIMUM_KEY)}


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= MAXIMUM_NAME


def _is_shape(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) <= MAXIMUM_RANK and all(_is_count(size, 2**63) for size in value)


def _is_count(value: Any, limit: int) -> bool:
    return isinstance(value, int) and 0 <= value < limit


def _name(module: Any, attribute: Any) -> Name:
    # Anything else would become a text here, as long as a program likes.
    if not _is_name(module) or not _is_name(attribute):
        raise ValueError("its pickle is damaged")
    return Name(f"{module} {attribute}")


def _called(function: Any, arguments: Any) -> Any:
    path = function.path if isinstance(function, Name | Inert) else ""
    if path == "collections OrderedDict":
        return {}
    if path == "torch._utils _rebuild_tensor_v2":
        storage, offset, *sizes = arguments[:4]
        if not isinstance(storage, Storage) or not all(map(_is_shape, sizes)) or not _is_count(offset, 2**63):
            raise ValueError("a tensor has a shape that is not one of whole numbers")
        return View(storage, offset, *sizes)
    if path == "torch._utils _rebuild_parameter":
        return arguments[0]
    return Inert(path)


def _storage(identity: Any) -> Storage:
    if not isinstance(identity, tuple) or not 5 <= len(identity) <= 6:
        raise ValueError("its pickle is damaged")
    kind, storage_type, key, _, count, *view = identity
    if kind != "storage" or not isinstance(storage_type, Name) or storage_type.path not in STORAGE_TYPES:
        raise ValueError("a storage is of no known type")
    if not (_is_name(key) or _is_count(key, MAXIMUM_KEY)) or not _is_count(count, 2**63):
        raise ValueError("a storage has no name or no size")
    if view and view[0] is not None:
        raise ValueError("a storage is a view of another")
    return Storage(storage_type.path, str(key), count)
