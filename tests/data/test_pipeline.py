"""Batches are a function of settings, data and seed; an unreadable image costs its own row and nothing else."""

import hashlib
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from keras_imagenet.data import order, pipeline
from keras_imagenet.data.sources import open_source
from keras_imagenet.errors import DataError, SettingsError
from keras_imagenet.preset import Preset
from keras_imagenet.settings.augment import AugmentSettings
from keras_imagenet.settings.data import FolderSource

PRESET = Preset(size=(16, 20))
AUGMENT = AugmentSettings(
    random_resized_crop={}, flip="horizontal", rotation=15, color_jitter={"brightness": 0.4, "saturation": 0.4}
)


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    """Two classes of 11 JPEGs of different sizes."""
    folder = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(0)
    for number in range(11):
        for name in ("cat", "dog"):
            height, width = 24 + number, 40 - number
            pixels = tf.image.resize(random.integers(0, 256, (4, 5, 3)), (height, width)).numpy().astype(np.uint8)
            file = folder / name / f"{number}.jpg"
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(tf.io.encode_jpeg(pixels).numpy())
    return folder


def stream(
    folder: Path, *, threads: int = 2, first_step: int = 0, report=None, settings: AugmentSettings = AUGMENT, **more
):
    source = open_source(FolderSource(name="folder", directory=folder)).train
    strategy = tf.distribute.get_strategy()
    return pipeline.training_stream(
        source,
        PRESET,
        settings,
        strategy,
        batch_size=8,
        seed=3,
        threads=threads,
        report=report or pytest.fail,
        first_step=first_step,
        **more,
    )


def checksum(batch) -> str:
    digest = hashlib.sha256()
    for name in sorted(batch):
        digest.update(np.ascontiguousarray(batch[name].numpy()).tobytes())
    return digest.hexdigest()


def test_threads_and_seeking_change_no_byte(photos: Path) -> None:
    """Two epochs of 22 examples in batches of 8, over epoch borders; once from the start, once from the second batch."""
    whole, later = stream(photos, threads=1), stream(photos, threads=8, first_step=1)
    wanted = [checksum(next(whole)) for _ in range(6)]
    assert len(set(wanted)) == 6
    assert [checksum(next(later)) for _ in range(5)] == wanted[1:]
    later.seek(4)
    assert checksum(next(later)) == wanted[4]


def test_an_epoch_holds_every_example_once(photos: Path) -> None:
    batches = stream(photos, settings=AugmentSettings())
    labels = np.concatenate([next(batches)["labels"].numpy() for _ in range(11)])
    assert [list(part).count(1) for part in np.split(labels, 4)] == [11, 11, 11, 11]


@pytest.mark.parametrize("crop", [None, {}])
def test_alternating_flips_turn_an_example_each_time_that_it_comes(photos: Path, crop: dict | None) -> None:
    """Half of the examples the first time; with repeats a batch shows both ways; from any step on the same."""
    options = {"batch_size": 8, "n": 22, "run_seed": 3, "repeats": 2}
    plain = stream(photos, settings=AugmentSettings(random_resized_crop=crop), repeats=2)
    turning = AugmentSettings(random_resized_crop=crop, flip="alternating")
    turned, later = (stream(photos, settings=turning, repeats=2, first_step=step) for step in (0, 5))
    ways: dict[int, list[tuple[int, bool]]] = {}
    for step in range(11):
        plan, was, found = order.training_plan(step, **options), next(plain), next(turned)
        assert found.keys() == was.keys()
        if step >= 5:
            assert checksum(next(later)) == checksum(found)
        for index, time, one, other in zip(
            plan.indices, plan.times, was["images"].numpy(), found["images"].numpy(), strict=True
        ):
            mirrored = not np.array_equal(one, other)
            np.testing.assert_array_equal(one[:, ::-1] if mirrored else one, other)
            ways.setdefault(index, []).append((time, mirrored))
    assert all(len({mirrored ^ (time % 2 == 1) for time, mirrored in found}) == 1 for found in ways.values())
    first = [mirrored ^ (time % 2 == 1) for (time, mirrored), *_ in ways.values()]
    assert 0.2 < np.mean(first) < 0.8


