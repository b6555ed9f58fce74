"""Tensors in files, by name, read as data: nothing in a file is executed, and sizes are checked before allocation.

`opened(path)` gives a mapping from names to Tensor, whose shape is known before anything is read. Names are the
file's own; in Keras' files LAYER/INDEX, with the layer's name and its weights counted from 0.
"""

from __future__ import annotations

import contextlib
import functools
import io
import math
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import ml_dtypes  # noqa: F401 -- numpy knows bfloat16 by it
import numpy as np
from safetensors import safe_open

from keras_imagenet.errors import DataError, SettingsError
from keras_imagenet.models.archive import stored_member
from keras_imagenet.models.weights import torch_file
from keras_imagenet.models.weights.tensor import (
    DAMAGE,
    MAXIMUM_TENSORS,
    Tensor,
    Tensors,
    require_plausible,
)

MAXIMUM_NPY_HEADER = 10_000
"""Bytes, as numpy limits it."""
MAXIMUM_DEPTH = 32
"""Of groups in groups, in an HDF5 file."""
MAXIMUM_CHUNK = 2**20
"""Numbers in a chunk of an HDF5 file, where the tensor has fewer."""


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Tensors]:
    """The tensors of a .npz, .safetensors, .pth, .pt, .ckpt, .h5 or .keras file; they can be read inside the `with`.

    Raises SettingsError for a file that is not there or of another kind, DataError for one that is damaged or holds
    what only executing it could read.
    """
    readers: dict[str, Callable[[Path, contextlib.ExitStack], Tensors]] = {
        ".npz": _npz,
        ".safetensors": _safetensors,
        ".pth": torch_file.tensors,
        ".pt": torch_file.tensors,
        ".ckpt": torch_file.tensors,
        ".h5": _h5,
        ".keras": _keras,
    }
    if not path.is_file():
        raise SettingsError(f"model.weights = {path}: no such file")
    if path.suffix not in readers:
        raise SettingsError(f"model.weights = {path}: not one of {', '.join(readers)} or a run folder")
    with contextlib.ExitStack() as stack:
        try:
            tensors = readers[path.suffix](path, stack)
            require_plausible(tensors)
        except DAMAGE as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise DataError(f"{path}: not a readable {path.suffix} file of weights: {reason}") from error
        yield tensors


def _npz(path: Path, stack: contextlib.ExitStack) -> Tensors:
    archive = stack.enter_context(zipfile.ZipFile(path))
    if len(archive.infolist()) > MAXIMUM_TENSORS:
        raise ValueError(f"it holds {len(archive.infolist()):,} tensors")
    tensors = Tensors()
    for info in archive.infolist():
        name = info.filename.removesuffix(".npy")
        with archive.open(info) as member:
            shape, fortran_order, dtype = _npy_header(member)
            start = member.tell()
        if dtype.hasobject:
            raise ValueError(f"{name} holds Python objects")
        if math.prod(shape) * dtype.itemsize != info.file_size - start:
            raise ValueError(f"{name} does not have the size of its shape")

        def read(info=info, start=start, dtype=dtype, shape=shape, order="F" if fortran_order else "C") -> np.ndarray:
            return np.frombuffer(archive.read(info), dtype, offset=start).reshape(shape, order=order)

        tensors[name] = Tensor(shape, read)
    return tensors


def _npy_header(member: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, whether the first axis is the fastest, and type; numpy reads a header of any length before it looks at it."""
    start = member.read(10)
    if start[6:7] != b"\x01":
        start += member.read(2)
    length = int.from_bytes(start[8:], "little")
    if length > MAXIMUM_NPY_HEADER:
        raise ValueError(f"it declares a header of {length:,} bytes")
    header = io.BytesIO(start + member.read(length))
    version = np.lib.format.read_magic(header)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    return read[version](header)


def _safetensors(path: Path, stack: contextlib.ExitStack) -> Tensors:
    # The library holds the header against the file: sizes, types, and no byte in two tensors or in none.
    file = safe_open(path, framework="numpy")  # closed with the last tensor, as other maps of files are
    return Tensors(
        {
            name: Tensor(tuple(file.get_slice(name).get_shape()), functools.partial(file.get_tensor, name))
            for name in file.keys()  # noqa: SIM118 -- it is no mapping
        }
    )


def _keras(path: Path, stack: contextlib.ExitStack) -> Tensors:
    # Only the weights: building a network from the file's config.json would trust it.
    archive = stack.enter_context(zipfile.ZipFile(path))
    return _h5_tensors(io.BytesIO(archive.read(stored_member(archive, "model.weights.h5"))), stack)


def _h5(path: Path, stack: contextlib.ExitStack) -> Tensors:
    return _h5_tensors(path, stack)


def _h5_tensors(source: Any, stack: contextlib.ExitStack) -> Tensors:
    """Keras' layout: groups by kind of layer, `vars` in each with the layer's name and its weights by index."""
    import h5py

    tensors = Tensors()
    waiting = [(stack.enter_context(h5py.File(source, "r")), "", 0)]
    seen: set[int] = set()
    while waiting:
        group, owner, depth = waiting.pop()
        _require_new(group, seen)
        if depth > MAXIMUM_DEPTH:
            raise ValueError(f"it has groups in groups, more than {MAXIMUM_DEPTH} deep")
        for key in group:
            if not isinstance(group.get(key, getlink=True), h5py.HardLink):
                raise ValueError(f"{group.name}/{key} is a link")
        variables = group.get("vars")
        if isinstance(variables, h5py.Group) and "name" in variables.attrs and group.name not in ("/", "/layers"):
            owner = f"{owner}/{variables.attrs['name']}" if owner else str(variables.attrs["name"])
            _require_new(variables, seen)
            tensors |= {f"{owner}/{index}": _h5_tensor(variables, index) for index in variables}
        inside = [key for key in group if key not in ("vars", "optimizer")]
        waiting += [(group[key], owner, depth + 1) for key in inside if isinstance(group[key], h5py.Group)]
    if not tensors:
        raise ValueError("it has no layers in Keras 3's layout; save it with model.save_weights(...weights.h5)")
    return tensors


def _require_new(group: Any, seen: set[int]) -> None:
    """ValueError for a group that stands in several places, in itself maybe: the ways through such a file have no end."""
    import h5py

    place = h5py.h5o.get_info(group.id).addr
    if place in seen:
        raise ValueError(f"the group {group.name:.80} stands in several places")
    if len(seen) > MAXIMUM_TENSORS:
        raise ValueError(f"it has more than {MAXIMUM_TENSORS:,} groups")
    seen.add(place)


def _h5_tensor(variables: Any, index: str) -> Tensor:
    import h5py

    link, dataset = variables.get(index, getlink=True), variables[index]
    if not isinstance(link, h5py.HardLink) or dataset.external or dataset.is_virtual:
        raise ValueError(f"{dataset.name} lies outside the file")
    if dataset.dtype.kind not in "biuf":
        raise ValueError(f"{dataset.name} does not hold numbers")
    # A chunk is read whole, however little of it is asked for.
    if math.prod(dataset.chunks or ()) > max(dataset.size, MAXIMUM_CHUNK):
        raise ValueError(f"{dataset.name} has chunks of {math.prod(dataset.chunks):,} numbers for {dataset.size:,}")
    return Tensor(tuple(dataset.shape), lambda: dataset[()])
