"""Files that were made to hang a reader or to fill the memory: each is refused in one line, soon, and within 1.5 GB."""

from __future__ import annotations

import io
import json
import os
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch_archive

ROOT = Path(__file__).resolve().parents[3]
READ_ALL = """
import resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_AS, (1_500_000_000,) * 2)
from keras_imagenet.errors import KerasImagenetError
from keras_imagenet.models.weights import stored
try:
    with stored.opened(Path(sys.argv[1])) as tensors:
        print("read", sum(tensor.read().nbytes for tensor in tensors.values()))
except KerasImagenetError as error:
    print(error.exit_code, error)
"""


def _answer(path: Path) -> str:
    """What a process of its own says that reads every tensor, within limits of memory and time."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    environment |= {"OPENBLAS_NUM_THREADS": "1"}  # whose threads reserve more memory than the limit
    done = subprocess.run(
        [sys.executable, "-c", READ_ALL, path], capture_output=True, text=True, timeout=60, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr[-500:]
    assert done.stdout.count("\n") == 1
    return done.stdout.removesuffix("\n")


def _get(slot: int) -> bytes:
    return b"j" + struct.pack("<I", slot)


def _put(slot: int) -> bytes:
    return b"r" + struct.pack("<I", slot)


def _doubled(times: int, first: bytes, join: bytes) -> bytes:
    """A thing made of two of the one before, `times` times over: 2 ** times things by a few hundred bytes."""
    made = first + _put(0)
    for slot in range(times):
        made += _get(slot) + join + _put(slot + 1)
    return made


X = b"X\x01\x00\x00\x00x"
ONE = np.zeros(1, "<f4")
Y = b"X\x01\x00\x00\x00y"
TUPLES = _doubled(60, b")", b"\x86")
SELF = b"](" + b"]q\x00h\x00a" + b"e"
LONG_TEXT = b"X" + struct.pack("<I", 1_000_000) + b"y" * 1_000_000 + _put(0)
SAME_HASH = b"".join(b"\x8a\x0a" + (k * (2**61 - 1)).to_bytes(10, "little") + b"N" for k in range(200_000))
PROGRAMS = {
    "tuples_in_tuples": b"\x80\x02}(" + X + torch_archive.view(1, (1,), (1,)) + Y + TUPLES + b"u.",
    "tuples_as_a_shape": b"\x80\x02}(" + X + TUPLES + b"u.",
    "a_list_in_itself": b"\x80\x02}(" + X + SELF + Y + torch_archive.view(1, (1,), (1,)) + b"u.",
    "a_dictionary_in_itself": b"\x80\x02}q\x00(X\x05\x00\x00\x00modelh\x00u.",
    "names_of_names": b"\x80\x02" + _doubled(60, X + X + b"\x93", b"\x93") + b".",
    "names_of_long_names": b"\x80\x02" + LONG_TEXT + (_get(0) + _get(0) + b"\x93") * 5_000 + b".",
    "a_storage_named_by_tuples": b"\x80\x02"
    + TUPLES
    + b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\n"
    + _get(60)
    + X
    + b"K\x01tQ.",
    "marks_over_a_deep_stack": b"\x80\x02" + b"N" * 200_000 + b"(t0"[:2] * 200_000 + b".",
    "keys_of_one_hash": b"\x80\x02}(" + SAME_HASH + b"u.",
    "very_many_instructions": b"\x80\x02" + b"N" * 3_000_000 + b".",
}


@pytest.mark.parametrize("layout", [torch_archive.archive, torch_archive.legacy])
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_pickle_takes_no_more_than_its_instructions(tmp_path: Path, name: str, layout: Callable) -> None:
    answer = _answer(layout(tmp_path / "w.pth", PROGRAMS[name], [ONE]))
    assert answer.startswith(("3 ", "read 4"))
    assert "Memory" not in answer


@pytest.mark.parametrize("layout", [torch_archive.archive, torch_archive.legacy])
def test_a_tensor_is_no_larger_than_what_is_stored(tmp_path: Path, layout: Callable) -> None:
    """Strides of 0 repeat one number as often as a shape says."""
    wide = b"\x80\x02}(" + X + torch_archive.view(1, (100_000, 100_000), (0, 0)) + b"u."
    assert "x repeats 1 numbers until they are 10,000,000,000" in _answer(layout(tmp_path / "w.pth", wide, [ONE]))
    few = b"\x80\x02}(" + X + torch_archive.view(1, (1_000,), (0,)) + b"u."
    assert _answer(layout(tmp_path / "w.pth", few, [ONE])) == "read 4000"


def test_an_npy_header_is_short(tmp_path: Path) -> None:
    """Compressed, four gigabytes of blanks are four megabytes; here it is two hundredths of that."""
    with (
        zipfile.ZipFile(tmp_path / "w.npz", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("x.npy", "w") as member,
    ):
        member.write(b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**32 - 1))
        for _ in range(64):
            member.write(b" " * 2**20)
    assert "declares a header of 4,294,967,295 bytes" in _answer(tmp_path / "w.npz")
    with zipfile.ZipFile(tmp_path / "w.npz", "w") as archive:
        archive.writestr("x.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", 5000) + b"(" * 5000)
    assert _answer(tmp_path / "w.npz").startswith("3 ")


def _layer(group: h5py.Group) -> None:
    variables = group.create_group("vars")
    variables.attrs["name"] = "logits"
    variables.create_dataset("0", data=np.zeros(3, "f4"))


def test_h5_groups_are_a_tree(tmp_path: Path) -> None:
    path = tmp_path / "w.h5"
    with h5py.File(path, "w") as file:
        _layer(file.create_group("layers/dense"))
        file["layers/dense/again"] = file["layers"]
    assert "stands in several places" in _answer(path)
    with h5py.File(path, "w") as file:
        group = file.create_group("layers")
        for _ in range(20):
            inner = group.create_group("left")
            group["right"] = inner
            group = inner
        _layer(group)
    assert "stands in several places" in _answer(path)
    with h5py.File(path, "w") as file:
        _layer(file.create_group("/".join(["deep"] * 500)))
    assert "groups in groups" in _answer(path)


def test_h5_tensors_hold_numbers_and_no_more_of_them_than_they_say(tmp_path: Path) -> None:
    path = tmp_path / "w.h5"
    for options in (
        {"dtype": np.dtype(("f4", (10**8,)))},
        {"dtype": "f4", "chunks": (2**28,), "maxshape": (None,), "compression": "gzip"},
    ):
        with h5py.File(path, "w") as file:
            variables = file.create_group("layers/dense/vars")
            variables.attrs["name"] = "logits"
            variables.create_dataset("0", (3,), **options)
        assert _answer(path).startswith("3 ")


@pytest.mark.parametrize(
    "header",
    [
        b'{"x":' * 100_000,
        json.dumps({"x": {"dtype": "F32", "shape": [2**40, 2**40], "data_offsets": [0, 4]}}).encode(),
        json.dumps({"x": {"dtype": "F32", "shape": [1], "data_offsets": [0, 2**60]}}).encode(),
        json.dumps({"x": {"dtype": "F32", "shape": ["1"], "data_offsets": [0, 4]}}).encode(),
        json.dumps({"x\ny": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode(),
        json.dumps({"x": {"dtype": "F32", "shape": [1] * 100_000, "data_offsets": [0, 4]}}).encode(),
        json.dumps({f"{i}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for i in range(70_000)}).encode(),
        b"[]",
        b'"x"',
    ],
    ids=["deep", "product", "outside", "words", "lines", "axes", "many", "list", "text"],
)
def test_safetensors_headers_that_lie(tmp_path: Path, header: bytes) -> None:
    (tmp_path / "w.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(4))
    assert _answer(tmp_path / "w.safetensors").startswith("3 ")


def test_many_names_for_one_member_of_an_archive(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(3, "f4"))
    with zipfile.ZipFile(tmp_path / "w.npz", "w") as archive:
        for number in range(70_000):
            archive.writestr(f"{number}.npy", buffer.getvalue() if number == 0 else b"")
    assert "it holds 70,000 tensors" in _answer(tmp_path / "w.npz")
