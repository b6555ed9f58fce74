"""Sets of TensorFlow Datasets that a network of the thousand classes is measured on, and those with classes of their own.

TensorFlow Datasets' own builders write them, from a few files in the layout of the originals instead of a download.
"""

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from pydantic import TypeAdapter

import keras_imagenet
from keras_imagenet.data.images import decode
from keras_imagenet.data.sources import Splits, open_source
from keras_imagenet.errors import DataError
from keras_imagenet.models import weights
from keras_imagenet.run_folder import RunFolder
from keras_imagenet.settings.data import SourceSettings

THOUSAND = Path(weights.__file__).with_name("imagenet_classes.tsv")
WNIDS = [line.split("\t")[1] for line in THOUSAND.read_text().splitlines()[1:]]
REAL = [[0], [1, 2], [], [5], list(range(0, 1000, 50)), [1, 3, 5]]
SIDE = 16


class Files:
    """What a download manager hands a builder, from a folder."""

    def __init__(self, folder: Path) -> None:
        self.manual_dir = folder

    def download_and_extract(self, url: object) -> object:
        """The folder, or a file of the url's name in it for each of several."""
        return {k: self.manual_dir / Path(v).stem for k, v in url.items()} if isinstance(url, dict) else self.manual_dir

    def download(self, url: str) -> str:
        """A file of the url's name."""
        return str(self.manual_dir / Path(url).name)

    def iter_archive(self, path: str) -> list[tuple[str, io.BytesIO]]:
        """Names and content of a tar's members."""
        with tarfile.open(path) as tar:
            return [(member.name, io.BytesIO(tar.extractfile(member).read())) for member in tar]


def jpeg(number: int) -> bytes:
    return tf.io.encode_jpeg(np.random.default_rng(number).integers(0, 256, (20, 24, 3), np.uint8)).numpy()


def build(set_name: str, root: Path, originals: Path, file_format: str = "array_record") -> None:
    """Write a set as `tfds build` does."""
    import tensorflow_datasets as tfds

    base = tfds.builder_cls(set_name)
    with tfds.core.registered.skip_registration():

        class Builder(base):
            name = set_name
            pkg_dir_path = base.pkg_dir_path

            def _split_generators(self, dl_manager: object) -> object:
                return super()._split_generators(Files(originals))

        Builder(data_dir=root, file_format=file_format).download_and_prepare()


def two_hundred_classes(folder: Path, name: str) -> None:
    """ImageNet-A and -R: the class folders of some of the thousand."""
    for number, label in enumerate((700, 3, 41)):
        (folder / name / WNIDS[label]).mkdir(parents=True)
        for copy in range(3):
            (folder / name / WNIDS[label] / f"{label}_{copy}.jpg").write_bytes(jpeg(10 * number + copy))


def real(folder: Path) -> None:
    """The validation tar, of which six images are there, and the reassessed labels."""
    with tarfile.open(folder / "ILSVRC2012_img_val.tar", "w") as tar:
        for number in range(len(REAL)):
            member = tarfile.TarInfo(f"ILSVRC2012_val_{number + 1:08}.JPEG")
            content = jpeg(100 + number)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    (folder / "real.json").write_text(json.dumps(REAL + [[]] * (50000 - len(REAL))))


def opened(**values: object) -> Splits:
    return open_source(TypeAdapter(SourceSettings).validate_python({"name": "tfds", **values}))


@pytest.fixture(scope="module", autouse=True)
def _own_cache(tmp_path_factory) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> RunFolder:
    """A small network for the thousand classes, three steps old."""
    folder = tmp_path_factory.mktemp("thousand")
    for label in range(0, 1000, 250):
        (folder / "photos" / WNIDS[label]).mkdir(parents=True)
        (folder / "photos" / WNIDS[label] / "a.jpg").write_bytes(jpeg(label))
    source = {"data.source.name": "folder", "data.source.directory": str(folder / "photos")}
    flags = source | {"data.source.classes": str(THOUSAND), "data.size": str(SIDE), "data.channels": "3"}
    flags |= {"train.steps": "3", "train.batch_size": "4", "runtime.run_folder": str(folder / "run")}
    return keras_imagenet.fit(keras_imagenet.load("digits/simple_cnn", list(flags.items())))


def measured(run: RunFolder, root: Path, name: str) -> dict:
    data = {"name": "tfds", "dataset": name, "directory": str(root)}
    return keras_imagenet.evaluate(str(run.path), [("data.source", json.dumps(data))])


def answers(run: RunFolder, read: Callable, n: int) -> np.ndarray:
    """The network's logits, by Keras alone: the centre crop of 20x24 at 0.875 is 16 pixels of 18.3."""
    from keras_imagenet.data import images
    from keras_imagenet.data.images.normalise import normalise

    network = keras.saving.load_model(run.model_file)
    crops = list(images.evaluation_crops([read(tf.constant(i, tf.int64)) for i in range(n)], run.preset))
    return network(normalise(tf.stack(crops), run.preset)).numpy()


