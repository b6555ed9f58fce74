"""A run that is killed at any moment goes on to the same end; what is no whole checkpoint of this version is refused."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from keras_imagenet.cli import main
from keras_imagenet.errors import DataError
from keras_imagenet.settings import SGDSettings
from keras_imagenet.training import checkpoints, optimizers
from keras_imagenet.training import state as states
from keras_imagenet.training.averages import Average
from keras_imagenet.training.state import State

KILLED = Path(__file__).with_name("killed.py")
FLAGS = ["--train.epochs", "2", "--train.batch_size", "360", "--train.checkpoint_steps", "2", "--train.keep", "best"]
"""Of four steps an epoch, so that a checkpoint by its steps and one by the epoch's end fall together."""
TIMES = {"seconds", "images_per_second", "training_seconds"}


@pytest.fixture(scope="module")
def copies(python, tmp_path_factory) -> Path:
    """The folder of a run as it was before each operation on its files, in order; the last is the finished run."""
    folder = tmp_path_factory.mktemp("killed")
    done = python(KILLED, folder / "run", folder / "copies", *FLAGS)
    assert done.returncode == 0, done.stderr
    return folder / "copies"


def end(run: Path) -> dict[str, Any]:
    """What a finished run comes to, but for its times."""
    with (run / "history.csv").open(newline="") as stream:
        rows = [{name: value for name, value in row.items() if name not in TIMES} for row in csv.DictReader(stream)]
    metrics = json.loads((run / "metrics.json").read_text())
    weights = keras.saving.load_model(run / "model.keras").weights
    with np.load(checkpoints.latest(run / "checkpoints")) as arrays:
        tensors = {name: arrays[name].tobytes() for name in arrays.files if name != "counted"}
    return {
        "history": rows,
        "metrics": {name: value for name, value in metrics.items() if name not in TIMES},
        "weights": [variable.numpy().tobytes() for variable in weights],
        "tensors": tensors,
        "checkpoints": sorted(path.name for path in (run / "checkpoints").iterdir()),
        "files": sorted(path.name for path in run.iterdir()),
    }


def assert_all_go_on(copies: Path, chosen: list[Path], tmp_path: Path) -> None:
    wanted = end(max(copies.iterdir()))
    assert len(wanted["history"]) == 2
    assert wanted["checkpoints"] == ["step-00000006.npz", "step-00000008.npz"]
    for copy in chosen:
        run = shutil.copytree(copy, tmp_path / copy.name)
        assert main(["fit", *FLAGS, "--runtime.run_folder", str(run)]) == 0, copy.name
        found = end(run)
        for what, value in wanted.items():
            assert found[what] == value, f"{copy.name}: {what}"
        shutil.rmtree(run)


def newest(copy: Path) -> str:
    found = checkpoints.latest(copy / "checkpoints")
    return found.name if found else ""


def test_a_run_killed_around_an_epoch_s_end_goes_on_to_the_same_bits(copies: Path, tmp_path: Path) -> None:
    """At every operation on a file, from the checkpoint before the first epoch's last step to the second epoch's first."""
    chosen = [copy for copy in sorted(copies.iterdir()) if newest(copy) == "step-00000004.npz"]
    assert len(chosen) >= 5
    assert_all_go_on(copies, chosen, tmp_path)


@pytest.mark.slow
def test_a_run_killed_at_every_operation_on_a_file_goes_on_to_the_same_bits(copies: Path, tmp_path: Path) -> None:
    chosen = sorted(copies.iterdir())
    assert len(chosen) >= 30
    assert_all_go_on(copies, chosen, tmp_path)


def small_state(average: Average | None = None) -> State:
    images = keras.Input((4,))
    network = keras.Model(images, keras.layers.Dense(2)(keras.layers.Dropout(0.5)(images)))
    return states.start(network, optimizers.build(SGDSettings(), network.trainable_variables), "float32", average)


def test_the_last_checkpoints_and_those_of_the_best_epochs_stay(tmp_path: Path) -> None:
    """The newest is the one of the most steps, of nine digits too."""
    state = small_state()
    assert checkpoints.latest(tmp_path) is None
    for step, top1 in ((1, 0.1), (2, 0.9), (3, 0.3), (99_999_999, 0.2), (100_000_000, 0.4)):
        state.step = step
        state.rows.append({"epoch": len(state.rows) + 1, "step": step, "validation_top1": top1})
        path = checkpoints.save(tmp_path, state, "print", kept=2, best=1)
        assert checkpoints.latest(tmp_path) == path
    assert {path.stem for path in tmp_path.iterdir()} == {"step-00000002", "step-99999999", "step-100000000"}
    assert checkpoints.fingerprint_of(path) == "print"
    path.write_bytes(path.read_bytes()[:-100])
    assert checkpoints.fingerprint_of(path) is None


def test_two_checkpoints_stay_where_no_number_is_given(tmp_path: Path) -> None:
    state = small_state()
    for step in (1, 2, 3):
        state.step = step
        state.rows.append({"epoch": step, "step": step, "validation_top1": 1 / step})
        checkpoints.save(tmp_path, state, "print")
    assert {path.stem for path in tmp_path.iterdir()} == {"step-00000002", "step-00000003"}


