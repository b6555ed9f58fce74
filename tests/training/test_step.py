"""One step of training: the same on one device and on two, whole or in parts, compiled or not; and as it was."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_imagenet.data.batches import Batches
from keras_imagenet.errors import TrainingStopped
from keras_imagenet.preset import Preset
from keras_imagenet.settings.optimizer import AdamSettings
from keras_imagenet.training import objectives, optimizers, step
from keras_imagenet.training import state as states

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import make_training_golden as golden  # noqa: E402

TOLERANCE = {"bfloat16": 4e-3, "norms": 1e-5}
"""Of each variable's largest value; 1e-6 where not given. bfloat16 has 8 bits; batch norms of a young network amplify rounding
from step to step; the first agrees to the bit."""


@pytest.fixture(scope="module")
def found(python) -> dict:
    """What tests/training/replicas.py prints."""
    program = Path(__file__).with_name("replicas.py")
    done = python(program)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("norm", ["none", "synchronized"])
def test_two_replicas_make_one_s_steps(found: dict, norm: str) -> None:
    """Fifty steps in float64 with clipping, decay, and rows that do not count; a half of one batch does not at all.

    Keras' `fit` is 13 % off here, as it clips each replica's gradients before their sum.
    """
    assert found[f"two replicas, norm {norm}"] <= 1e-10
    assert found[f"sums apart, norm {norm}"] <= 1e-8


def test_adamw_on_two_replicas(found: dict) -> None:
    assert found["adamw on two"] <= 1e-8


def test_rows_that_do_not_count_are_not_counted(found: dict) -> None:
    loss, top1, top5, examples = found["sums"]
    assert 50 * 64 * 0.7 < examples < 50 * 64 * 0.85
    assert top5 == examples  # of five classes
    assert 0 < top1 < examples
    assert loss / examples == pytest.approx(np.log(5), rel=0.1)


def test_replicas_hold_equal_variables_after_every_step(found: dict) -> None:
    """Batch-norm statistics included: Keras leaves each replica its own, and saves the first's."""
    assert found["equal copies, norm none"]
    assert found["equal copies, norm plain"]
    assert found["equal copies, norm synchronized"]
    assert found["equal copies, dropout"]
    assert found["plain norms differ"] > 1e-6  # Each replica normalises by its own rows: no equality is claimed.


def test_micro_batches_give_the_whole_batch_s_gradients(found: dict) -> None:
    """4 x 16 against 64, weights of examples counted over the whole batch."""
    assert found["accumulated on one"] <= 1e-10
    assert found["accumulated on two"] <= 1e-10
    assert found["accumulated and recomputed"] <= 1e-10


def test_a_synchronised_norm_inside_a_network_of_its_own_is_found(found: dict) -> None:
    """Where XLA, or a function that runs once a micro-batch, must not be around it."""
    assert found["nested"] == 0


def test_seeds_of_random_layers_are_the_run_s_own_and_count_steps(found: dict) -> None:
    """Each replica draws from seeds of its own, which are not what is saved."""
    ((seed, count),) = found["seeds"]
    assert 0 <= seed < 2**31
    assert count == 50
    assert found["recomputed, dropout"] <= 1e-10


def test_a_loss_scale_changes_nothing_where_nothing_overflows(found: dict) -> None:
    assert found["loss scale"] <= 1e-10


def test_xla_computes_the_same(found: dict) -> None:
    """In float32, with batch norm and a teacher, on one with SAM; on two logical CPUs, too, where Keras' compiled step fails,
    as it holds the variables of both."""
    assert found["XLA on 1"] <= 1e-5
    assert found["XLA on 2"] <= 1e-5


def test_sharpness_aware_steps_climb_by_the_whole_batch_s_gradient(found: dict) -> None:
    """One replica whole, against two in two parts each, activations computed again, under a loss scale."""
    assert found["sam on two"] <= 1e-10
    assert found["sam acts"] > 1e-3


def test_a_teacher_teaches_the_same_on_two_replicas_and_in_parts(found: dict) -> None:
    """Each replica reads its own copy of the teacher."""
    assert found["taught on two"] <= 1e-10
    assert found["a teacher acts"] > 1e-3


@pytest.mark.parametrize("name", golden.RUNS)
def test_weights_after_twenty_steps_are_those_of_keras_optimizers(command, tmp_path: Path, name: str) -> None:
    """Against tests/golden/training.npz, whose script says what made it."""
    run = tmp_path / "run"
    done = command("fit", *golden.SHORT, *golden.RUNS[name], "--runtime.run_folder", run)
    assert done.returncode == 0, done.stderr
    with np.load(golden.GOLDEN) as wanted:
        for index, values in enumerate(golden.sampled(run)):
            known = wanted[f"{name}/{index}"]
            assert np.abs(values - known).max() <= TOLERANCE.get(name, 1e-6) * max(np.abs(known).max(), 0.05), index


