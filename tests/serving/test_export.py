"""What is trained is what is served: a process with nothing but TensorFlow gives predict's answers."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_imagenet.errors import DataError, KerasImagenetError
from keras_imagenet.preset import Preset
from keras_imagenet.serving import export

ASK = """
import json, os, sys
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import tensorflow as tf
served = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
answer = served(image_bytes=tf.constant([open(file, "rb").read() for file in sys.argv[2:]]))
print(json.dumps({name: value.numpy().astype("U" if name == "classes" else "f8").tolist() for name, value in answer.items()}))
"""


@pytest.fixture(scope="module")
def photo_run(command, tmp_path_factory) -> Path:
    """A short run on colour images of two classes at 32 pixels."""
    folder = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(0)
    for name, colour in (("red", (200, 60, 60)), ("blue", (60, 60, 200))):
        (folder / "data" / name).mkdir(parents=True)
        for number in range(12):
            pixels = np.clip(random.normal(colour, 40, (40, 50, 3)), 0, 255).astype(np.uint8)
            (folder / "data" / name / f"{number}.jpg").write_bytes(tf.io.encode_jpeg(pixels).numpy())
    words = (
        "--data.source.name",
        "folder",
        "--data.source.directory",
        folder / "data",
        "--data.source.validation_fraction",
        "0.25",
    )
    words += ("--data.size", "32", "--data.channels", "3", "--data.crop_fraction", "0.875", "--train.epochs", "4")
    words += ("--train.batch_size", "8", "--train.evaluation_batch_size", "8", "--runtime.run_folder", folder / "run")
    words += ("--data.flip_average", "true", "--data.evaluation_kernel", "bilinear")
    done = command("fit", *words)
    assert done.returncode == 0, done.stderr
    return folder / "run"


@pytest.fixture(scope="module")
def saved_model(command, photo_run: Path) -> Path:
    done = command("export", photo_run)
    assert done.returncode == 0, done.stderr
    return photo_run / "saved_model" / "1"


def ask(saved_model: Path, files: list[Path]) -> dict:
    done = subprocess.run([sys.executable, "-c", ASK, saved_model, *files], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_serving_answers_what_predict_says(command, photo_run: Path, saved_model: Path, shared: Path) -> None:
    """tensorflow/serving#1443: served answers differ from predict. Turned, transparent, grey and CMYK files included."""
    folder = shared / "data" / "oddities"
    done = command("predict", photo_run, folder, "--json")
    answers = json.loads(done.stdout)["images"]
    files = [Path(answer["image"]) for answer in answers]
    assert len(files) >= 11
    served = ask(saved_model, files)
    for row, answer in enumerate(answers):
        assert served["classes"][row] == [prediction["class"] for prediction in answer["predictions"]]
        found = [prediction["probability"] for prediction in answer["predictions"]]
        np.testing.assert_allclose(served["probabilities"][row], found, atol=2e-6)


def test_serving_answers_for_the_run_s_own_images(photo_run: Path, saved_model: Path) -> None:
    files = sorted((photo_run.parent / "data" / "red").glob("*.jpg"))[:3]
    served = ask(saved_model, files)
    assert [row[0] for row in served["classes"]] == ["red"] * 3
    assert [row[0] for row in served["labels"]] == [1] * 3  # blue, red: code-point order.
    np.testing.assert_allclose(np.sum(served["probabilities"], axis=1), 1, rtol=1e-5)


def test_a_doubtful_image_fails_its_batch_and_no_other(photo_run: Path, saved_model: Path) -> None:
    good = tf.io.encode_png(tf.zeros([40, 50, 3], tf.uint8)).numpy()
    bomb = good[:16] + (60_000).to_bytes(4, "big") * 2 + good[24:]  # declares 60,000 x 60,000 pixels
    served = tf.saved_model.load(str(saved_model)).signatures["serving_default"]
    for doubtful in (b"no image", good[:60], bomb):
        with pytest.raises(tf.errors.InvalidArgumentError):
            served(image_bytes=tf.constant([good, doubtful]))
        assert served(image_bytes=tf.constant([good]))["labels"].shape == (1, 2)


def test_the_float_signature_takes_pixels_at_the_preset_s_size(saved_model: Path) -> None:
    signature = tf.saved_model.load(str(saved_model)).signatures["images"]
    answer = signature(images=tf.fill([2, 32, 32, 3], 255.0))
    assert answer["probabilities"].shape == (2, 2)


def test_an_empty_batch_is_answered_empty(saved_model: Path) -> None:
    """What a server sends that has nothing to send."""
    signatures = tf.saved_model.load(str(saved_model)).signatures
    for answer in (
        signatures["serving_default"](image_bytes=tf.constant([], tf.string)),
        signatures["images"](images=tf.zeros((0, 32, 32, 3))),
    ):
        assert {name: tuple(value.shape) for name, value in answer.items()} == dict.fromkeys(answer, (0, 2))