def test_the_best_epochs_weights_come_back_where_there_are_any(tmp_path: Path) -> None:
    """Their numbers are numbers again, and so are those of unreadable examples."""
    state, other = small_state(Average(None, statistics=False)), small_state(Average(None, statistics=False))
    other.best, other.epochs, state.unreadable = state.values(), {9: []}, {7: "truncated"}
    checkpoints.restore(checkpoints.save(tmp_path, state, "print"), other)
    assert (other.best, other.epochs, other.unreadable) == (None, {}, {7: "truncated"})
    ends = {epoch: [twin.numpy() + epoch for twin in state.average.values()] for epoch in (2, 11)}
    state.epochs = ends
    checkpoints.restore(checkpoints.save(tmp_path, state, "print"), other)
    assert list(other.epochs) == [2, 11]
    for epoch, values in ends.items():
        for found, known in zip(other.epochs[epoch], values, strict=True):
            np.testing.assert_array_equal(found, known)


def test_a_network_is_given_a_checkpoint_s_last_best_or_average_weights(tmp_path: Path) -> None:
    """With the step that they are from, and the best's epoch."""
    state = small_state(Average(None, statistics=False))
    state.step, state.rows = (
        9,
        [
            {"epoch": 1, "step": 3, "validation_top1": 0.5, "average_top1": 0.1},
            {"epoch": 2, "step": 6, "validation_top1": 0.4, "average_top1": 0.2},
        ],
    )
    for twin in state.average.values():
        twin.assign(twin + 7)
    last, average, network = state.values(), state.values(averaged=True), small_state().network

    def given(keep: str) -> list[list[float]]:
        assert checkpoints.give(path, network, keep) == wanted
        return [variable.numpy().tolist() for variable in network.variables]

    path, wanted = checkpoints.save(tmp_path, state, "print"), (9, None)
    assert given("last") == [value.tolist() for value in last]
    assert given("average") == [value.tolist() for value in average]
    state.best = [value + 1 for value in last]
    path, wanted = checkpoints.save(tmp_path, state, "print"), (3, 1)
    assert given("best") == [value.tolist() for value in state.best]
    wanted = (6, 2)
    assert given("best_average") == [value.tolist() for value in state.best]


def test_a_damaged_checkpoint_is_refused_or_does_no_harm(tmp_path: Path) -> None:
    """Cut after every byte, and with a bit of each byte turned: in one line, or with every value as it was."""
    state, random = small_state(), np.random.default_rng(0)
    state.step, state.rows, state.unreadable = 3, [{"epoch": 1, "loss": 0.5}], {7: "truncated"}
    state.best = [variable.numpy() + 1 for variable in state.network.variables]
    path = checkpoints.save(tmp_path, state, "print")
    whole = path.read_bytes()
    flips = [
        whole[:place] + bytes([whole[place] ^ 1 << random.integers(8)]) + whole[place + 1 :]
        for place in range(len(whole))
    ]
    damaged = [whole[:place] for place in range(0, len(whole), 7)] + flips[::3] + [b"text"]

    def held(of: State) -> list[Any]:
        tensors = [variable.numpy().tobytes() for _, variable in of.tensors()]
        return [*tensors, *(value.tobytes() for value in of.best), of.step, of.rows, of.unreadable]

    wanted, state = held(state), small_state()
    checkpoints.restore(path, state)
    assert held(state) == wanted
    complaints = []
    for content in damaged:
        path.write_bytes(content)
        try:
            assert checkpoints.restore(path, state) == "print"
        except DataError as error:
            complaints.append(str(error))
        else:
            assert held(state) == wanted
    assert len(complaints) > 0.7 * len(damaged)
    assert all(text.startswith(f"{path}: ") and "\n" not in text for text in complaints)


def test_a_damaged_checkpoint_s_run_goes_on_from_the_one_before(copies: Path, tmp_path: Path, capsys) -> None:
    """Once it is removed, as the complaint says."""
    run = shutil.copytree(
        next(copy for copy in sorted(copies.iterdir()) if newest(copy) == "step-00000006.npz"), tmp_path / "run"
    )
    damaged = run / "checkpoints" / "step-00000006.npz"
    damaged.write_bytes(damaged.read_bytes()[:-1000])
    words = ["fit", *FLAGS, "--runtime.run_folder", str(run)]
    assert main(words) == 3
    complaint = capsys.readouterr().err
    assert complaint == f"keras-imagenet: {damaged}: not a whole checkpoint; remove it to go on from the one before\n"
    damaged.unlink()
    assert main(words) == 0
    assert "going on from step 4" in capsys.readouterr().out


def test_checkpoints_of_earlier_versions_and_other_networks_are_refused(tmp_path: Path) -> None:
    """Revision 7bfc267 kept paths of variables, and what it had counted under another name."""
    progress = np.frombuffer(b'{"step": 23, "seconds": 8.9, "fingerprint": "11d8", "unreadable": {}}', np.uint8)
    earlier = tmp_path / "step-00000023.npz"
    np.savez(earlier, progress=progress, **{"network/0/dense/kernel": np.zeros((4, 2), np.float32)})
    with pytest.raises(DataError, match="was written by another version of keras-imagenet; give another") as raised:
        checkpoints.restore(earlier, small_state())
    assert "\n" not in str(raised.value)
    images = keras.Input((5,))
    network = keras.Model(images, keras.layers.Dense(2)(images))
    other = states.start(network, optimizers.build(SGDSettings(), network.trainable_variables), "float32")
    with pytest.raises(DataError, match="does not fit this network: network/0 is missing or of another shape"):
        checkpoints.restore(checkpoints.save(tmp_path, other, "print"), small_state())