def test_nothing_is_exchanged_on_one_device() -> None:
    """There a synchronised norm is a plain one, and XLA may compile the pass."""
    images = keras.Input((2, 2, 1))
    network = keras.Model(images, keras.layers.BatchNormalization(synchronized=True)(images))
    assert not step.communicates(network, tf.distribute.get_strategy())


@pytest.fixture
def scaled() -> tuple[states.State, Callable[[], None]]:
    """A state under a loss scale, and what makes its next step: Adam at a rate of 0.01, on two white images."""
    images = keras.Input((1, 1, 1))
    logits = keras.layers.Dense(2, kernel_initializer="zeros")(keras.layers.Flatten()(images))
    network = keras.Model(images, logits)
    optimizer = optimizers.build(AdamSettings(name="adam"), network.trainable_variables)
    state = states.start(network, optimizer, "mixed_float16")
    objective = objectives.Objective(Preset(size=(1, 1), channels=1, mean=(0.0,), std=(0.01,)), 2)
    one_step = step.build(state, objective, optimizer, tf.distribute.get_strategy(), step.Plan(2))
    batch = {"images": tf.fill([2, 1, 1, 1], 255), "labels": tf.zeros([2], tf.int32), "weights": tf.ones([2])}

    def go() -> None:
        one_step(batch, tf.constant(0.01, tf.float64), tf.constant(state.step, tf.int64))
        state.step += 1

    return state, go


def test_an_overflow_leaves_weights_and_slots_and_halves_the_scale(scaled) -> None:
    """And the bias correction of Adam counts updates that were made: its first moves each weight by the rate."""
    state, go = scaled
    state.scaling.assign([2.0**127, 0, 0])
    slots = [slot for own in state.slots for slot in own]
    go()
    assert state.scaling.numpy().tolist() == [2.0**126, 0, 1]
    assert not any(np.any(variable.numpy()) for variable in (*state.weights, *slots))
    while not np.any(state.weights[0].numpy()):
        go()
    assert state.scaling.numpy().tolist() == [2.0 ** (128 - state.step), 1, state.step - 1]
    np.testing.assert_allclose(np.abs(state.weights[0].numpy()), 0.01, rtol=1e-5)


def test_a_loss_scale_doubles_after_so_many_finite_steps(scaled) -> None:
    state, go = scaled
    state.scaling.assign([8, step.GROWTH_STEPS - 2, 0])
    go()
    assert state.scaling.numpy().tolist() == [8, step.GROWTH_STEPS - 1, 0]
    go()
    assert state.scaling.numpy().tolist() == [16, 0, 0]


def test_a_loss_scale_does_not_grow_to_infinity(scaled) -> None:
    """Where it would stay: the half of infinity is infinity. A frozen network's float32 head never overflows before."""
    state, go = scaled
    state.scaling.assign([2.0**127, step.GROWTH_STEPS - 1, 0])
    state.sums.assign([0, 0, 0, 0])
    for variable in state.weights:
        variable.assign(tf.constant([1e6, 0.0]) * tf.ones(variable.shape))  # so sure that gradients vanish
    go()
    assert state.scaling.numpy()[0] == 2.0**127
    assert state.scaling.numpy()[2] == 0


@pytest.mark.parametrize(
    ("batches", "remedy"),
    [
        (Batches(20), "20 examples .*; train.accumulate 2 takes 10 at a time"),
        (Batches(7), "7 examples .*; train.accumulate 7 takes 1 at a time"),
        (Batches(30, replicas=2, accumulate=3), "5 examples .*; train.accumulate 5 takes 3 at a time"),
        (Batches(96, mixed=True, accumulate=4), "24 examples .*; train.accumulate 6 takes 16 at a time"),
        (
            Batches(8, mixed=True),
            "8 examples .*; give a smaller train.batch_size, or train.gradient_checkpointing true",
        ),
    ],
)
def test_a_step_that_needs_more_memory_than_there_is_names_the_next_smaller_parts(
    batches: Batches, remedy: str
) -> None:
    with pytest.raises(TrainingStopped, match=f"^a step of {remedy}"), step.within_memory(batches):
        raise tf.errors.ResourceExhaustedError(None, None, "OOM")
