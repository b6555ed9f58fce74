"""Several processes on 127.0.0.1 that train one network: the same weights, one end, and no one left waiting."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_imagenet.run_folder import RunFolder
from keras_imagenet.training import checkpoints

REPLICAS = Path(__file__).with_name("replicas.py")
FIT = ("fit", "--train.batch_size", "32", "--train.checkpoint_steps", "5", "--train.clip_norm", "1")


def addresses(count: int) -> list[str]:
    """Of ports that are free, each another."""
    with ExitStack() as opened:
        sockets = [opened.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [f"127.0.0.1:{own.getsockname()[1]}" for own in sockets]


def ends(folder: Path, count: int, runs: str) -> list[dict[str, np.ndarray]]:
    """What RUNS of tests/training/replicas.py end with on each of so many workers; runs: few or all."""
    team = addresses(count) if count > 1 else []
    files = [folder / f"{count}-{index}.npz" for index in range(count)]
    started = [
        subprocess.Popen([sys.executable, REPLICAS, file, runs, str(index), *team], stderr=subprocess.PIPE, text=True)
        for index, file in enumerate(files)
    ]
    for process in started:
        _, complaint = process.communicate(timeout=500)
        assert process.returncode == 0, complaint
    return [dict(np.load(file)) for file in files]


def assert_one_makes_the_same(folder: Path, count: int, runs: str) -> None:
    (alone,), team = ends(folder, 1, runs), ends(folder, count, runs)
    for name, values in alone.items():
        for other in team[1:]:
            np.testing.assert_array_equal(other[name], team[0][name], err_msg=name)
        if not name.startswith("dropout"):  # whose masks, and whose plain norms, are each replica's own
            apart = np.abs(team[0][name] - values).max() / np.abs(values).max()
            assert apart <= (1e-5 if "float32" in name else 1e-10), name


def test_two_workers_make_one_s_steps(tmp_path: Path) -> None:
    """In float64, fifty steps; rows that do not count lie unevenly. Keras' own fit fails on workers (keras-team/keras#20585)."""
    assert_one_makes_the_same(tmp_path, 2, "few")


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 4])
def test_workers_make_one_s_steps_by_every_rule(tmp_path: Path, count: int) -> None:
    assert_one_makes_the_same(tmp_path, count, "all")


