"""What `keras-imagenet data` says of a folder of odd files, and draws of its first batch."""

import shutil

import pytest
from PIL import Image

from keras_imagenet.data.sheet import draw_first_batch
from keras_imagenet.data.sources import open_source
from keras_imagenet.data.summary import summary, summary_lines
from keras_imagenet.preset import Preset
from keras_imagenet.settings import Settings
from keras_imagenet.settings.resolution import resolve


@pytest.fixture(scope="module")
def settings(tmp_path_factory) -> Settings:
    """Two classes of small images, with a copy across the splits, a copy within, and two files that are no images."""
    root = tmp_path_factory.mktemp("photos")
    for split, label, count in [("train", "a", 4), ("train", "b", 2), ("val", "a", 2)]:
        folder = root / split / label
        folder.mkdir(parents=True)
        for index in range(count):
            colour = (40 * index, 90 if label == "a" else 10, 200 if split == "val" else 0)
            Image.new("RGB", (30 + index, 20), colour).save(folder / f"{index}.png")
    shutil.copy(root / "train/a/0.png", root / "train/a/copy.png")
    shutil.copy(root / "train/a/1.png", root / "val/a/copy.png")
    (root / "train/b/text.jpg").write_text("hello")
    (root / "train/b/empty.jpg").touch()
    (root / "train/b/notes.txt").touch()
    source = {"name": "folder", "directory": root}
    return Settings.model_validate({"data": {"source": source, "size": 16}, "train": {"batch_size": 9}})


def test_summary_of_odd_files(settings):
    content = summary(open_source(settings.data.source), Preset())
    train = content["train"]
    assert train["counts"] == {"a": 5, "b": 4}
    assert content["validation"]["without"] == ["b"]
    assert train["kinds"]["PNG"] == 7
    assert (train["width"], train["height"]) == ([30, 31, 33], [20, 20, 20])
    assert train["copies"] == 1
    assert content["copies_across_splits"] == 1
    assert set(train["unreadable"]) == {"train/b/text.jpg", "train/b/empty.jpg"}
    lines = "\n".join(summary_lines(content))
    assert "train: 9 examples; a class has 4 to 5" in lines
    assert "train/b/text.jpg: text, which is not supported" in lines
    assert "skipped: 1 .txt (not an image)" in lines
    assert "1 images are in both splits" in lines


def test_a_limit_says_that_it_looked_at_some(settings):
    content = summary(open_source(settings.data.source), Preset(), limit=3)
    assert content["train"]["looked_at"] == 3
    assert any("of 3 images chosen at random" in line for line in summary_lines(content))


def test_the_sheet_shows_the_readable_images_of_the_first_batch(settings, tmp_path):
    splits = open_source(settings.data.source)
    draw_first_batch(settings, resolve(settings.data), splits, tmp_path / "sheet.png", threads=1)
    with Image.open(tmp_path / "sheet.png") as image:
        assert image.size[0] > 1000


def test_the_sheet_of_a_run_without_an_epoch_shows_what_evaluation_crops(settings, tmp_path):
    """No augmentation acts there."""
    splits, train = open_source(settings.data.source), settings.train.model_copy(update={"epochs": 0.0})
    for name, degrees in (("upright", 0.0), ("turned", 90.0)):
        augment = settings.augment.model_copy(update={"rotation": degrees})
        changed = settings.model_copy(update={"train": train, "augment": augment})
        draw_first_batch(changed, resolve(settings.data), splits, tmp_path / f"{name}.png", threads=1)
    assert (tmp_path / "upright.png").read_bytes() == (tmp_path / "turned.png").read_bytes()


def test_a_sheet_is_drawn_whatever_batch_mixing_and_replicas_could_share(command, tmp_path):
    words = ["--runtime.logical_cpus", "2", "--train.batch_size", "7", "--augment.mixing", "{mixup: 0.2}"]
    done = command("data", *words, "--output", tmp_path / "sheet.png")
    assert done.returncode == 0, done.stderr
    with Image.open(tmp_path / "sheet.png") as image:
        assert image.size[0] > 1000


@pytest.mark.slow
def test_a_sheet_shows_what_training_gets_where_weights_bring_their_preset(command, tmp_path):
    """Of weights trained at 16 pixels the images are cut to 16, as `fit` does, unless data.size says otherwise."""
    run = tmp_path / "run"
    done = command("fit", "--data.size", "16", "--train.steps", "1", "--runtime.run_folder", run)
    assert done.returncode == 0, done.stderr
    sheets = {}
    for name, words in {"brought": ["null", "--model.weights", run], "given": ["16"], "other": ["8"]}.items():
        done = command("data", "--data.size", *words, "--output", tmp_path / f"{name}.png")
        assert done.returncode == 0, done.stderr
        sheets[name] = (tmp_path / f"{name}.png").read_bytes()
    assert sheets["brought"] == sheets["given"] != sheets["other"]
