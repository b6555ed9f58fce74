"""The pipeline's benchmark: what it reports adds up, and what it writes can be read."""

import json

import numpy as np
import pytest
from PIL import Image

from keras_imagenet.data import benchmark
from keras_imagenet.data.sources import open_source
from keras_imagenet.preset import Preset
from keras_imagenet.settings import AugmentSettings
from keras_imagenet.settings.data import FolderSource


def test_stages_add_up_and_are_written(tmp_path):
    random = np.random.default_rng(0)
    for split in ("train", "val"):
        for name in ("a", "b"):
            folder = tmp_path / "photos" / split / name
            folder.mkdir(parents=True)
            for number in range(8):
                pixels = random.integers(0, 256, (60, 80, 3), np.uint8)
                Image.fromarray(pixels).save(folder / f"{number}.jpg")
    source = open_source(FolderSource(name="folder", directory=tmp_path / "photos")).train
    output = tmp_path / "result.json"
    settings = AugmentSettings(random_resized_crop={})
    result = benchmark.pipeline(
        source, Preset(size=(32, 32)), settings, batch_size=8, threads=1, seconds=0.2, output=output
    )
    assert json.loads(output.read_text()) == result
    assert Image.open(output.with_suffix(".png")).width > 300
    assert list(result["share"]) == list(benchmark.STAGES)
    assert sum(result["share"].values()) == pytest.approx(1, abs=0.01)
    assert result["images_per_second"] > 0
    assert sum(result["milliseconds_per_image"].values()) >= 1000 / result["images_per_second"] * 0.99
