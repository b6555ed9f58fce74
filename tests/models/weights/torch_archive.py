"""Writes what torch.save writes, without torch: the pickle is put together by hand, so that it may also be hostile."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

MAGIC = 0x1950A86A20F9469CFC6C


def save(path: Path, content: Any) -> Path:
    """A zip archive, as torch writes since 1.6. content: dictionaries, lists, numbers, strings and float32 arrays."""
    arrays: list[np.ndarray] = []
    return archive(path, program(content, arrays), arrays)


def archive(path: Path, pickled: bytes, arrays: list[np.ndarray] | tuple[()] = ()) -> Path:
    """A zip archive around a pickle, whose storages are the arrays."""
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("archive/data.pkl", pickled)
        for key, array in enumerate(arrays):
            file.writestr(f"archive/data/{key}", array.tobytes())
    return path


def legacy(path: Path, pickled: bytes, arrays: list[np.ndarray] | tuple[()] = ()) -> Path:
    """Several pickles and the storages behind them, as torch wrote before 1.6."""
    head = b"".join(pickle.dumps(part, protocol=2) for part in (MAGIC, 1001, {}))
    keys = pickle.dumps([str(key) for key in range(len(arrays))], protocol=2)
    storages = b"".join(struct.pack("<q", array.size) + array.tobytes() for array in arrays)
    path.write_bytes(head + pickled + keys + storages)
    return path


def program(content: Any, arrays: list[np.ndarray]) -> bytes:
    """The pickle of a value; the arrays in it are appended to `arrays`."""
    out = io.BytesIO()
    out.write(b"\x80\x02")
    _write(content, arrays, out)
    return out.getvalue() + b"."


def view(count: int, shape: tuple[int, ...], strides: tuple[int, ...], key: int = 0) -> bytes:
    """Instructions for a tensor in the storage `key` of `count` float32 numbers."""
    storage = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\n" + _plain(str(key)) + _plain("cpu") + _plain(count)
    return (
        b"ctorch._utils\n_rebuild_tensor_v2\n("
        + (storage + b"tQ")
        + b"".join(map(_plain, (0, shape, strides, False)))
        + b"ccollections\nOrderedDict\n)RtR"
    )


def _write(content: Any, arrays: list[np.ndarray], out: io.BytesIO) -> None:
    if isinstance(content, dict):
        out.write(b"}(")
        for key, value in content.items():
            out.write(_plain(key))
            _write(value, arrays, out)
        out.write(b"u")
    elif isinstance(content, np.ndarray):
        array = np.ascontiguousarray(content, "<f4")
        strides = tuple(stride // 4 for stride in array.strides)
        out.write(view(array.size, array.shape, strides, len(arrays)))
        arrays.append(array)
    else:
        out.write(_plain(content))


def _plain(value: Any) -> bytes:
    """A value's instructions alone: without the protocol, the end, and what keeps it for later."""
    if isinstance(value, str):
        return b"X" + struct.pack("<I", len(value.encode())) + value.encode()
    if isinstance(value, tuple):
        return b"(" + b"".join(map(_plain, value)) + b"t"
    return pickle.dumps(value, protocol=2)[2:-1]
