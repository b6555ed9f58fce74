"""ILSVRC2012 as Kaggle hands it out: trained on, measured on and prepared without moving a file."""

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from keras_imagenet.data.sources import open_source
from keras_imagenet.errors import DataError
from keras_imagenet.settings.data import FolderSource

TENCH, SHARK, HEN = "n01440764", "n01484850", "n01514859"
VALIDATION = {"ILSVRC2012_val_00000001": SHARK, "ILSVRC2012_val_00000002": HEN, "ILSVRC2012_val_00000003": SHARK}


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    photos = tmp_path / "ILSVRC/Data/CLS-LOC"
    random = np.random.default_rng(0)
    names = [f"train/{wnid}/{wnid}_{number}.JPEG" for wnid in (TENCH, SHARK, HEN) for number in range(2)]
    for name in [*names, *(f"val/{stem}.JPEG" for stem in VALIDATION), "test/ILSVRC2012_test_00000001.JPEG"]:
        (photos / name).parent.mkdir(parents=True, exist_ok=True)
        (photos / name).write_bytes(tf.io.encode_jpeg(random.integers(0, 256, (9, 9, 3), np.uint8)).numpy())
    boxes = {
        stem: f"{wnid} 1 2 8 9 " + (f"{wnid} 3 3 4 4 " if wnid == HEN else "") for stem, wnid in VALIDATION.items()
    }
    rows = "".join(f"{stem},{text}\n" for stem, text in reversed(boxes.items()))
    (tmp_path / "LOC_val_solution.csv").write_text("ImageId,PredictionString\n" + rows)
    (tmp_path / "LOC_synset_mapping.txt").write_text(
        f"{TENCH} tench, Tinca tinca\n{SHARK} great white shark, white shark\n{HEN} hen\n"
    )
    return tmp_path


@pytest.mark.parametrize("given", ["", "ILSVRC", "ILSVRC/Data/CLS-LOC"])
def test_the_table_says_the_classes_of_validation(archive: Path, given: str) -> None:
    splits = open_source(FolderSource(name="folder", directory=archive / given))
    assert splits.classes == (TENCH, SHARK, HEN)
    assert splits.class_names == ("tench", "great white shark", "hen")
    assert splits.train.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert splits.validation.labels.tolist() == [1, 2, 1]
    read = splits.validation.read(tf.constant(1, tf.int64)).numpy()
    assert read == (archive / "ILSVRC/Data/CLS-LOC/val/ILSVRC2012_val_00000002.JPEG").read_bytes()


def test_an_image_of_which_the_table_says_nothing_is_named(archive: Path) -> None:
    (archive / "ILSVRC/Data/CLS-LOC/val/other.JPEG").write_bytes(b"")
    with pytest.raises(DataError, match=r"LOC_val_solution.csv: says nothing of other.JPEG, one of 1 images so"):
        open_source(FolderSource(name="folder", directory=archive))


def test_a_table_of_another_form_is_refused_with_its_row(archive: Path) -> None:
    (archive / "LOC_val_solution.csv").write_text("ImageId,PredictionString\nILSVRC2012_val_00000001,\n")
    with pytest.raises(DataError, match="row 2 is not of the form ImageId,PredictionString"):
        open_source(FolderSource(name="folder", directory=archive))


def test_it_is_prepared_as_the_tars_are(command, archive: Path, tmp_path: Path) -> None:
    done = command("prepare", "--folder", archive, "--output", tmp_path / "shards", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["images"] == {"train": 6, "validation": 3}
    classes = (tmp_path / "shards/classes.tsv").read_text().splitlines()
    assert classes[1:] == [f"0\t{TENCH}\ttench", f"1\t{SHARK}\tgreat white shark", f"2\t{HEN}\then"]