@pytest.mark.parametrize(("name", "inner"), [("imagenet_a", "imagenet-a"), ("imagenet_r", "imagenet-r")])
def test_sets_of_some_of_the_thousand_classes(run: RunFolder, tmp_path: Path, name: str, inner: str) -> None:
    """Labelled as in the thousand; measured among all, and among those that occur, as these sets' papers do."""
    two_hundred_classes(tmp_path, inner)
    build(name, tmp_path / "tfds", tmp_path)
    source = opened(dataset=name, directory=tmp_path / "tfds", classes=THOUSAND).validation
    assert [source.classes[label] for label in source.labels] == [WNIDS[label] for label in source.labels]
    assert np.bincount(source.labels)[[3, 41, 700]].tolist() == [3, 3, 3]
    found = measured(run, tmp_path / "tfds", name)
    logits = answers(run, source.read, 9)
    assert found["examples"] == 9
    assert found["top1"] == np.mean(logits.argmax(axis=1) == source.labels)
    among = np.array([3, 41, 700])[logits[:, [3, 41, 700]].argmax(axis=1)]
    assert found["among_present"]["top1"] == np.mean(among == source.labels)
    assert (found["among_present"]["classes"], found["among_present"]["top5"]) == (3, 1)


def test_reassessed_labels(run: RunFolder, tmp_path: Path) -> None:
    """The rule in imagenet2012_real's own description; images without a label are left out, and said to be."""
    real(tmp_path)
    build("imagenet2012_real", tmp_path / "tfds", tmp_path)
    source = opened(dataset="imagenet2012_real", directory=tmp_path / "tfds", classes=THOUSAND).validation
    assert sorted(sorted(row[row >= 0].tolist()) for row in source.answers) == sorted(filter(None, REAL))
    found = measured(run, tmp_path / "tfds", "imagenet2012_real")
    predictions = answers(run, source.read, 5).argmax(axis=1)
    wanted = np.mean([answer in row for answer, row in zip(predictions, source.answers, strict=True)])
    assert (found["top1"], found["examples"]) == (wanted, 5)
    assert found["measured_on"] == "validation examples, where any of an image's labels is right"
    assert found["left_out"] == {"without a label": 1}


def test_reassessed_labels_are_not_lost_on_the_way(tmp_path: Path) -> None:
    real(tmp_path)
    build("imagenet2012_real", tmp_path / "tfds", tmp_path, "tfrecord")
    with pytest.raises(DataError, match="remove it and run tfds build imagenet2012_real --file_format array_record"):
        opened(dataset="imagenet2012_real", directory=tmp_path / "tfds")


def test_imagenette_in_the_thousand(tmp_path: Path) -> None:
    names = ("n01440764", "n03888257")
    for split in ("train", "val"):
        for name in names:
            (tmp_path / "imagenette2" / split / name).mkdir(parents=True)
            (tmp_path / "imagenette2" / split / name / f"{name}_{split}.JPEG").write_bytes(jpeg(1))
    build("imagenette", tmp_path / "tfds", tmp_path)
    alone = opened(dataset="imagenette", directory=tmp_path / "tfds")
    assert len(alone.classes) == 10
    thousand = opened(dataset="imagenette", directory=tmp_path / "tfds", classes=THOUSAND)
    assert sorted(thousand.validation.labels.tolist()) == [0, WNIDS.index("n03888257")]


def test_cifar_100(tmp_path: Path) -> None:
    """Two labels an image, of which the finer one is meant; names in the originals' order, which is alphabetical."""
    inner = tmp_path / "cifar-100-binary"
    inner.mkdir()
    names = [f"fine {number:02}" for number in range(100)]
    (inner / "fine_label_names.txt").write_text("\n".join(names))
    (inner / "coarse_label_names.txt").write_text("\n".join(f"coarse {number:02}" for number in range(20)))
    pixels = np.random.default_rng(0).integers(0, 256, (4, 3, 32, 32), np.uint8)
    rows = [bytes([label // 5, label]) + image.tobytes() for label, image in zip((99, 0, 57, 8), pixels, strict=True)]
    for split in ("train", "test"):
        (inner / f"{split}.bin").write_bytes(b"".join(rows))
    build("cifar100", tmp_path / "tfds", tmp_path)
    splits = opened(dataset="cifar100", directory=tmp_path / "tfds")
    assert splits.class_names == tuple(names)
    assert sorted(splits.validation.labels.tolist()) == [0, 8, 57, 99]
    place = splits.train.labels.tolist().index(57)
    image = decode(splits.train.read(tf.constant(place, tf.int64)))
    assert np.array_equal(image, pixels[2].transpose(1, 2, 0))


def test_mnist(tmp_path: Path, monkeypatch) -> None:
    """One channel, classes called by their digits; the builder counts on so many images, of which 6 are made here."""
    from tensorflow_datasets.image_classification import mnist

    pixels, labels = np.random.default_rng(0).integers(0, 256, (6, 28, 28), np.uint8), bytes([3, 1, 4, 1, 5, 9])
    for split, name in (("TRAIN", "train"), ("TEST", "t10k")):
        monkeypatch.setattr(mnist, f"_{split}_EXAMPLES", 6)
        (tmp_path / f"{name}-images-idx3-ubyte").write_bytes(bytes(16) + pixels.tobytes())
        (tmp_path / f"{name}-labels-idx1-ubyte").write_bytes(bytes(8) + labels)
    build("mnist", tmp_path / "tfds", tmp_path)
    splits = opened(dataset="mnist", directory=tmp_path / "tfds")
    assert splits.classes == tuple("0123456789")
    assert sorted(splits.validation.labels.tolist()) == sorted(labels)
    place = splits.validation.labels.tolist().index(9)
    assert np.array_equal(
        decode(splits.validation.read(tf.constant(place, tf.int64))), pixels[5][..., None].repeat(3, axis=2)
    )
