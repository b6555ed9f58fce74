"""A tensor that is still in its file, and what the readers of all formats share.

Nothing in a file is executed, and what it claims of itself is checked before anything is allocated by it.
"""

from __future__ import annotations

import contextlib
import mmap
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

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
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)
"""What reading a damaged file may raise."""


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


def float32_of_bfloat16(bits: np.ndarray) -> np.ndarray:
    """bfloat16 as uint16 to float32: the same bits with sixteen zeros behind."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


def mapped(path: Path, stack: contextlib.ExitStack) -> mmap.mmap:
    """The file in memory, read-only, without reading it; ValueError if it is empty."""
    file = stack.enter_context(path.open("rb"))
    # Left to the garbage collector: arrays may still look into it when the stack unwinds.
    return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def stored_member(archive: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
    """A member that is not compressed, so that it cannot be larger than the file; ValueError otherwise."""
    info = archive.getinfo(name)
    if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
        raise ValueError(f"{name} is compressed")
    return info
