"""`features` writes what the last layer answers from, for the images that can be read."""

import json
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_imagenet import run_folder
from keras_imagenet.errors import SettingsError
from keras_imagenet.models import registry, saved
from keras_imagenet.models.head import before_head


def test_features_are_what_the_answers_come_from(command, digits_run: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    names = [f"{index}.png" for index in range(3)]
    for name in names:
        shutil.copy(digits_run / "example.png", photos / name)
    (photos / "text.jpg").write_text("not an image")
    file = tmp_path / "features"  # which NumPy would rename
    done = command("features", digits_run, photos, "--output", file, "--json")
    assert done.returncode == 3
    assert done.stderr.startswith(f"keras-imagenet: {photos / 'text.jpg'}: text, which is not supported")
    with np.load(file) as found:
        images, features = found["images"], found["features"]
    assert json.loads(done.stdout) == {"images": 3, "features": features.shape[1], "output": str(file)}
    assert [Path(name).name for name in images] == names
    assert features.dtype == np.float32

    folder = run_folder.opened(digits_run)
    network = saved.load(folder.model_file, folder.preset.evaluation.input_shape)
    kernel, bias = (value.numpy() for value in network.get_layer("logits").variables)
    probabilities = keras.ops.softmax(features @ kernel + bias).numpy()
    answers = json.loads(command("predict", digits_run, photos / "0.png", "--json").stdout)["images"][0]["predictions"]
    for answer in answers:
        assert probabilities[0, answer["label"]] == pytest.approx(answer["probability"], abs=2e-6)


def test_where_no_image_can_be_read_the_file_is_empty(command, digits_run: Path, tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("not an image")
    done = command("features", digits_run, tmp_path / "text.jpg", "--output", tmp_path / "none.npz")
    assert done.returncode == 3
    with np.load(tmp_path / "none.npz") as found:
        assert (found["images"].shape, len(found["features"])) == ((0,), 0)


def test_a_network_without_a_dense_head_has_none() -> None:
    network = registry.build("squeezenet1_1", input_shape=(64, 64, 3), classes=2)
    with pytest.raises(SettingsError, match="squeezenet1_1: its answers are not those of one dense layer"):
        before_head(network)
