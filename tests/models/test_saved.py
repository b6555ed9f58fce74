"""A run folder from a stranger: its network is loaded without running what others wrote, and without trusting its sizes."""

from __future__ import annotations

import json
import resource
import zipfile
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_imagenet.errors import DataError
from keras_imagenet.models import registry, saved, weights


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The network of a small run."""
    images = keras.Input((8, 8, 3), name="images")
    x = keras.layers.Conv2D(4, 3, name="stem_conv")(images)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(keras.layers.Dropout(0.5, name="dropout")(x))
    keras.Model(images, keras.layers.Dense(2, name="logits")(x)).save(tmp_path / "model.keras")
    (tmp_path / "preset.json").write_text(json.dumps({"size": [8, 8]}))
    return tmp_path / "model.keras"


def rewrite(
    file: Path, change: Callable[[dict], None] = lambda config: None, more: dict[str, bytes] | None = None
) -> None:
    """The archive with another config, or with more members."""
    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()} | (more or {})
    if not more:
        config = json.loads(members["config.json"])
        change(config)
        members["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def layer(config: dict, name: str) -> dict:
    return next(layer for layer in config["config"]["layers"] if layer["name"] == name)


@pytest.mark.parametrize("name", ["cifar_net", "mobilenet_v3_small"])
def test_what_was_saved_is_loaded(tmp_path: Path, name: str) -> None:
    network = registry.build(name, input_shape=(32, 32, 3), classes=3)
    network.save(tmp_path / "model.keras")
    loaded = saved.load(tmp_path / "model.keras", (32, 32, 3))
    assert [weight.path for weight in loaded.weights] == [weight.path for weight in network.weights]
    for one, other in zip(loaded.weights, network.weights, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())
    images = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype(np.float32)
    np.testing.assert_array_equal(loaded(images), network(images))


def test_a_layer_that_holds_code_is_named(tmp_path: Path) -> None:
    """Keras' own answer is to switch its safety off."""
    images = keras.Input((8, 8, 3))
    keras.Model(images, keras.layers.Lambda(lambda x: x + 1, name="twist")(images)).save(tmp_path / "model.keras")
    with pytest.raises(
        DataError, match=r"the layer twist is a keras\.layers\.Lambda, which may run code .* loads none such$"
    ):
        saved.load(tmp_path / "model.keras")


@pytest.mark.parametrize(
    "foreign",
    [
        {"module": "os", "class_name": "system", "registered_name": None},
        {"module": "their_layers", "class_name": "Swirl", "registered_name": "their_layers>Swirl"},
        {"module": None, "class_name": "Swirl", "registered_name": "their_layers>Swirl"},
        {"module": "keras.layers", "class_name": "TFSMLayer", "registered_name": None},
        {"module": "keras.src.utils.file_utils", "class_name": "get_file", "registered_name": None},
    ],
)
def test_a_foreign_layer_is_named(file: Path, foreign: dict) -> None:
    rewrite(file, lambda config: layer(config, "dropout").update(foreign))
    with pytest.raises(
        DataError, match=rf"^{file}: the layer dropout is a \S*{foreign['class_name']}, [^\n]* none such$"
    ):
        saved.load(file)


def test_a_lambda_inside_a_layer_is_refused(file: Path) -> None:
    inside = {"class_name": "__lambda__", "config": {"value": ["4wEAAA=="]}}
    rewrite(file, lambda config: layer(config, "logits")["config"].update(activation=inside))
    with pytest.raises(DataError, match="__lambda__, which may run code"):
        saved.load(file)


def test_a_layer_that_its_user_registered_is_loaded(tmp_path: Path) -> None:
    @keras.saving.register_keras_serializable("mine")
    class Shift(keras.layers.Layer):
        """Adds one."""

        def call(self, x):
            return x + 1

    images = keras.Input((8, 8, 3))
    keras.Model(images, Shift()(images)).save(tmp_path / "model.keras")
    assert saved.load(tmp_path / "model.keras")(np.zeros((1, 8, 8, 3))).numpy().max() == 1