def test_an_unreadable_image_is_named_and_has_weight_0(photos: Path, tmp_path: Path) -> None:
    """tensorflow/models#2194, pytorch/vision#138: a damaged file ends the run without a name."""
    for file in photos.rglob("*.jpg"):
        (tmp_path / file.parent.name).mkdir(exist_ok=True)
        (tmp_path / file.parent.name / file.name).write_bytes(file.read_bytes())
    whole = (tmp_path / "cat" / "3.jpg").read_bytes()
    (tmp_path / "cat" / "3.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "dog" / "5.jpg").write_text("not an image")
    named: dict[str, str] = {}
    batches = stream(tmp_path, settings=AugmentSettings(), report=named.setdefault)
    found = [next(batches) for _ in range(11)]
    assert sorted(named) == ["cat/3.jpg", "dog/5.jpg"]
    assert "truncated" in named["cat/3.jpg"]
    assert "text" in named["dog/5.jpg"]
    weights = np.stack([batch["weights"].numpy() for batch in found])
    assert (weights == 0).sum() == 8  # Two images in four epochs.
    assert set(weights.ravel()) == {0, 1}
    good = stream(photos, settings=AugmentSettings())
    for batch, row in zip(found, weights, strict=True):
        np.testing.assert_array_equal(batch["images"].numpy()[row > 0], next(good)["images"].numpy()[row > 0])


def test_what_stands_in_for_an_unreadable_image_may_be_unreadable_too(photos: Path, tmp_path: Path) -> None:
    """The first examples, in whose place the others' images are put, are found damaged before their own turn comes."""
    shutil.copytree(photos, tmp_path / "photos")
    for name in ("0", "1", "10", "2", "3", "4"):  # the first in code-point order
        (tmp_path / "photos" / "cat" / f"{name}.jpg").write_text("not an image")
    named: dict[str, str] = {}
    batches = stream(tmp_path / "photos", settings=AugmentSettings(), report=named.setdefault)
    assert sum((next(batches)["weights"].numpy() == 0).sum() for _ in range(11)) == 4 * 6
    assert len(named) == 6


def test_a_folder_of_unreadable_images_ends_with_one_line(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.jpg").write_text("text")
    batches = stream(tmp_path, report=lambda name, reason: None)
    with pytest.raises(DataError, match="none of the 2 images can be read"):
        next(batches)


def test_evaluation_pads_its_last_batch_with_weight_0(photos: Path) -> None:
    source = open_source(FolderSource(name="folder", directory=photos)).train
    strategy = tf.distribute.get_strategy()
    batches = pipeline.evaluation_stream(source, PRESET, strategy, batch_size=8, threads=2, report=pytest.fail)
    found = list(batches)
    assert [batch["weights"].numpy().sum() for batch in found] == [8, 8, 6]
    assert [batch["images"].shape for batch in found] == [(8, 16, 20, 3)] * 3


def test_stock_kerascv_layers_stand_beside_ours_and_are_declared_inexact(photos: Path) -> None:
    settings = AugmentSettings(keras_cv=({"name": "GridMask"},), flip="horizontal")
    batch = next(stream(photos, settings=settings))
    assert batch["images"].dtype == tf.float32
    assert "GridMask" in pipeline.describe_exactness(settings)
    assert pipeline.describe_exactness(AUGMENT) == "exact"


@pytest.mark.parametrize(
    ("layer", "wanted"),
    [
        ({"name": "GridMsk"}, "no augmentation layer of KerasCV; did you mean GridMask?"),
        ({"name": "RandomFlip", "wrong": 1}, "RandomFlip refuses its arguments"),
        ({"name": "MixUp"}, "use augment.mixing"),
    ],
)
def test_a_stock_layer_that_cannot_be_made(photos: Path, layer: dict, wanted: str) -> None:
    with pytest.raises(SettingsError, match=r"augment\.keras_cv\.0") as caught:
        stream(photos, settings=AugmentSettings(keras_cv=(layer,)))
    assert wanted in str(caught.value)
