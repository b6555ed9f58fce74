"""One step of training: the same on one device and on two, whole or in parts, compiled or not; and as it was."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import make_training_golden as golden  # noqa: E402

TOLERANCE = {"bfloat16": 4e-3}
"""Of each variable's largest value; 1e-6 where not given. bfloat16 has 8 bits."""


@pytest.fixture(scope="module")
def found() -> dict:
    """What tests/training/replicas.py prints."""
    program = Path(__file__).with_name("replicas.py")
    done = subprocess.run([sys.executable, program], capture_output=True, text=True, check=False)
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


def test_seeds_of_random_layers_are_the_run_s_own_and_count_steps(found: dict) -> None:
    """Each replica draws from seeds of its own, which are not what is saved."""
    ((seed, count),) = found["seeds"]
    assert 0 <= seed < 2**31
    assert count == 50
    assert found["recomputed, dropout"] <= 1e-10


def test_a_loss_scale_changes_nothing_where_nothing_overflows(found: dict) -> None:
    assert found["loss scale"] <= 1e-10


def test_xla_computes_the_same(found: dict) -> None:
    """In float32; on two logical CPUs Keras' compiled step fails, since it holds the variables of both."""
    assert found["XLA on 1"] <= 1e-5
    assert found["XLA on 2"] <= 1e-5


@pytest.mark.parametrize("name", golden.RUNS)
def test_weights_after_twenty_steps_are_those_of_keras_optimizers(command, tmp_path: Path, name: str) -> None:
    """Against tests/golden/training.npz, whose script says what made it."""
    run = tmp_path / "run"
    done = command("fit", *golden.SHORT, *golden.RUNS[name], "--runtime.run_folder", run)
    assert done.returncode == 0, done.stderr
    with np.load(golden.GOLDEN) as wanted:
        for index, values in enumerate(golden.sampled(run)):
            known = wanted[f"{name}/{index}"]
            assert np.abs(values - known).max() <= TOLERANCE.get(name, 1e-6) * max(np.abs(known).max(), 1e-3), index
