"""Every source: the same examples whoever asks, the right label on each, and one clear line where the data is wrong."""

import io
import os
import re
import shutil
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from pydantic import TypeAdapter

from keras_imagenet.data.sources import Source, left_out_lines, open_source
from keras_imagenet.data.sources.splits import hash_fractions
from keras_imagenet.errors import DataError, SettingsError
from keras_imagenet.labels import read_classes
from keras_imagenet.settings.data import SourceSettings

ODD_NAMES = ["a, b.jpg", "[x].jpg", "-x.jpg", "été 雪.jpg", "*.jpg", "%20.jpg", "q'\".jpg"]


def opened(**values):
    return open_source(TypeAdapter(SourceSettings).validate_python(values))


def everything(source: Source) -> list[bytes | np.ndarray]:
    """All images, through the same tf.data calls as the pipeline's."""
    import tensorflow as tf

    return [image.numpy() for image in tf.data.Dataset.range(len(source)).map(source.read, num_parallel_calls=2)]


def make_folder(root: Path, files: dict[str, str]) -> Path:
    """Files whose content is what the dictionary says: sources list and read, they do not decode."""
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(content)
    return root


def test_digits_are_scikit_learns():
    from sklearn.datasets import load_digits

    splits = opened(name="digits")
    assert splits.classes == tuple("0123456789")
    assert len(splits.train) + len(splits.validation) == 1797
    assert 0.15 < len(splits.validation) / 1797 < 0.25
    images = everything(splits.validation)
    assert images[0].shape == (8, 8, 1)
    assert images[0].dtype == np.uint8
    position = int(splits.validation.names[5].removeprefix("digits[").removesuffix("]"))
    assert np.allclose(images[5][..., 0], load_digits().images[position] * 255 / 16, atol=0.5)
    assert splits.validation.labels[5] == load_digits().target[position]
    assert splits.train.fingerprint == opened(name="digits").train.fingerprint != splits.validation.fingerprint


def test_arrays_in_the_layout_of_keras_datasets(tmp_path):
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (7, 4, 5, 3), np.uint8), np.array([[0], [1], [2], [0], [1], [2], [3]], np.uint8)
    np.savez_compressed(tmp_path / "set.npz", x_train=x, y_train=y, x_test=x[:2, ..., 0], y_test=y[:2])
    splits = opened(name="arrays", file=tmp_path / "set.npz")
    assert splits.classes == ("0", "1", "2", "3")
    assert splits.train.labels.tolist() == [0, 1, 2, 0, 1, 2, 3]
    assert np.array_equal(everything(splits.train), x)
    assert np.array_equal(everything(splits.validation), x[:2, ..., :1])
    shutil.move(tmp_path / "set.npz", tmp_path / "moved.npz")
    assert opened(name="arrays", file=tmp_path / "moved.npz").train.fingerprint == splits.train.fingerprint
    x[3, 1, 1, 1] += 1
    np.savez_compressed(tmp_path / "set.npz", x_train=x, y_train=y)
    assert opened(name="arrays", file=tmp_path / "set.npz").train.fingerprint != splits.train.fingerprint


X, Y = np.zeros((3, 4, 4), np.uint8), np.zeros(3, np.int64)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"images": X, "labels": Y}, "holds images, labels; expected x_train and y_train"),
        ({"x_train": X}, "lacks y_train; it holds x_train"),
        ({"x_train": X / 255, "y_train": Y}, "x_train is float64; must be uint8, pixels from 0 to 255"),
        ({"x_train": X[0], "y_train": Y}, r"x_train has shape \[4, 4\]; must be \[n, height, width\] or"),
        ({"x_train": np.zeros((3, 3, 8, 8), np.uint8), "y_train": Y}, r"x_train has shape \[3, 3, 8, 8\]; must be"),
        ({"x_train": X[:0], "y_train": Y[:0]}, r"x_train has shape \[0, 4, 4\]"),
        (
            {"x_train": X, "y_train": Y[:2]},
            r"y_train has shape \[2\]; must be \[3\], one label for each image of x_train",
        ),
        ({"x_train": X, "y_train": np.eye(3)}, "y_train is float64; must be integers"),
        ({"x_train": X, "y_train": Y - 1}, "y_train holds -1 to -1; labels must count from 0"),
        ({"x_train": X, "y_train": np.array(["a", 1, None], object)}, "cannot be read as plain arrays"),
        ({"x_train": X, "y_train": np.array([0, 0, 2**31 - 1])}, "go up to 2,147,483,647; they must count 0, 1, "),
        ({"x_train": X, "y_train": np.array([0, 0, 10_000_000])}, "go up to 10,000,000; they must count 0, 1, "),
    ],
)
def test_wrong_arrays_are_one_line(tmp_path, arrays, message):
    np.savez(tmp_path / "set.npz", **arrays)
    with pytest.raises(DataError, match=message) as caught:
        opened(name="arrays", file=tmp_path / "set.npz")
    assert "\n" not in str(caught.value)


