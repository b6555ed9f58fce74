"""Averages of the weights against TensorFlow's, torch's and timm's own, and what the steps make of them."""

import csv
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from pydantic import TypeAdapter

from keras_imagenet.data.batches import Batches
from keras_imagenet.preset import Preset
from keras_imagenet.settings import AverageSettings, SGDSettings
from keras_imagenet.training import averages, objectives, optimizers, step
from keras_imagenet.training import state as states
from keras_imagenet.training.course import Course

GOLDEN = np.load(Path(__file__).parent.parent / "golden/averages.npz")


def average(
    batch: int = 8, epochs: float = 4, examples: int = 80, warmup_epochs: float = 0.0, **settings
) -> averages.Average:
    checked = TypeAdapter(AverageSettings).validate_python(settings)
    course = Course(Batches(batch), epochs, examples, lambda step, losses=(): 0.1)
    return averages.build(checked, course, warmup_epochs)


def followed(steps: int = 40, **settings) -> list[float]:
    """The average after each step, of a weight that is VALUES[step] after it and 0 at first; float64."""
    decay, mean, found = average(**settings).decay, tf.constant(0.0, tf.float64), []
    for number in range(steps):
        mean = averages.moved(mean, tf.constant(GOLDEN["values"][number]), decay(tf.constant(number, tf.int64)))
        found.append(float(mean))
    return found


def test_tensorflows_average_is_its_own() -> None:
    """tf.train.ExponentialMovingAverage, told of the updates made; it rounds the decay to float32, 0.75 to itself."""
    variable, updates = tf.Variable(0.0, dtype=tf.float64), tf.Variable(0, dtype=tf.int64)
    theirs = tf.train.ExponentialMovingAverage(0.75, num_updates=updates)

    @tf.function
    def wanted(value: tf.Tensor, number: tf.Tensor) -> tf.Tensor:
        variable.assign(value)
        updates.assign(number)
        theirs.apply([variable])
        return tf.identity(theirs.average(variable))

    expected = [float(wanted(value, number)) for number, value in enumerate(GOLDEN["values"], start=1)]
    np.testing.assert_allclose(followed(name="tensorflow", decay=0.75), expected, rtol=1e-6)


def test_tensorflows_average_may_begin_later() -> None:
    """As Model Garden's start_step: copies before it, and from it on the updates are counted from 0."""
    found, values = followed(6, name="tensorflow", decay=0.75, from_step=5), GOLDEN["values"]
    assert found[:4] == values[:4].tolist()
    fifth = 0.1 * values[3] + 0.9 * values[4]
    np.testing.assert_allclose(found[4:], [fifth, 2 / 11 * fifth + 9 / 11 * values[5]], rtol=1e-12)


def test_timms_average_is_its_own() -> None:
    """ModelEmaV3 with its warm-up; from a later step, the average is a copy until then. Constant: its and ConvNeXt's."""
    np.testing.assert_allclose(followed(name="timm", decay=0.8), GOLDEN["timm"], rtol=1e-12)
    late = followed(name="timm", decay=0.8, gamma=2.0, power=0.75, from_step=5)
    np.testing.assert_allclose(late, GOLDEN["timm late"], rtol=1e-12)
    assert late[:6] == GOLDEN["values"][:6].tolist()
    # Without its warm-up timm copies at the first update only.
    np.testing.assert_allclose(followed(name="constant", decay=0.8, from_step=2), GOLDEN["constant"], rtol=1e-12)


def test_torchvisions_average_is_its_own() -> None:
    """Every so many steps of an epoch; copies in the warm-up and at the first update after it."""
    found = followed(name="torchvision", decay=0.96, every=4, warmup_epochs=1)
    np.testing.assert_allclose(found, GOLDEN["torchvision"], rtol=1e-12)


@pytest.mark.parametrize(
    ("batch", "epochs", "adjusted"), [(1024, 600, 0.998907733), (4096, 400, 0.9934464), (4096, 300, 0.991261867)]
)
def test_torchvisions_decay_is_a_parameter_only(batch: int, epochs: int, adjusted: float) -> None:
    """The decays that its published recipes come to."""
    decay = average(batch, epochs, 1281167, name="torchvision").decay
    assert float(decay(tf.constant(32, tf.int64))) == pytest.approx(adjusted, abs=5e-10)
    assert float(decay(tf.constant(33, tf.int64))) == 1


def test_swa_is_the_mean_of_epochs_ends() -> None:
    """torch.optim.swa_utils.AveragedModel; until it begins, the average is a copy."""
    found = followed(name="swa", from_epoch=2)
    np.testing.assert_allclose(found[19::10], GOLDEN["swa"], rtol=1e-12)
    assert found[:20] == GOLDEN["values"][:20].tolist()
    assert found[20:29] == [found[19]] * 9
    every_other = followed(name="swa", from_epoch=2, every=2)
    assert every_other[39] == pytest.approx(GOLDEN["values"][[19, 39]].mean())


def test_a_constant_average_may_be_updated_every_few_steps() -> None:
    """mosaic's: a half-life of 100 batches, updated every 20."""
    found, mean = followed(name="constant", decay=0.75, every=20), 0.0
    for number in (19, 39):
        mean = 0.75 * mean + 0.25 * GOLDEN["values"][number]
        assert found[number] == pytest.approx(mean, rel=1e-12)
    assert found[20:39] == [found[19]] * 19


