"""Which of a training checkpoint's tensors are the network's: those that its origin's own loader would take."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
import torch_archive

from keras_imagenet.errors import DataError, SettingsError
from keras_imagenet.models import registry, squeezenet, weights

TINY = squeezenet.SqueezeNet(8, (((4, 8), (4, 8)),))


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """A SqueezeNet of a few hundred weights under the name of a published one."""
    monkeypatch.setitem(squeezenet.VARIANTS, "squeezenet1_1", TINY)


def _network() -> keras.Model:
    return registry.build("squeezenet1_1", input_shape=(32, 32, 3), classes=5)


def _state(value: float, prefix: str = "") -> dict[str, np.ndarray]:
    """torchvision's names of the network's tensors, all of one value."""
    shapes = {"features.0": (8, 3, 3, 3), "classifier.1": (5, 16, 1, 1)}
    for fire, channels in (("features.3", 8), ("features.4", 16)):
        shapes[f"{fire}.squeeze"] = (4, channels, 1, 1)
        shapes[f"{fire}.expand1x1"], shapes[f"{fire}.expand3x3"] = (8, 4, 1, 1), (8, 4, 3, 3)
    return {
        f"{prefix}{module}.{part}": np.full(shape if part == "weight" else shape[:1], value)
        for module, shape in shapes.items()
        for part in ("weight", "bias")
    }


def _taken(path: Path) -> tuple[float, str]:
    """The value of the weights that a network gets from a file, and the set that they are said to be."""
    network = _network()
    origin = weights.find(path, "squeezenet1_1")
    assert not weights.load(network, origin).new_head
    values = {float(value) for weight in network.weights for value in np.unique(weight.numpy())}
    assert len(values) == 1
    return values.pop(), origin.part


OPTIMIZER = {"state": {0: {"momentum_buffer": np.zeros(3)}}, "param_groups": [{"lr": 0.1}]}


@pytest.mark.parametrize(
    ("content", "value", "part"),
    [
        ({"state_dict": _state(1), "state_dict_ema": _state(2), "optimizer": OPTIMIZER}, 2, "state_dict_ema"),
        ({"state_dict": _state(1), "state_dict_ema": None}, 1, "state_dict"),
        ({"model": _state(1), "model_ema": {"n_averaged": np.array(5.0), **_state(2, "module.")}}, 2, "model_ema"),
        ({"state_dict": _state(1), "ema_state_dict": _state(2)}, 2, "ema_state_dict"),
        ({"model": _state(1), "ema": {"module": _state(2), "updates": 7}}, 2, "ema.module"),
        ({"net": _state(1), "schema": {"x": np.zeros(2)}, "model": _state(3)}, 3, "model"),
        ({"net": _state(1), "acc": 93.1, "loss": np.array(0.3), "optimizer": OPTIMIZER}, 1, "net"),
        ({"epoch": 3, "state_dict": _state(1, "module.")}, 1, "state_dict"),
        (_state(1, "_orig_mod."), 1, ""),
        (_state(1, "module._orig_mod."), 1, ""),
        (_state(1, "_orig_mod.module."), 1, ""),
        ({"state_dict": _state(1, "model."), "pytorch-lightning_version": "2.2"}, 1, "state_dict.model"),
        ({"state_dict": {**_state(1, "net._orig_mod."), "criterion.weight": np.ones(5)}}, 1, "state_dict.net"),
        ({"state_dict": {**_state(1, "model."), **_state(2, "ema_model.")}}, 2, "state_dict.ema_model"),
        (
            {"state_dict": {**_state(1, "net."), **_state(2, "ema.module."), "ema.n_averaged": np.array(5.0)}},
            2,
            "state_dict.ema",
        ),
        (_state(1), 1, ""),
    ],
)
def test_a_checkpoint_gives_what_its_own_loader_takes(tmp_path: Path, content: dict, value: float, part: str) -> None:
    """timm's load_state_dict: averaged weights before raw ones, state_dict before model, without wrappers' prefixes."""
    assert _taken(torch_archive.save(tmp_path / "w.ckpt", content)) == (value, part)


def test_what_was_taken_is_said(tmp_path: Path) -> None:
    path = torch_archive.save(tmp_path / "w.pth", {"model": _state(1), "model_ema": _state(2)})
    assert weights.find(path, "squeezenet1_1").whence == f"{path}, its model_ema, averaged weights"
    path = torch_archive.save(tmp_path / "w.pth", {"net": _state(1)})
    assert weights.find(path, "squeezenet1_1").whence == f"{path}, its net"


def test_several_sets_of_which_none_is_known_are_asked_about(tmp_path: Path) -> None:
    path = torch_archive.save(tmp_path / "w.pth", {"student": _state(1), "teacher": _state(2)})
    with pytest.raises(DataError, match="several sets of tensors: student, teacher; save the one that is meant"):
        weights.find(path, "squeezenet1_1")


def test_a_layer_named_as_another_networks_stem_is_no_network(tmp_path: Path) -> None:
    blocks = {f"{block}.features.0.weight": np.zeros((8, 3, 3, 3)) for block in ("a", "b", "c", "d", "e")}
    with pytest.raises(SettingsError, match=r"not weights of squeezenet1_1: the first tensor is a\.features"):
        weights.find(torch_archive.save(tmp_path / "w.pth", blocks), "squeezenet1_1")