def _npy(shape: str) -> bytes:
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header + bytes(100)


def _member(at: int, value: bytes) -> bytes:
    """An .npz, with other bytes in what its directory and its members say of themselves, `at` bytes into the former."""
    stream = io.BytesIO()
    np.savez_compressed(stream, x_train=X, y_train=Y)
    content = bytearray(stream.getvalue())
    for head, offset in ((b"PK\1\2", at), (b"PK\3\4", at - 2)):
        for found in re.finditer(re.escape(head), bytes(content)):
            content[found.start() + offset : found.start() + offset + len(value)] = value
    return bytes(content)


@pytest.mark.parametrize(
    "content",
    [
        *map(
            _npy,
            ["(10**15,)", "(1000000000, 1000, 1000)", "(True, 4, 4)", "(" * 3000, f"({2**70}, 4, 4)", "(-3, 4, 4)"],
        ),
        b"\x80\x04N.",
        _member(8, b"\1\0"),  # encrypted
        _member(8, b"\x20\0"),  # a patch
        _member(10, b"\x63\0"),  # compressed by no one's method
        _member(10, b"\x0c\0"),  # by another than it says
    ],
)
def test_arrays_that_lie_are_one_line(tmp_path, content):
    if content.startswith(b"PK"):
        (tmp_path / "set.npz").write_bytes(content)
    else:
        with zipfile.ZipFile(tmp_path / "set.npz", "w") as archive:
            archive.writestr("x_train.npy", content)
            archive.writestr("y_train.npy", _npy("(100,)"))
    with pytest.raises(DataError, match=r"set\.npz: .{1,500}$"):
        opened(name="arrays", file=tmp_path / "set.npz")


def test_arrays_may_be_called_without_their_ending(tmp_path):
    np.savez(tmp_path / "given.npz", x_train=X, y_train=Y)
    with zipfile.ZipFile(tmp_path / "given.npz") as given, zipfile.ZipFile(tmp_path / "set.npz", "w") as archive:
        for name in ("x_train", "y_train"):
            archive.writestr(name, given.read(f"{name}.npy"))
    assert len(opened(name="arrays", file=tmp_path / "set.npz").train) == 3


def test_a_file_that_is_no_npz_is_one_line(tmp_path):
    (tmp_path / "set.npz").write_text("hello")
    with pytest.raises(DataError, match=r"not an .npz file, or damaged"):
        opened(name="arrays", file=tmp_path / "set.npz")
    with pytest.raises(DataError, match=r"none\.npz: No such file"):
        opened(name="arrays", file=tmp_path / "none.npz")


def test_odd_file_names_are_read_as_they_are(tmp_path):
    make_folder(tmp_path, {f"train/cat/{name}": name for name in ODD_NAMES} | {"train/[dog]/x.png": "dog"})
    source = opened(name="folder", directory=tmp_path).train
    assert source.classes == ("[dog]", "cat")
    assert [content.decode() for content in everything(source)] == ["dog", *sorted(ODD_NAMES)]
    assert source.labels.tolist() == [0] + [1] * len(ODD_NAMES)


def test_a_class_that_one_split_lacks_shifts_no_label(tmp_path):
    """huggingface/pytorch-image-models#957: an empty validation class shifted every label after it."""
    make_folder(tmp_path, {"train/a/1.jpg": "", "train/b/1.jpg": "", "train/c/1.jpg": "", "val/c/1.jpg": ""})
    (tmp_path / "val/b").mkdir()
    splits = opened(name="folder", directory=tmp_path)
    assert splits.classes == splits.train.classes == splits.validation.classes == ("a", "b", "c")
    assert splits.validation.labels.tolist() == [2]
    assert splits.validation.names == ["val/c/1.jpg"]


