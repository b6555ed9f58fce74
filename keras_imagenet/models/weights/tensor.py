"""A tensor that is still in its file, and what the readers of all formats share.

Nothing in a file is executed, and what it claims of itself is checked before anything is allocated by it.
"""

from __future__ import annotations

import contextlib
import mmap
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError

DAMAGE = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    EOFError,
    ArithmeticError,
    RuntimeError,
    MemoryError,
    SyntaxError,
    tokenize.TokenError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
    SafetensorError,
)
"""What reading a damaged file may raise."""
MAXIMUM_TENSORS = 2**16
MAXIMUM_NAME = 1000
"""Characters of a tensor's name."""
MAXIMUM_RANK = 64
"""Axes that numpy's arrays can have."""


@dataclass(frozen=True)
class Tensor:
    """A tensor that is still in its file."""

    shape: tuple[int, ...]
    read: Callable[[], np.ndarray]


class Tensors(dict[str, Tensor]):
    """Tensors by name. part: which of the file's sets of weights they are, such as `state_dict_ema`; '' for the only one."""

    def __init__(self, tensors: Mapping[str, Tensor] | None = None, part: str = "") -> None:
        super().__init__(tensors or {})
        self.part = part


def require_plausible(tensors: Tensors) -> None:
    """ValueError for what no network has: too many tensors, or names that are not one line of text."""
    if len(tensors) > MAXIMUM_TENSORS:
        raise ValueError(f"it holds {len(tensors):,} tensors")
    for name, tensor in tensors.items():
        if len(name) > MAXIMUM_NAME or not name.isprintable():
            raise ValueError(f"the name of a tensor is not one line of text: {name!r:.80}")
        if len(tensor.shape) > MAXIMUM_RANK:
            raise ValueError(f"{name} has {len(tensor.shape):,} axes")


def float32_of_bfloat16(bits: np.ndarray) -> np.ndarray:
    """bfloat16 as uint16 to float32: the same bits with sixteen zeros behind."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


def mapped(path: Path, stack: contextlib.ExitStack) -> mmap.mmap:
    """The file in memory, read-only, without reading it; ValueError if it is empty."""
    file = stack.enter_context(path.open("rb"))
    # Left to the garbage collector: arrays may still look into it when the stack unwinds.
    return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