class Team:
    """Workers that run `fit`, each with a folder of its own, of which the first's is the run's."""

    def __init__(self, run: Path, *words: str, machines: Sequence[str] = ()) -> None:
        self.folders = [run, run.with_name(f"{run.name}-of-1")]
        team = ",".join([f"10.77.0.{index + 1}:20000" for index in range(2)] if machines else addresses(2))
        command = [sys.executable, "-m", "keras_imagenet", *FIT, *words, "--runtime.workers", team]
        on = [["ip", "netns", "exec", machine] for machine in machines] or [[], []]
        self.processes = [
            subprocess.Popen(
                [*on[index], *command, "--runtime.worker_index", str(index), "--runtime.run_folder", str(folder)],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for index, folder in enumerate(self.folders)
        ]

    def wait_for_checkpoint(self, after: int = 0) -> None:
        """Until worker 0 has written one of a later step."""
        while self.processes[0].poll() is None:
            found = checkpoints.latest(self.folders[0] / "checkpoints")
            if found is not None and int(found.stem.removeprefix("step-")) > after:
                return
            time.sleep(0.005)

    def end(self) -> list[tuple[int, str, str]]:
        """Exit status, standard output and error of each."""
        outputs = [process.communicate(timeout=300) for process in self.processes]
        return [(process.returncode, *output) for process, output in zip(self.processes, outputs, strict=True)]


def weights(run: Path) -> list[np.ndarray]:
    return keras.saving.load_model(run / "model.keras").get_weights()


@pytest.mark.slow
def test_one_worker_s_signal_ends_all_and_all_go_on(command, tmp_path: Path) -> None:
    """To the weights of one process by itself, with validation shared out; worker 0 alone writes."""
    words = (
        "--train.epochs",
        "2",
        "--model.dropout",
        "0",
        "--optimizer.name",
        "sgd",
        "--optimizer.learning_rate",
        "0.02",
    )
    first = Team(tmp_path / "run", *words)
    first.wait_for_checkpoint()
    first.processes[1].send_signal(signal.SIGTERM)
    for index, (status, _, complaint) in enumerate(first.end()):
        assert status == 143, complaint
        assert "its state is saved. To go on: " in complaint
        assert (
            "--runtime.worker_index 0, and likewise on the other" if index == 0 else "the same command on all"
        ) in complaint
    assert not (tmp_path / "run-of-1").exists()
    (status, said, complaint), (other, silent, _) = Team(tmp_path / "run", *words).end()
    assert (status, other) == (0, 0), complaint
    assert silent.startswith("worker 1 of 2 waits for the others: 127.0.0.1:")
    assert silent.count("\n") == 1
    assert "going on from step" in said
    assert "workers: 2, 127.0.0.1:" in said
    assert not (tmp_path / "run-of-1").exists()
    assert len(json.loads((tmp_path / "run" / "environment.json").read_text())["workers"]) == 2
    done = command(*FIT, *words, "--runtime.run_folder", tmp_path / "alone")
    assert done.returncode == 0, done.stderr
    for value, wanted in zip(weights(tmp_path / "run"), weights(tmp_path / "alone"), strict=True):
        assert np.max(np.abs(value - wanted)) <= 1e-5 * np.max(np.abs(wanted))
    for row, known in zip(RunFolder(tmp_path / "run").history, RunFolder(tmp_path / "alone").history, strict=True):
        assert (row["step"], row["examples"]) == (known["step"], known["examples"])
        assert float(row["validation_loss"]) == pytest.approx(float(known["validation_loss"]), rel=1e-4)
    assert RunFolder(tmp_path / "run").metrics["examples"] == 362


def test_a_worker_with_other_settings_or_a_folder_of_another_run_ends_all(tmp_path: Path) -> None:
    """In one line, alike for all, before a step is made."""
    team = ",".join(addresses(2))
    command = [sys.executable, "-m", "keras_imagenet", "fit", "--runtime.run_folder", str(tmp_path / "run")]
    command += ["--runtime.workers", team, "--runtime.worker_index"]
    started = [
        subprocess.Popen([*command, str(index), "--train.steps", str(index + 4)], stderr=subprocess.PIPE, text=True)
        for index in range(2)
    ]
    for process in started:
        _, complaint = process.communicate(timeout=300)
        assert process.returncode == 2
        assert complaint == (
            "keras-imagenet: settings: worker 1 has another than worker 0; all need the same settings and data\n"
        )
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_a_worker_that_is_killed_ends_the_others_and_all_go_on_to_the_same_bits(tmp_path: Path, seed: int) -> None:
    """With dropout and plain batch norm, at a moment of its own; the other names it and the command."""
    killed, chance = seed % 2, random.Random(seed)
    words = ("--model.name", "cifar_net", "--data.size", "16", "--train.steps", "30", "--model.dropout", "0.3")
    whole = Team(tmp_path / "whole", *words).end()
    assert [status for status, *_ in whole] == [0, 0], whole
    team = Team(tmp_path / "run", *words)
    team.wait_for_checkpoint(after=chance.choice([0, 5, 10]))
    time.sleep(chance.random())
    os.kill(team.processes[killed].pid, signal.SIGKILL)
    since = time.monotonic()
    results = team.end()
    assert time.monotonic() - since < 30
    status, _, complaint = results[1 - killed]
    assert status == 1, complaint
    assert f"worker {killed} (127.0.0.1:" in complaint
    assert "does not answer any more, so the run has stopped. To go on from the last checkpoint" in complaint
    assert complaint.count("\n") == 1
    again = Team(tmp_path / "run", *words).end()
    assert [status for status, *_ in again] == [0, 0], again
    for value, wanted in zip(weights(tmp_path / "run"), weights(tmp_path / "whole"), strict=True):
        np.testing.assert_array_equal(value, wanted)


@pytest.fixture
def machines() -> Iterator[tuple[str, str]]:
    """Two network namespaces, each with an address and a cable of its own: 10.77.0.1 and 10.77.0.2."""
    names = (f"kin{os.getpid()}a", f"kin{os.getpid()}b")
    ours = [f"kin{number}v{os.getpid()}" for number in range(2)]

    def ip(*words: str) -> None:
        subprocess.run(["ip", *words], check=True, capture_output=True)

    try:
        for name in names:
            ip("netns", "add", name)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs the right to make network namespaces (ip netns add)")
    try:
        ip("link", "add", ours[0], "type", "veth", "peer", "name", ours[1])
        for number, (name, cable) in enumerate(zip(names, ours, strict=True), start=1):
            ip("link", "set", cable, "netns", name, "name", "cable")
            ip("-n", name, "addr", "add", f"10.77.0.{number}/24", "dev", "cable")
            for device in ("cable", "lo"):
                ip("-n", name, "link", "set", device, "up")
        yield names
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "delete", name], check=False)


@pytest.mark.slow
@pytest.mark.parametrize("cut", [0, 1])
def test_a_machine_that_is_cut_off_ends_the_other_within_half_a_minute(
    tmp_path: Path, machines: tuple[str, str], cut: int
) -> None:
    """Without a word, as by a cable that is drawn; once it is back, both go on to the same bits."""
    words = ("--train.epochs", "30")
    team = Team(tmp_path / "run", *words, machines=machines)
    team.wait_for_checkpoint()
    subprocess.run(["ip", "-n", machines[cut], "link", "set", "cable", "down"], check=True)
    since = time.monotonic()
    status, _, complaint = team.processes[1 - cut].wait(60), *team.processes[1 - cut].communicate()
    assert time.monotonic() - since < 30
    assert status == 1, complaint
    assert f"worker {cut} (10.77.0.{cut + 1}:20000) does not answer any more" in complaint
    assert team.processes[cut].wait(60) == 1
    subprocess.run(["ip", "-n", machines[cut], "link", "set", "cable", "up"], check=True)
    again, whole = (Team(tmp_path / name, *words, machines=machines).end() for name in ("run", "whole"))
    assert [status for status, *_ in (*again, *whole)] == [0] * 4, again
    assert "going on from step" in again[0][1]
    for value, wanted in zip(weights(tmp_path / "run"), weights(tmp_path / "whole"), strict=True):
        np.testing.assert_array_equal(value, wanted)