@pytest.mark.parametrize("name", ["val", "validation", "valid", "test"])
def test_either_split_may_stand_alone(tmp_path, name):
    make_folder(tmp_path, {f"{name}/a/1.jpg": ""})
    splits = opened(name="folder", directory=tmp_path)
    assert splits.train is None
    assert len(splits.validation) == 1
    assert splits.classes == ("a",)


def test_a_plain_folder_of_classes_is_for_training(tmp_path):
    make_folder(tmp_path, {"test/1.jpg": "", "cat/1.jpg": ""})
    splits = opened(name="folder", directory=tmp_path)
    assert splits.validation is None
    assert splits.classes == ("cat", "test")


def test_what_is_skipped_is_counted(tmp_path):
    files = ["a/1.JPG", "a/2.tif", "a/3.txt", "a/.hidden.jpg", "a/.DS_Store", "a/deep/1.jpg", ".git/x.jpg", "stray.jpg"]
    make_folder(tmp_path, dict.fromkeys(files, ""))
    source = opened(name="folder", directory=tmp_path).train
    assert source.names == ["a/1.JPG"]
    assert source.skipped == {
        ".tif (not read; save them as JPEG or PNG)": 1,
        ".txt (not an image)": 1,
        "hidden": 2,
        "images in folders inside class folders": 1,
        "images outside class folders": 1,
    }


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["photos/ant/1.jpg", "photos/bee/1.jpg"], "X: the classes seem to be in X/photos; give that folder"),
        (["photos/train/ant/1.jpg", "notes/x.txt"], "X: the classes seem to be in X/photos; give that folder"),
        (
            ["train/photos/ant/1.jpg", "val/bee/1.jpg"],
            "X/train/photos: holds no image itself; they lie one level deeper, in ant",
        ),
        (
            ["ant/2023/1.jpg", "ant/2024/1.jpg", "bee/2023/1.jpg"],
            "X/ant: holds no image itself; .*, in 2023, 2024, and only",
        ),
        (
            ["ant/1.jpg", "bee/more/1.jpg"],
            "X/bee: holds no image itself; they lie one level deeper, in more, .*give X/bee",
        ),
        (
            ["bus/1.jpg", "car/1.jpg", "train/1.jpg"],
            "X: train is taken for the training split.* a class as bus, car, move all",
        ),
        (["Bus/1.jpg", "Train/1.jpg"], "X: Train is taken for the training split.* a class as Bus, move all"),
        (
            ["1.jpg", "2.jpg"],
            "holds no class folders; .*; sort its 2 images into a folder for each class, or, if they are one",
        ),
        (
            ["train/ant/1.jpg", "test/1.jpg"],
            "X/test: holds no class folders; .*; sort its 1 images into a folder for each",
        ),
    ],
)
def test_a_folder_of_another_shape_gets_words_that_help(tmp_path, monkeypatch, files, message):
    monkeypatch.chdir(tmp_path)
    make_folder(tmp_path / "X", dict.fromkeys(files, ""))
    with pytest.raises(DataError, match=message) as caught:
        opened(name="folder", directory="X")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "holds no class folders; expected train/CLASS/FILE and val/CLASS/FILE, or CLASS/FILE"),
        ({"1.jpg": ""}, "holds no class folders; expected"),
        ({"train/a/1.jpg": "", "val/1.jpg": ""}, "/val: holds no class folders; expected"),
        (
            {"a/1.jpg": "", "b/x.tif": "", "b/y": ""},
            r"/b: holds no image \(only files with .tif, no ending\); save them as JPEG",
        ),
    ],
)
def test_wrong_folders_are_one_line(tmp_path, files, message):
    with pytest.raises(DataError, match=message):
        opened(name="folder", directory=make_folder(tmp_path, files))


def test_a_missing_folder_and_an_empty_class_are_named(tmp_path):
    with pytest.raises(DataError, match="/nowhere: there is no such folder"):
        opened(name="folder", directory=tmp_path / "nowhere")
    make_folder(tmp_path, {"a/1.jpg": ""})
    (tmp_path / "b").mkdir()
    with pytest.raises(DataError, match=r"/b: holds no image \(it is empty\)"):
        opened(name="folder", directory=tmp_path)