def test_the_best_epochs_average_is_their_mean_and_survives_an_interruption(command, tmp_path: Path) -> None:
    """Of four epochs the two of the best top-1, out of each epoch's own checkpoint; and to the same bits from the third on."""
    from test_exactness import assert_same_bits

    words = ["fit", "--average.name", "best", "--average.count", "2", "--train.keep", "average", "--train.epochs", "4"]
    words += ["--train.batch_size", "256", "--train.keep_checkpoints", "9", "--optimizer.learning_rate", "0.003"]
    whole, other = tmp_path / "whole", tmp_path / "other"
    done = command(*words, "--runtime.run_folder", whole)
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader((whole / "history.csv").open()))
    best = sorted(rows, key=lambda row: -float(row["validation_top1"]))[:2]
    ends = [np.load(whole / f"checkpoints/step-{int(row['step']):08d}.npz") for row in best]
    for place, variable in enumerate(keras.saving.load_model(whole / "model.keras").variables):
        if "seed" not in variable.path:
            one, two = (end[f"network/{place}"] for end in ends)
            np.testing.assert_allclose(variable.numpy(), (one.astype(float) + two) / 2, rtol=1e-6, atol=1e-8)
            assert not np.array_equal(one, two)
    shutil.copytree(whole, other)
    for file in (other / "metrics.json", other / "model.keras", *sorted(other.glob("checkpoints/*.npz"))[3:]):
        file.unlink()
    done = command("fit", "--config", other)
    assert done.returncode == 0, done.stderr
    assert "going on from step" in done.stdout
    assert_same_bits(whole, other)


@pytest.mark.parametrize("statistics", [True, False])
def test_steps_move_the_average_and_evaluation_borrows_it(statistics: bool) -> None:
    """Weights, and statistics where asked for; after it the network has its own values, to the bit."""
    images = keras.Input((1, 1, 1))
    x = keras.layers.BatchNormalization(momentum=0.5)(images)
    network = keras.Model(images, keras.layers.Dense(2)(keras.layers.Flatten()(x)))
    kept = average(name="constant", decay=0.75, statistics=statistics)
    optimizer = optimizers.build(SGDSettings(), network.trainable_variables)
    state = states.start(network, optimizer, "float32", kept)
    objective = objectives.Objective(Preset(size=(1, 1), channels=1, mean=(0.0,), std=(1.0,)), 2)
    one_step = step.build(state, objective, optimizer, tf.distribute.get_strategy(), step.Plan(2), average=kept)
    wanted = {place: state.values()[place] for place in state.average}
    paths = {network.variables[place].path.rpartition("/")[2] for place in wanted}
    assert paths == {"gamma", "beta", "kernel", "bias"} | ({"moving_mean", "moving_variance"} if statistics else set())
    for number in range(3):
        rows = {"images": tf.constant([[[[9 * number]]], [[[255]]]]), "labels": [0, 1], "weights": [1.0, 1.0]}
        batch = {name: tf.convert_to_tensor(value) for name, value in rows.items()}
        one_step(batch, tf.constant(0.5, tf.float64), tf.constant(number, tf.int64))
        wanted = {place: 0.75 * mean + 0.25 * state.values()[place] for place, mean in wanted.items()}
    own = state.values()
    for place, mean in wanted.items():
        np.testing.assert_allclose(state.average[place], mean, rtol=1e-5, atol=1e-7)
    with states.averaged(state):
        for one, other in zip(state.values(), state.values(averaged=True), strict=True):
            np.testing.assert_array_equal(one, other)
        assert not np.array_equal(state.values()[0], own[0])
    for one, other in zip(state.values(), own, strict=True):
        np.testing.assert_array_equal(one, other)
    assert {name for name, _ in state.tensors()} >= {f"average/{place}" for place in wanted}


def test_lookahead_moves_more_slowly_towards_the_end() -> None:
    """legacy/airbench94.py: every fifth step, 0.95 ** 5 of the average times the cube of the progress."""
    decay = average(8, 4, 80, name="lookahead").decay
    found = [float(decay(tf.constant(step, tf.int64))) for step in range(40)]
    wanted = [0.95**5 * (count / 40) ** 3 if count % 5 == 0 else 1.0 for count in range(1, 41)]
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_weights_go_on_from_lookahead_s_average() -> None:
    """The second of two steps moves it: without it the weights would be where the average is drawn to."""
    results = []
    for kept in (average(2, 4, 2, name="lookahead", every=2, decay=0.5), None):
        keras.utils.set_random_seed(0)
        images = keras.Input((1, 1, 1))
        network = keras.Model(images, keras.layers.Dense(2)(keras.layers.Flatten()(images)))
        optimizer = optimizers.build(SGDSettings(), network.trainable_variables)
        state = states.start(network, optimizer, "float32", kept)
        objective = objectives.Objective(Preset(size=(1, 1), channels=1, mean=(0.0,), std=(1.0,)), 2)
        one_step = step.build(state, objective, optimizer, tf.distribute.get_strategy(), step.Plan(2), average=kept)
        rows = {"images": tf.constant([[[[9]]], [[[255]]]]), "labels": tf.constant([0, 1]), "weights": tf.ones(2)}
        walk = [state.values()]
        for number in range(2):
            one_step(rows, tf.constant(0.5, tf.float64), tf.constant(number, tf.int64))
            walk.append(state.values())
        results.append((walk, state.average))
    (led, mean), (alone, _) = results
    share = 0.5 * (2 / 4) ** 3
    for place in range(2):
        np.testing.assert_array_equal(led[1][place], alone[1][place])
        np.testing.assert_allclose(led[2][place], share * led[0][place] + (1 - share) * alone[2][place], rtol=1e-6)
        np.testing.assert_array_equal(led[2][place], mean[place])