def _units(config: dict) -> None:
    layer(config, "logits")["config"]["units"] = 10**10


def _filters(config: dict) -> None:
    layer(config, "stem_conv")["config"]["filters"] = 10**9


def _images(config: dict) -> None:
    layer(config, "images")["config"]["batch_shape"] = [None, 30_000, 30_000, 3]


def _padding(config: dict) -> None:
    pad = {"name": "dropout", "padding": [[50_000, 50_000], [50_000, 50_000]], "data_format": "channels_last"}
    layer(config, "dropout").update({"module": "keras.layers", "class_name": "ZeroPadding2D", "config": pad})


@pytest.mark.parametrize("change", [_units, _filters, _images, _padding])
def test_sizes_are_checked_before_anything_is_allocated(file: Path, change: Callable) -> None:
    rewrite(file, change)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(DataError, match=r"weights|numbers of one image|incompatible"):
        saved.load(file)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])  # in a session that is as it was


@pytest.mark.parametrize(
    ("preset", "message"),
    [
        ({"size": [30_000, 30_000]}, "30,000 x 30,000 pixels are too large"),
        ({"size": [16, 16]}, "takes images of 8x8x3, preset.json says 16x16x3"),
        ({"size": [8, 8], "channels": 1}, "takes images of 8x8x3, preset.json says 8x8x1"),
        ({"size": [-8, 8]}, "no preset: size.0: Input should be greater than 0"),
        ({"size": "large"}, "no preset: size: "),
        ({"size": [8, 8], "mean": [float("nan")] * 3}, "no preset: mean.0: Input should be a finite number"),
        ({"size": [8, 8], "std": [0.1, 0, 0.1]}, "no preset: std.1: Input should be greater than 0"),
        ({"size": [8, 8], "crop_fraction": 1e400}, "no preset: crop_fraction: Input should be "),
        ({"size": [8, 8], "crop_fraction": 0}, "no preset: crop_fraction: Input should be greater than 0"),
        ([], "no preset: its text: "),
    ],
)
def test_a_preset_fits_its_network(file: Path, preset: object, message: str) -> None:
    """Also where the folder gives weights for another run."""
    file.with_name("preset.json").write_text(json.dumps(preset))
    with pytest.raises(DataError, match=message):
        weights.find(file.parent, "simple_cnn")


def test_a_network_for_other_images_is_refused(file: Path) -> None:
    with pytest.raises(DataError, match=r"takes images of 8x8x3, preset\.json says 9x9x3"):
        saved.load(file, (9, 9, 3))


@pytest.mark.parametrize("more", [{"assets/x": b"x"}, {"../../x": b"x"}, {"variables/v": b"x"}])
def test_an_archive_holds_a_network_and_nothing_else(file: Path, more: dict[str, bytes]) -> None:
    rewrite(file, more=more)
    with pytest.raises(DataError, match=r"it holds .*, too"):
        saved.load(file)


def _damaged(file: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])


@pytest.mark.parametrize(
    "damage",
    [
        _damaged,
        lambda file: file.write_bytes(b""),
        lambda file: rewrite(file, more={"config.json": b"[" * 100_000}),
        lambda file: rewrite(file, more={"config.json": b"{}"}),
        lambda file: rewrite(file, more={"config.json": b"\xff"}),
        lambda file: rewrite(file, lambda config: config["config"].update(layers=[3])),
        lambda file: rewrite(file, lambda config: layer(config, "logits")["config"].update(units="two")),
        lambda file: rewrite(file, lambda config: layer(config, "logits")["config"].update(units=7)),
        lambda file: rewrite(file, more={"model.weights.h5": b"not HDF5"}),
    ],
    ids=["cut", "empty", "deep", "bare", "bytes", "layers", "words", "other", "weights"],
)
def test_a_damaged_network_is_one_line(file: Path, damage: Callable[[Path], None]) -> None:
    damage(file)
    with pytest.raises(DataError, match=rf"^{file}: [^\n]*$"):
        saved.load(file)