def test_a_class_file_fixes_the_label_order(tmp_path):
    make_folder(tmp_path, {"data/10/1.jpg": "", "data/2/1.jpg": "", "names.txt": "\ufeff1\n2\n\n10\n"})
    splits = opened(name="folder", directory=tmp_path / "data", classes=tmp_path / "names.txt")
    assert splits.classes == ("1", "2", "10")
    assert dict(zip(splits.train.names, splits.train.labels.tolist(), strict=True)) == {"10/1.jpg": 2, "2/1.jpg": 1}
    make_folder(tmp_path, {"data/02/1.jpg": ""})
    with pytest.raises(
        DataError, match=r"the class folder 02 is not among the 3 classes of .*names.txt; did you mean 2\?"
    ):
        opened(name="folder", directory=tmp_path / "data", classes=tmp_path / "names.txt")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no class"),
        ("a\nb\na\n", "names a twice"),
        ("index\twnid\n0\tn1\n2\tn2\n", r"index must count 0, 1, ... 1"),
        ("index\twnid\tname\n0\tn1\n", "row 2 does not have the header's 3 columns"),
    ],
)
def test_wrong_class_files_are_one_line(tmp_path, text, message):
    (tmp_path / "classes").write_text(text)
    with pytest.raises(DataError, match=message):
        read_classes(tmp_path / "classes")


def test_some_of_imagenets_classes_are_labelled_as_in_the_thousand(shared):
    classes = shared / "data" / "imagenet_classes.tsv"
    splits = opened(name="folder", directory=shared / "data" / "imagenet_samples", classes=classes)
    source = splits.validation
    assert len(source.classes) == 1000
    assert len(source) == 230
    assert source.class_names[1] == "goldfish, Carassius auratus"
    assert all(
        path.split("/")[1] == source.classes[label] for path, label in zip(source.names, source.labels, strict=True)
    )
    assert source.labels.max() > 900


def test_a_fraction_is_held_out_by_name_not_by_order(tmp_path):
    """Adding files moves no other file to the other side, nor does a train/ folder around them."""
    names = [f"{label}/{index}.jpg" for label in "abcde" for index in range(60)]
    make_folder(tmp_path / "one", dict.fromkeys(names[::2], ""))
    make_folder(tmp_path / "two" / "train", dict.fromkeys(names, ""))
    few = opened(name="folder", directory=tmp_path / "one", validation_fraction=0.3)
    many = opened(name="folder", directory=tmp_path / "two", validation_fraction=0.3)
    held_out = {name.removeprefix("train/") for name in many.validation.names}
    assert set(few.validation.names) == held_out & set(names[::2])
    assert 60 < len(held_out) < 120
    assert not set(many.validation.names) & set(many.train.names)
    assert len(many.validation) + len(many.train) == 300


def test_of_every_class_of_two_some_are_held_out_and_some_are_not(tmp_path):
    """By hash within the class, so that photos of another class move none; a class of one is trained on, whatever its hash."""
    names = [f"{label}{count}/{index}.jpg" for label in "abcdefgh" for count in (1, 2, 3) for index in range(count)]
    make_folder(tmp_path / "one", dict.fromkeys(names, ""))
    make_folder(tmp_path / "two", dict.fromkeys([*names, *(f"z/{index}.jpg" for index in range(20))], ""))
    for fraction in (0.05, 0.2, 0.9):
        few, many = (
            opened(name="folder", directory=tmp_path / folder, validation_fraction=fraction)
            for folder in ("one", "two")
        )
        counts = np.bincount(few.validation.labels, minlength=24).reshape(8, 3)
        assert counts[:, 1].tolist() == [1] * 8
        assert set(counts[:, 2]) <= {1, 2}
        assert len(np.unique(few.train.labels)) == 24 - counts[:, 0].sum()
        assert set(few.validation.names) == {name for name in many.validation.names if name[0] != "z"}


