"""What the published weights were evaluated with: the fields of a preset, as plain data; and their licences.

torchvision's and timm's numbers are those of their metadata (published.csv, made by tools/make_published_weights.py);
keras.applications' are its preprocess_input functions', with TensorFlow's usual central crop.
"""

from __future__ import annotations

import csv
import functools
from importlib import resources
from pathlib import PurePath
from typing import Any

from keras_imagenet.errors import SettingsError, nearest

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
HALVES = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}
LITE = {"mean": (127 / 255,) * 3, "std": (128 / 255,) * 3}
V2 = {"mean": (128 / 255,) * 3, "std": (128 / 255,) * 3}
CAFFE = {"mean": (123.68 / 255, 116.779 / 255, 103.939 / 255), "std": (1 / 255,) * 3}

LICENCES = {
    "efficientnet_pytorch": "Apache-2.0 (tensorflow/tpu's weights)",
    "keras": "Apache-2.0 (keras.applications)",
    "torchvision": "BSD-3-Clause (torchvision)",
    "timm": "as the weights' model card says; timm's own are Apache-2.0",
}

LITE_SIZES = {"efficientnet_lite0": 224, "efficientnet_lite1": 240, "efficientnet_lite2": 260}
KERAS_SIZES = {
    **dict(zip((f"efficientnet_b{b}" for b in range(8)), (224, 240, 260, 300, 380, 456, 528, 600), strict=True)),
    **dict(zip((f"tf_efficientnetv2_b{b}" for b in range(4)), (224, 240, 260, 300), strict=True)),
    "efficientnet_v2_s": 384,
    "efficientnet_v2_m": 480,
    "efficientnet_v2_l": 480,
    "inception_v3_keras": 299,
    "xception": 299,
}


def published(origin: str, name: str, file: str = "") -> dict[str, Any] | None:
    """Fields of keras_imagenet's preset for a network's weights of that origin, or None if they are not known.

    file: the weights' file name; torchvision's tells which of its weights they are.
    """
    if origin == "efficientnet_pytorch":
        size = LITE_SIZES.get(name)
        return size and _fields(size, size / (size + 32), "bicubic", True, LITE if size else IMAGENET)
    if origin == "keras":
        size = KERAS_SIZES.get(name, 224)
        kernel, antialias = ("bicubic", False) if "efficientnet" in name else ("bilinear", True)
        return _fields(size, size / (size + 32), kernel, antialias, _keras_scale(name))
    rows = [row for row in _rows() if (row["origin"], row["name"]) == (origin, name)]
    stem = PurePath(file).stem
    row = next((row for row in rows if stem and row["file"] == stem), rows[0] if rows else None)
    if row is None:
        return None
    scale = {key: tuple(map(float, row[key].split())) for key in ("mean", "std")}
    return _fields(int(row["size"]), float(row["crop_fraction"]), row["kernel"], True, scale)


def torchvision_file(name: str) -> str:
    """File of `NAME` or `NAME.TAG` on torch's server; the first of a network's weights where no tag is given.

    Raises SettingsError, with the nearest name or the tags there are, for one that torchvision does not publish.
    """
    network, _, tag = name.partition(".")
    files: dict[str, str] = {}
    for row in _rows():
        if (row["origin"], row["name"]) == ("torchvision", network):
            files.setdefault(row["weights"], f"{row['file']}.pth")
    if not files:
        known = {row["name"]: f"torchvision:{row['name']}" for row in _rows() if row["origin"] == "torchvision"}
        hint = nearest(network, known)
        raise SettingsError(
            f"model.weights = torchvision:{name}: torchvision publishes no {network} that is here{hint}"
        )
    if tag and tag not in files:
        raise SettingsError(
            f"model.weights = torchvision:{name}: there are {', '.join(f'{network}.{t}' for t in files)}"
        )
    return files[tag] if tag else next(iter(files.values()))


def _fields(size: int, crop_fraction: float, kernel: str, antialias: bool, scale: dict[str, Any]) -> dict[str, Any]:
    return {"size": (size, size), "crop_fraction": crop_fraction, "kernel": kernel, "antialias": antialias, **scale}


def _keras_scale(name: str) -> dict[str, Any]:
    """preprocess_input's modes torch, tf and caffe, or what the network's own first layers do."""
    if name.startswith(("efficientnet_v2_",)):
        return V2
    if name.startswith(("efficientnet", "tf_efficientnetv2", "densenet", "convnext")):
        return IMAGENET
    if name.startswith("vgg") or name.endswith("_v1"):
        return CAFFE
    return HALVES


@functools.cache
def _rows() -> list[dict[str, str]]:
    with resources.files(__package__).joinpath("published.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
