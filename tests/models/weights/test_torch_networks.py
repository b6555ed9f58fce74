"""torchvision's and timm's networks at full size give the same answers here, on noise and on a photo: no download.

The networks that keras.applications has, too, are compared with those; here are the others, and one of each family.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_image

from keras_imagenet.models import registry, weights
from keras_imagenet.models.weights import fitting, keras_applications

SCRIPT = Path(__file__).with_name("torch_network.py")
BESIDE_KERAS = ("densenet121", "mobilenetv1_100", "efficientnet_b0", "mobilenet_v2", "mobilenet_v3_small")
BESIDE_KERAS += ("tf_efficientnetv2_b0", "efficientnet_v2_s", "convnext_tiny", "vgg16")

SIZES = {
    "alexnet": (224, 195),
    "inception_v3": (299, 235),
    # Their positions, windows (of timm's) and mixing over positions hold for one size.
    "vit_b_16": (224,),
    "vit_b_32": (224,),
    "vit_l_16": (224,),
    "mixer_s32_224": (224,),
    "mixer_s16_224": (224,),
    "mixer_b16_224": (224,),
    "swin_tiny_patch4_window7_224": (224,),
    **dict.fromkeys(("swin_v2_t", "swin_v2_s", "swin_v2_b"), (256,)),
    **{name: (224, 240) for name in registry.catalogue() if name.startswith(("vit_tiny", "vit_small", "vit_base"))},
    **{name: (224, 240) for name in registry.catalogue() if name.startswith("deit")},
}
"""Sizes of images; others take any."""

DEEP = ("resnet101", "resnet152", "resnext101_32x8d", "wide_resnet101_2")
"""In float32 roundings alone move the logits of so many random layers by more than 1e-4: float64 shows that it is these."""

NAMES = [
    name
    for name, record in registry.catalogue().items()
    if record.source.startswith(("torchvision", "timm"))
    and (name not in keras_applications.NETWORKS or name in BESIDE_KERAS)
]


@pytest.fixture(scope="module")
def peers() -> str:
    """The Python that has torch, torchvision, timm and safetensors."""
    python = os.environ.get("KERAS_IMAGENET_PEERS")
    if not python:
        pytest.skip("needs a Python with torch, torchvision and timm, which KERAS_IMAGENET_PEERS names")
    return python


def _images(size: int) -> np.ndarray:
    """Noise, and a photo normalised as ImageNet's are: float32 [2, size, size, 3]."""
    noise = np.random.default_rng(size).normal(0, 1, (size, size, 3))
    pixels = np.asarray(Image.fromarray(load_sample_image("china.jpg")).resize((size, size)), np.float64)
    return np.stack([noise, (pixels / 255 - 0.45) / 0.226]).astype(np.float32)


@pytest.fixture
def precision(name: str) -> Iterator[str]:
    """What the layers of both sides compute in."""
    keras.config.set_floatx("float64" if name in DEEP else "float32")
    yield keras.config.floatx()
    keras.config.set_floatx("float32")


@pytest.mark.peer
@pytest.mark.parametrize("name", NAMES)
def test_answers_of_the_whole_network_are_torchs(name: str, precision: str, peers: str, tmp_path: Path) -> None:
    """Logits of 1,000 classes differ by less than 1e-4, through the converter that published files go through."""
    library, _, theirs = registry.catalogue()[name].source.split(" ")
    images = {f"images{number}": _images(size) for number, size in enumerate(SIZES.get(name, (224, 193)))}
    np.savez(tmp_path / "images.npz", **images)
    subprocess.run([peers, SCRIPT, library, theirs, tmp_path, precision], check=True)
    answers = np.load(tmp_path / "logits.npz")
    (file,) = tmp_path.glob(f"{theirs}.*")
    origin = weights.find(file, name)
    assert origin.origin == library
    for number, batch in enumerate(images.values()):
        network = registry.build(name, input_shape=batch.shape[1:], classes=1000, **origin.options)
        fitted = weights.load(network, origin)
        assert fitted == fitting.Fitted(False, False, positions=fitted.positions)
        expected = answers[f"logits{number}"]
        np.testing.assert_allclose(network(batch, training=False).numpy(), expected, atol=1e-4, rtol=0)
        assert expected.std() > 0.01, "answers that say nothing prove nothing"
        assert np.abs(expected[0] - expected[1]).max() > 1e-3, "nor do answers that no image changes"
        keras.backend.clear_session()
    file.unlink()