def test_folds_part_the_examples(tmp_path):
    make_folder(tmp_path, {f"{label}/{index}.jpg": f"{label}{index}" for label in "ab" for index in range(30)})
    folds = [opened(name="folder", directory=tmp_path, folds=4, fold=fold) for fold in range(4)]
    assert sorted(name for fold in folds for name in fold.validation.names) == sorted(
        f"{label}/{index}.jpg" for label in "ab" for index in range(30)
    )
    assert [content.decode() for content in everything(folds[1].validation)] == [
        name.replace("/", "").removesuffix(".jpg") for name in folds[1].validation.names
    ]
    assert len({fold.validation.fingerprint for fold in folds}) == 4


def test_holding_out_of_data_that_is_split_already_is_a_mistake(tmp_path):
    make_folder(tmp_path, {"train/a/1.jpg": "", "val/a/1.jpg": ""})
    with pytest.raises(SettingsError, match="folds: the data has a validation split already"):
        opened(name="folder", directory=tmp_path, folds=5)
    shutil.rmtree(tmp_path / "val")
    with pytest.raises(DataError, match="would hold out none of 1 examples"):
        opened(name="folder", directory=tmp_path, validation_fraction=0.001)


def test_a_split_of_its_own_wins_over_a_recipes_fraction_and_that_is_said(tmp_path):
    make_folder(
        tmp_path, {"train/a/1.jpg": "", "val/a/1.jpg": "", "list.csv": "path,label,split\ntrain/a/1.jpg,a,val\n"}
    )
    splits = opened(name="folder", directory=tmp_path, validation_fraction=0.2)
    assert (splits.train.names, splits.validation.names) == (["train/a/1.jpg"], ["val/a/1.jpg"])
    said = "data.source.validation_fraction = 0.2 is not used: the data has a validation split"
    assert said in left_out_lines(splits)
    assert said in left_out_lines(opened(name="csv", file=tmp_path / "list.csv", validation_fraction=0.2))
    assert said not in left_out_lines(opened(name="folder", directory=tmp_path))


def test_hashes_are_even_and_stay_as_they_are():
    values = hash_fractions([f"image {index}" for index in range(10000)])
    assert np.all(np.abs(np.histogram(values, 10, (0, 1))[0] - 1000) < 5 * 30)
    assert values[:2].tolist() == pytest.approx([0.24520991, 0.98120603], abs=1e-8)


def test_fingerprints_follow_the_data_not_its_place(tmp_path):
    make_folder(tmp_path / "one", {"a/1.jpg": "1", "b/2.jpg": "22"})
    first = opened(name="folder", directory=tmp_path / "one").train.fingerprint
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    assert opened(name="folder", directory=tmp_path / "two").train.fingerprint == first
    (tmp_path / "two/b/2.jpg").write_text("222")
    assert opened(name="folder", directory=tmp_path / "two").train.fingerprint != first
    os.rename(tmp_path / "one/a/1.jpg", tmp_path / "one/a/3.jpg")
    assert opened(name="folder", directory=tmp_path / "one").train.fingerprint != first


def test_a_manifest_with_splits(tmp_path):
    make_folder(tmp_path, {"pictures/a, b.jpg": "ab", "c.jpg": "c"})
    outside = make_folder(tmp_path / "elsewhere", {"d.jpg": "d"}) / "d.jpg"
    text = f'path,label,split\n"pictures/a, b.jpg",10,train\nc.jpg,9,\n{outside},10,val\n'
    (tmp_path / "list.csv").write_text(text)
    splits = opened(name="csv", file=tmp_path / "list.csv")
    assert splits.classes == ("9", "10")  # 1, 10, 100, 2 would be string order: pytorch/vision#714
    assert splits.train.labels.tolist() == [1, 0]
    assert everything(splits.train) == [b"ab", b"c"]
    assert everything(splits.validation) == [b"d"]


def test_numbers_that_are_equal_and_numbers_that_are_long_have_one_order(tmp_path):
    """1 and 01 were ordered as a set has them, so anew in every process."""
    labels = ["10", "01", "1", "001"]
    make_folder(tmp_path, {f"{number}.jpg": "" for number in range(4)})
    rows = "".join(f"{number}.jpg,{label}\n" for number, label in enumerate(labels))
    (tmp_path / "list.csv").write_text("path,label\n" + rows)
    assert opened(name="csv", file=tmp_path / "list.csv").classes == ("001", "01", "1", "10")
    (tmp_path / "list.csv").write_text("path,label\n" + rows.replace(",10", "," + "1" * 5000))
    assert opened(name="csv", file=tmp_path / "list.csv").classes == ("001", "01", "1", "1" * 5000)


