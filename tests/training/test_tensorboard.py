"""What a run leaves for TensorBoard: read back from the event files, and seen in a browser."""

import importlib.util
import shutil
import time
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator

from keras_imagenet import run_folder
from keras_imagenet.cli import main

ROOT = Path(__file__).resolve().parents[2]
SCALARS = {"loss", "top1", "top5"}
MEASURED = {"learning_rate", "images_per_second", "data_wait"}


@pytest.fixture(scope="module")
def screenshots() -> ModuleType:
    """tools/screenshot_tensorboard.py as a module, on a machine with a browser."""
    for program in ("chromium", "chromedriver"):
        if shutil.which(program) is None:
            pytest.skip(f"needs {program} (Debian: apt-get install chromium chromium-driver)")
    spec = importlib.util.spec_from_file_location("screenshots", ROOT / "tools" / "screenshot_tensorboard.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def events(run: Path, part: str) -> dict[str, list[tuple[int, np.ndarray]]]:
    """(step, value) pairs by tag, of train or validation."""
    read = EventAccumulator(str(run / "tensorboard" / part), tensor_size_guidance={"scalars": 0, "images": 0}).Reload()
    return {
        tag: [(event.step, tf.make_ndarray(event.tensor_proto)) for event in read.Tensors(tag)]
        for tag in read.Tags()["tensors"]
    }


def test_training_writes_every_scalar_at_the_optimizers_steps(digits_run: Path) -> None:
    """And at each epoch's last, so that the shortest run has a curve."""
    content = events(digits_run, "train")
    run = run_folder.opened(digits_run)
    every, ends = run.settings.train.summary_steps, [int(row["step"]) for row in run.history]
    steps = sorted({*range(every, ends[-1] + 1, every), *ends})
    assert set(content) == SCALARS | MEASURED | {"images"}
    for tag in SCALARS | MEASURED:
        assert [step for step, _ in content[tag]] == steps, tag
        assert np.isfinite([value for _, value in content[tag]]).all(), tag
    (_, share), (_, rate) = content["data_wait"][0], content["images_per_second"][0]
    assert 0 <= share <= 1
    assert rate > 0
    assert 0 < content["learning_rate"][0][1] <= 0.001


def test_training_shows_the_images_as_the_network_sees_them(digits_run: Path) -> None:
    """Sixteen augmented 8x8 digits of the first batch: no other size, and not one image sixteen times."""
    ((step, value),) = events(digits_run, "train")["images"]
    width, height, *encoded = value
    pictures = [tf.io.decode_png(picture).numpy() for picture in encoded]
    assert (step, width, height) == (0, b"8", b"8")
    assert len(pictures) == 16
    assert len({picture.tobytes() for picture in pictures}) == 16
    assert all(picture.shape == (8, 8, 1) and picture.max() > 128 for picture in pictures)


def test_validation_writes_what_history_says(digits_run: Path) -> None:
    content, history = events(digits_run, "validation"), run_folder.opened(digits_run).history
    assert set(content) == SCALARS | {"confusion_matrix"}
    for tag in SCALARS:
        assert [step for step, _ in content[tag]] == [int(row["step"]) for row in history]
        np.testing.assert_allclose([v for _, v in content[tag]], [float(r[f"validation_{tag}"]) for r in history], 1e-6)


@pytest.mark.parametrize("left", [2, 0])
def test_steps_made_again_after_a_kill_have_one_point(tmp_path: Path, left: int) -> None:
    """Going on from a checkpoint before the last point that was written, or anew before the first."""
    run = tmp_path / "run"
    words = ["fit", "--train.steps", "4", "--train.batch_size", "512", "--train.checkpoint_steps", "2"]
    words += ["--train.summary_steps", "1", "--runtime.run_folder", str(run)]
    assert main(words) == 0
    (run / "metrics.json").unlink()
    for checkpoint in run.glob("checkpoints/*.npz"):
        if int(checkpoint.stem.removeprefix("step-")) > left:
            checkpoint.unlink()
    if left == 0:
        for checkpoint in run.glob("checkpoints/*.npz"):
            checkpoint.unlink()
    time.sleep(1)  # Files of events are read in the order of their seconds.
    assert main(words) == 0
    content = events(run, "train")
    assert {tag: [step for step, _ in points] for tag, points in content.items()} == {
        "images": [0],
        **{tag: [1, 2, 3, 4] for tag in SCALARS | MEASURED},
    }
    for tag, points in events(run, "validation").items():
        # The matrix is drawn once a minute, and at the end.
        assert [step for step, _ in points] == ([4] if tag == "confusion_matrix" else [3, 4]), tag


def test_the_last_confusion_matrix_is_the_report_s(digits_run: Path) -> None:
    """With class names and numbers, pixel for pixel."""
    step, (_, _, picture) = events(digits_run, "validation")["confusion_matrix"][-1]
    assert step == int(run_folder.opened(digits_run).history[-1]["step"])
    reported = tf.io.read_file(str(digits_run / "report" / "confusion.png"))
    shown, wanted = (tf.io.decode_png(encoded, channels=3).numpy() for encoded in (picture, reported))
    assert np.array_equal(shown, wanted)
    assert min(shown.shape[:2]) > 300


def test_a_browser_shows_the_tags(digits_run: Path, screenshots: ModuleType) -> None:
    with screenshots.tensorboard(digits_run / "tensorboard") as address, screenshots.browser(1200, 900) as drive:
        screenshots.open_time_series(drive, address)
        screenshots.wait_for(lambda: "top5" in screenshots.evaluate(drive, screenshots.SHOWN), "the tags")
        shown = set(screenshots.evaluate(drive, screenshots.SHOWN).replace("16 cards", "").split())
    assert shown >= SCALARS | MEASURED | {"images", "confusion_matrix"}
    assert shown >= {"train", "validation"}
