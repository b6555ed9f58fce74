"""Tensors are read from files as data: every format gives the same, and a hostile file executes and allocates nothing."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pickle
import struct
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from hypothesis import given, settings, strategies

from keras_imagenet.errors import DataError, SettingsError
from keras_imagenet.models.weights import stored
from keras_imagenet.models.weights.tensor import DAMAGE

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "weights"


def _write_safetensors(path: Path, header: dict, data: bytes) -> Path:
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def test_npz_round_trip_without_reading_first(tmp_path: Path) -> None:
    values = {"a/kernel": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.asfortranarray(np.ones((3, 2)))}
    np.savez_compressed(tmp_path / "w.npz", **values)
    with stored.opened(tmp_path / "w.npz") as tensors:
        assert {name: tensor.shape for name, tensor in tensors.items()} == {"a/kernel": (2, 3), "b": (3, 2)}
        for name, tensor in tensors.items():
            np.testing.assert_array_equal(tensor.read(), values[name])


def test_safetensors_with_bfloat16(tmp_path: Path) -> None:
    header = {
        "__metadata__": {"format": "pt"},
        "x": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]},
        "y": {"dtype": "F32", "shape": [1, 1], "data_offsets": [4, 8]},
    }
    data = struct.pack("<HH", 0x3F80, 0xC000) + struct.pack("<f", 0.25)
    with stored.opened(_write_safetensors(tmp_path / "w.safetensors", header, data)) as tensors:
        np.testing.assert_array_equal(tensors["x"].read(), [1.0, -2.0])
        np.testing.assert_array_equal(tensors["y"].read(), [[0.25]])


def test_both_layouts_of_torch_are_read_without_torch() -> None:
    """plain_vit.pth is written as torch did before 1.6, the others as zip archives."""
    assert not zipfile.is_zipfile(GOLDEN / "plain_vit.pth")
    assert zipfile.is_zipfile(GOLDEN / "torchvision_regnet.pth")
    with stored.opened(GOLDEN / "plain_vit.pth") as tensors:
        assert tensors["blocks.1.qkv.weight"].read().shape == (24, 8)
    with stored.opened(GOLDEN / "torchvision_regnet.pth") as tensors:
        assert tensors["stem.0.weight"].read().dtype == np.float16
        assert tensors["stem.1.num_batches_tracked"].shape == ()


def test_weights_of_keras_are_named_by_layer(tmp_path: Path) -> None:
    images = keras.Input((4,), name="images")
    x = keras.layers.Dense(3, name="hidden")(images)
    x = keras.layers.Reshape((1, 3))(x)
    x = keras.layers.MultiHeadAttention(1, 2, name="attention")(x, x)
    model = keras.Model(images, keras.layers.BatchNormalization(name="norm")(x))
    model.save(tmp_path / "m.keras")
    model.save_weights(tmp_path / "m.weights.h5")
    for file in ("m.keras", "m.weights.h5"):
        with stored.opened(tmp_path / file) as tensors:
            np.testing.assert_array_equal(tensors["hidden/0"].read(), model.get_layer("hidden").kernel.numpy())
            assert tensors["attention/query/0"].shape == (3, 1, 2)
            assert {name for name in tensors if name.startswith("norm/")} == {f"norm/{index}" for index in range(4)}


class _Bomb:
    def __reduce__(self):
        return os.system, ("touch exploded",)


@pytest.mark.parametrize("layout", ["bare", "archive"])
def test_a_pickle_is_never_executed(tmp_path: Path, layout: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    program = pickle.dumps({"weight": _Bomb()}, protocol=2)
    if layout == "bare":
        Path("bomb.pth").write_bytes(program)
    else:
        with zipfile.ZipFile("bomb.pth", "w") as archive:
            archive.writestr("bomb/data.pkl", program)
    with (
        pytest.raises(DataError, match=r"bomb.pth: not a readable .pth file of weights"),
        stored.opened(Path("bomb.pth")),
    ):
        pass
    np.savez("bomb.npz", weight=np.array([_Bomb()], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="holds Python objects"), stored.opened(Path("bomb.npz")):
        pass
    assert not Path("exploded").exists()


def test_unknown_objects_beside_the_tensors_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A training checkpoint keeps its arguments and optimizer beside the weights."""
    monkeypatch.chdir(tmp_path)
    with zipfile.ZipFile(GOLDEN / "torchvision_vit.pth") as archive, zipfile.ZipFile("full.pth", "w") as full:
        for name in archive.namelist():
            content = archive.read(name)
            if name.endswith("data.pkl"):
                # {"args": bomb, "state_dict": what was there}
                bomb = pickle.dumps(_Bomb(), protocol=2)[2:-1]
                key = b"X\x04\x00\x00\x00args" + bomb + b"X\x0a\x00\x00\x00state_dict"
                content = b"\x80\x02}(" + key + content[2:-1] + b"u."
            full.writestr(name, content)
    with stored.opened(Path("full.pth")) as tensors:
        assert tensors["class_token"].read().shape == (1, 1, 8)
    assert not Path("exploded").exists()