def test_groups_are_held_out_whole(tmp_path):
    make_folder(tmp_path, {f"{index}.jpg": "" for index in range(60)})
    rows = "".join(f"{index}.jpg,{'ab'[index % 2]},patient {index // 3}\n" for index in range(60))
    (tmp_path / "list.csv").write_text("path,label,group\n" + rows)
    splits = opened(name="csv", file=tmp_path / "list.csv", validation_fraction=0.3)
    patients = [{int(name.removesuffix(".jpg")) // 3 for name in s.names} for s in (splits.train, splits.validation)]
    assert not patients[0] & patients[1]
    assert len(splits.train) + len(splits.validation) == 60
    assert len(splits.validation) % 3 == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,label\n", "lacks the column path; its first line holds file, label; expected path,label"),
        ("path,label\n", "holds a header but no image"),
        ("path,label,label\n1.jpg,a,b\n", "has 2 columns called label"),
        ("path,path,label\n1.jpg,2.jpg,b\n", "has 2 columns called path"),
        ("path,label\n1.jpg,a\n1.jpg,b\n", "line 3: 1.jpg stands on line 2 already"),
        ("path,label\n1.jpg,a\n./1.jpg,b\n", "line 3: ./1.jpg stands on line 2 already"),
        ("path,label\nx/../1.jpg,a\n2.jpg,b\n1.jpg,a\n", "line 4: 1.jpg stands on line 2 already"),
        ("path,label\n1.jpg,\n", "line 2: label is empty"),
        ("path,label\n1.jpg\n", "line 2: does not have the header's 2 columns"),
        ("path,label\n1.jpg,a,b\n", "line 2: does not have the header's 2 columns"),
        ("path,label\n9.jpg,a\n", "line 2: .*9.jpg: No such file"),
        ("path,label,split\n1.jpg,a,tran\n", "line 2: split = tran: must be train or one of validation, val"),
        ("path,label\n1.jpg,a\n.,b\n", "line 3: .*: is a folder"),
        ("path,label\npipe.jpg,a\n", "line 2: .*pipe.jpg: is a pipe, a device or a socket"),
        ("path,label\nlink.jpg,a\n", "line 2: .*link.jpg: is a pipe, a device or a socket"),
        ("path,label\ngone.jpg,a\n", "line 2: .*gone.jpg: No such file"),
        ("path,label\n1\0.jpg,a\n", "line 2: .*: no file can be called so"),
        (
            "path,label,split,group\n1.jpg,a,train,x\n2.jpg,a,val,x\n",
            "line 3: group x is in training and in validation",
        ),
    ],
)
def test_wrong_manifests_are_one_line(tmp_path, text, message):
    make_folder(tmp_path, {"list.csv": text, "1.jpg": "", "2.jpg": ""})
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "link.jpg").symlink_to(tmp_path / "pipe.jpg")
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    with pytest.raises(DataError, match=message):
        opened(name="csv", file=tmp_path / "list.csv")


def test_a_file_larger_than_any_that_is_read_is_left_out_and_in_a_manifest_named(tmp_path):
    """30 GB of nothing took all memory there was."""
    make_folder(tmp_path, dict.fromkeys(["photos/cat/1.png", "photos/dog/1.png", "photos/dog/huge.png"], ""))
    with (tmp_path / "photos/dog/huge.png").open("r+b") as file:
        file.truncate(30 * 2**30)  # with holes
    splits = opened(name="folder", directory=tmp_path / "photos")
    assert splits.train.names == ["cat/1.png", "dog/1.png"]
    assert left_out_lines(splits) == ["left out: 1 larger than 512 MiB: dog/huge.png"]
    (tmp_path / "list.csv").write_text("path,label\nphotos/cat/1.png,cat\nphotos/dog/huge.png,dog\n")
    with pytest.raises(DataError, match=r"list.csv: line 3: .*huge.png: is larger than 512 MiB"):
        opened(name="csv", file=tmp_path / "list.csv")
