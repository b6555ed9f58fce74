"""Norms in TensorBoard, read from a run's event files, against the weights of its checkpoints."""

from pathlib import Path

import keras
import numpy as np
import pytest
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator
from tensorflow import make_ndarray

from keras_imagenet.cli import main
from keras_imagenet.models import freezing, registry
from keras_imagenet.training import norms

STEPS, RATE, CLIP = 3, 0.05, 0.02
WORDS = ["fit", "--train.steps", str(STEPS), "--train.batch_size", "256", "--train.checkpoint_steps", "1"]
WORDS += ["--train.keep_checkpoints", "9", "--train.summary_steps", "2", "--optimizer.name", "sgd"]
WORDS += ["--optimizer.momentum", "0", "--optimizer.weight_decay", "0", "--train.clip_norm", str(CLIP)]
WORDS += ["--optimizer.learning_rate", str(RATE), "--schedule.name", "constant"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> tuple[Path, Path]:
    """Two runs alike but for the norms, which the first has."""
    found = tuple(tmp_path_factory.mktemp("runs") / name for name in ("with", "without"))
    for run, asked in zip(found, ("true", "false"), strict=True):
        assert main([*WORDS, "--train.summary_norms", asked, "--runtime.run_folder", str(run)]) == 0
    return found


def checkpoint(run: Path, step: int) -> dict[str, np.ndarray]:
    (path,) = run.glob(f"checkpoints/step-*{step}.npz")
    with np.load(path) as content:
        return {name: content[name] for name in content.files}


def weights(run: Path, step: int) -> np.ndarray:
    """All weights, in one vector: the network has none that does not learn, but a seed, which is no float."""
    values = [value for name, value in checkpoint(run, step).items() if name.startswith("network/")]
    return np.concatenate([value.ravel() for value in values if value.dtype == np.float32]).astype(np.float64)


def test_curves_show_norms_of_that_step(runs: tuple[Path, Path]) -> None:
    """Every summary_steps and at the end. The update is rate times the clipped gradient; the gradient is shown unclipped."""
    read = EventAccumulator(str(runs[0] / "tensorboard/train")).Reload()
    curves = {
        tag: {event.step: float(make_ndarray(event.tensor_proto)) for event in read.Tensors(tag)}
        for tag in read.Tags()["tensors"]
        if "_norm" in tag
    }
    assert {tuple(curve) for curve in curves.values()} == {(2, 3)}
    for step in (2, 3):
        now, before = weights(runs[0], step), weights(runs[0], step - 1)
        moved = np.linalg.norm(now - before)
        assert curves["weight_norm"][step] == pytest.approx(np.linalg.norm(now), rel=1e-5)
        assert curves["update_norm"][step] == pytest.approx(moved, rel=1e-3)
        assert moved == pytest.approx(RATE * CLIP, rel=1e-2)
        assert curves["gradient_norm"][step] > 2 * CLIP
        for tag in ("gradient_norm", "weight_norm", "update_norm"):
            parts = [curve[step] for name, curve in curves.items() if name.startswith(f"{tag}/")]
            assert len(parts) > 2
            assert np.linalg.norm(parts) == pytest.approx(curves[tag][step], rel=1e-5)


def test_norms_change_no_bit_of_training_and_are_in_no_checkpoint(runs: tuple[Path, Path]) -> None:
    for step in range(1, STEPS + 1):
        one, other = (checkpoint(run, step) for run in runs)
        assert one.keys() == other.keys()
        for name in one:
            if name.startswith(("network/", "slot", "sums")):
                np.testing.assert_array_equal(one[name], other[name], name)


def test_a_network_within_the_network_is_a_part() -> None:
    """Its weights' paths name its own layers; a Sequential's begin with a name of Keras' own."""
    inner = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="hidden")], name="inner")
    network = keras.Sequential([keras.Input((4,)), inner, keras.layers.Dense(2, name="logits")])
    watched = norms.build(network)
    assert (watched.parts, watched.places) == (("inner", "logits"), (0, 0, 1, 1))


@pytest.mark.parametrize(
    ("name", "size", "parts"),
    [
        ("resnet18", 64, ["stem", "stage1", "stage2", "stage3", "stage4", "head"]),
        ("cifar_net", 32, ["stem", "stage1", "stage2", "stage3", "head"]),
        ("alexnet", 96, ["conv1", "conv2", "conv3", "conv4", "conv5", "hidden1", "hidden2", "logits"]),
    ],
)
def test_parts_of_a_network(name: str, size: int, parts: list[str]) -> None:
    network = registry.build(name, input_shape=(size, size, 3), classes=10)
    assert list(dict.fromkeys(freezing.parts(network).values())) == parts