def test_an_image_above_the_limit_ends_the_request(command, photo_run: Path, tmp_path: Path) -> None:
    """By its header, before anything is decoded."""
    done = command("export", photo_run, "--output", tmp_path, "--max_pixels", "4000")
    assert done.returncode == 0, done.stderr
    ask_for = tf.saved_model.load(str(tmp_path / "1")).signatures["serving_default"]
    fits, large = (tf.io.encode_png(tf.zeros((rows, 50, 3), tf.uint8)).numpy() for rows in (80, 81))
    assert ask_for(image_bytes=tf.constant([fits]))["labels"].shape == (1, 2)
    declared = large[:16] + (60_000).to_bytes(4, "big") * 2 + large[24:]  # gigabytes, if it were decoded
    for content in (large, declared):
        with pytest.raises(tf.errors.InvalidArgumentError, match="above 4000 pixels"):
            ask_for(image_bytes=tf.constant([fits, content]))


@pytest.mark.parametrize("limit", ["0", "-5", "3000", "200000001"])
def test_a_limit_that_makes_no_sense_is_refused(command, photo_run: Path, tmp_path: Path, limit: str) -> None:
    done = command("export", photo_run, "--output", tmp_path, "--max_pixels", limit)
    assert done.returncode == 2
    assert done.stderr == f"keras-imagenet: --max_pixels {limit}: must be from 3025 to 178956970\n"


def test_a_request_of_large_images_takes_the_memory_of_one(python, saved_model: Path, tmp_path: Path) -> None:
    """Eight PNGs of 24 megapixels, of 72 MB each; in float64, as they are resampled, each would be 576."""
    (tmp_path / "large.png").write_bytes(tf.io.encode_png(tf.zeros((6000, 4000, 3), tf.uint8)).numpy())
    program = """
import resource, sys
import tensorflow as tf
served = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
small = tf.io.encode_png(tf.zeros((40, 50, 3), tf.uint8)).numpy()
served(image_bytes=tf.constant([small] * 8))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
served(image_bytes=tf.constant([open(sys.argv[2], "rb").read()] * 8))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    done = python(program, saved_model, tmp_path / "large.png")
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 250_000  # kilobytes


def test_every_export_is_a_new_version(command, photo_run: Path, saved_model: Path, tmp_path: Path) -> None:
    done = command("export", photo_run, "--output", tmp_path, "--json")
    assert json.loads(done.stdout)["saved_model"] == str(tmp_path / "1")
    assert command("export", photo_run, "--output", tmp_path).returncode == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "2"]


def test_an_output_that_cannot_be_written(command, photo_run: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    done = command("export", photo_run, "--output", tmp_path / "file" / "models")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1


def test_the_network_loads_with_keras_alone_in_safe_mode(photo_run: Path, tmp_path: Path) -> None:
    shutil.copy(photo_run / "model.keras", tmp_path)
    program = """
import keras, sys
network = keras.saving.load_model("model.keras", safe_mode=True)
print(network.output_shape, "keras_imagenet" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.strip() == "(None, 2) False"


def two_classes(biases: tuple[float, float]) -> keras.Model:
    """A network that answers the same for every image."""
    images = keras.Input((32, 32, 3), name="images")
    logits = keras.layers.Dense(2, kernel_initializer="zeros", name="logits")
    network = keras.Model(images, logits(keras.layers.GlobalAveragePooling2D()(images)))
    logits.bias.assign(biases)
    return network


def test_a_network_in_bfloat16_is_served(tmp_path: Path) -> None:
    """Its norms are folded, whose rounding in 16 bits is not the unfolded network's, but predict's."""
    keras.utils.set_random_seed(0)
    kind = {"dtype": "mixed_bfloat16"}
    images = x = keras.Input((16, 16, 3), name="images")
    for number in range(4):
        x = keras.layers.Conv2D(16, 3, padding="same", use_bias=False, **kind)(x)
        x = keras.layers.ReLU(**kind)(keras.layers.BatchNormalization(momentum=0.0, **kind, name=f"norm{number}")(x))
    x = keras.layers.GlobalAveragePooling2D(dtype="float32")(x)
    network = keras.Model(images, keras.layers.Dense(2, kernel_initializer="random_normal", name="logits")(x))
    network(np.random.default_rng(0).normal(size=(8, 16, 16, 3)).astype("float32"), training=True)
    logits = network.get_layer("logits")
    logits.kernel.assign(logits.kernel * 20)
    assert export.export(network, Preset(size=(16, 16)), ("cat", "dog"), tmp_path)[1] <= 1e-4


def test_swapped_classes_are_noticed(tmp_path: Path) -> None:
    """Sorted, the probabilities of both networks are the same; so are those under swapped names."""
    preset = Preset(size=(32, 32))
    version, difference = export.export(two_classes((0.0, 1.0)), preset, ("cat", "dog"), tmp_path)
    assert difference <= 1e-6
    with pytest.raises(KerasImagenetError, match="answers otherwise"):
        export._difference(two_classes((1.0, 0.0)), preset, ("cat", "dog"), version)
    with pytest.raises(KerasImagenetError, match="answers otherwise"):
        export._difference(two_classes((0.0, 1.0)), preset, ("dog", "cat"), version)


def test_no_version_is_left_where_names_and_answers_do_not_match(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="tells 2 classes apart, and 1 are named"):
        export.export(two_classes((0.0, 1.0)), Preset(size=(32, 32)), ("cat",), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_process_that_is_asked_imports_nothing_from_where_it_runs(photo_run: Path, tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('ran what lies here')")
    installed = Path(sys.executable).with_name("keras-imagenet")
    words = [installed, "export", photo_run, "--output", tmp_path / "served"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