@pytest.mark.parametrize(
    ("header", "length", "reason"),
    [
        ({"x": {"dtype": "F32", "shape": [10**12], "data_offsets": [0, 4]}}, 4, "invalid shape, data type, or offset"),
        ({"x": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}, 0, "not fully covered"),
        ({"x": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}, 4, "invalid value: integer `-1`"),
        ({"x": {"dtype": "F13", "shape": [1], "data_offsets": [0, 4]}}, 4, "F13"),
    ],
)
def test_sizes_are_checked_before_allocation(tmp_path: Path, header: dict, length: int, reason: str) -> None:
    path = _write_safetensors(tmp_path / "w.safetensors", header, bytes(length))
    with pytest.raises(DataError, match=reason), stored.opened(path):
        pass


def test_header_longer_than_the_file(tmp_path: Path) -> None:
    (tmp_path / "w.safetensors").write_bytes(struct.pack("<Q", 2**60) + b"{}")
    with pytest.raises(DataError, match="header too large"), stored.opened(tmp_path / "w.safetensors"):
        pass


@pytest.mark.parametrize("name", ["torchvision_vit.pth", "plain_vit.pth", "timm_vit.safetensors", "timm_vit.npz"])
def test_a_truncated_file_is_named(tmp_path: Path, name: str) -> None:
    whole = (GOLDEN / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: len(whole) * 2 // 3])
    with pytest.raises(DataError, match=name), stored.opened(tmp_path / name):
        pass


def test_tensor_outside_its_storage(tmp_path: Path) -> None:
    with zipfile.ZipFile(GOLDEN / "torchvision_vit.pth") as archive, zipfile.ZipFile(tmp_path / "w.pth", "w") as out:
        for name in archive.namelist():
            content = archive.read(name)
            out.writestr(name, content[:-2] if name.endswith("data/0") else content)
    with stored.opened(tmp_path / "w.pth") as tensors, pytest.raises(ValueError, match="buffer"):
        _ = [tensor.read() for tensor in tensors.values()]


def test_h5_that_points_at_another_file(tmp_path: Path) -> None:
    """HDF5 can name other files as its contents; those must not be read."""
    (tmp_path / "secret").write_bytes(bytes(16))
    with h5py.File(tmp_path / "w.h5", "w") as file:
        group = file.create_group("layers/dense/vars")
        group.attrs["name"] = "logits"
        group.create_dataset("0", (4,), "f4", external=[(str(tmp_path / "secret"), 0, 16)])
    with pytest.raises(DataError, match="outside the file"), stored.opened(tmp_path / "w.h5"):
        pass
    with h5py.File(tmp_path / "linked.h5", "w") as file:
        file["layers"] = h5py.ExternalLink(str(tmp_path / "w.h5"), "/layers")
    with pytest.raises(DataError, match="is a link"), stored.opened(tmp_path / "linked.h5"):
        pass


def test_compressed_keras_file_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "m.keras", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.weights.h5", bytes(10_000_000))
    with pytest.raises(DataError, match=r"model\.weights\.h5 is compressed"), stored.opened(tmp_path / "m.keras"):
        pass


def test_files_that_are_not_weights(tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(b"")
    with pytest.raises(SettingsError, match=r"w.bin: not one of .npz, .safetensors"), stored.opened(tmp_path / "w.bin"):
        pass
    with pytest.raises(SettingsError, match="no such file"), stored.opened(tmp_path / "none.pth"):
        pass
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(3))
    (tmp_path / "w.pth").write_bytes(buffer.getvalue())
    with pytest.raises(DataError, match=r"w.pth"), stored.opened(tmp_path / "w.pth"):
        pass


@pytest.mark.parametrize("name", ["torchvision_vit.pth", "plain_vit.pth", "timm_vit.safetensors"])
@settings(max_examples=60, deadline=None, derandomize=True)
@given(data=strategies.data())
def test_damage_is_named_or_harmless(name: str, data: strategies.DataObject, tmp_path_factory) -> None:
    """Any bytes changed: the file still reads, or one error names it."""
    content = bytearray((GOLDEN / name).read_bytes())
    places = strategies.integers(0, min(len(content), 6000) - 1)
    for place, value in data.draw(strategies.dictionaries(places, strategies.integers(0, 255), max_size=6)).items():
        content[place] = value
    path = tmp_path_factory.mktemp("damaged") / name
    path.write_bytes(content)
    with contextlib.suppress(DataError), stored.opened(path) as tensors:
        for tensor in tensors.values():
            with contextlib.suppress(*DAMAGE):
                tensor.read()
