"""Which workers train together: told by settings, TF_CONFIG or Slurm; a mistake is one line."""

import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from keras_imagenet import cluster, recipes
from keras_imagenet.cli import main
from keras_imagenet.errors import SettingsError, WorkerLost
from keras_imagenet.settings import RuntimeSettings

HERE = RuntimeSettings(run_folder="run")


def tf_config(**content) -> dict[str, str]:
    return {"TF_CONFIG": json.dumps(content)}


def test_alone_unless_somebody_says_otherwise() -> None:
    assert cluster.find(HERE, {}) is None
    assert cluster.find(HERE, tf_config()) is None
    alone = tf_config(cluster={"worker": ["a:1"]}, task={"type": "worker", "index": 0})
    assert cluster.find(HERE, alone) is None
    assert cluster.find(HERE, {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "4"}) is None  # a batch script, outside srun


def test_settings_come_before_the_environment() -> None:
    words = [("runtime.workers", "a:1,b:2"), ("runtime.worker_index", "1"), ("runtime.run_folder", "run")]
    found = cluster.find(recipes.load(overrides=words).runtime, tf_config(cluster={"worker": ["c:3"]}))
    assert (found.addresses, found.index) == (("a:1", "b:2"), 1)
    assert found.flags == " --runtime.workers a:1,b:2 --runtime.worker_index 1"


def test_tf_config_s_chief_is_worker_0() -> None:
    jobs = {"chief": ["c:1"], "worker": ["a:1", "b:1"]}
    found = [
        cluster.find(HERE, tf_config(cluster=jobs, task={"type": kind, "index": index}))
        for kind, index in (("chief", 0), ("worker", 0), ("worker", 1))
    ]
    assert [each.index for each in found] == [0, 1, 2]
    assert {each.addresses for each in found} == {("c:1", "a:1", "b:1")}
    assert found[0].flags == ""


def test_slurm_s_tasks_in_blocks_on_their_nodes() -> None:
    environment = {
        "SLURM_JOB_ID": "1234",
        "SLURM_STEP_NUM_TASKS": "6",
        "SLURM_STEP_NODELIST": "gpu[08-10],login",
        "SLURM_STEP_TASKS_PER_NODE": "2(x2),1(x2)",
        "SLURM_PROCID": "3",
    }
    found = cluster.find(HERE, environment)
    hosts, ports = zip(*(address.split(":") for address in found.addresses), strict=True)
    assert hosts == ("gpu08", "gpu08", "gpu09", "gpu09", "gpu10", "login")
    assert len({*found.addresses}) == 6
    assert all(cluster.FIRST_PORT <= int(port) < cluster.FIRST_PORT + cluster.PORTS for port in ports)
    assert (found.index, found.source) == (3, "Slurm")
    other = cluster.find(HERE, environment | {"SLURM_JOB_ID": "1235"})
    assert not {*other.addresses} & {*found.addresses}


@pytest.mark.parametrize(
    ("environment", "complaint"),
    [
        ({"TF_CONFIG": "{"}, "TF_CONFIG: cannot be read: JSONDecodeError"),
        ({"TF_CONFIG": "[]"}, "TF_CONFIG: cannot be read: AttributeError"),
        (tf_config(cluster={"worker": ["a:1", "b:1"]}), "TF_CONFIG: cannot be read: KeyError: 'index'"),
        (
            tf_config(cluster={"worker": ["a:1", "b:1"], "ps": ["c:1"]}, task={"type": "ps", "index": 0}),
            "TF_CONFIG: names no worker of this program's",
        ),
        (
            tf_config(cluster={"worker": ["a:1", "b:1"]}, task={"type": "worker", "index": 2}),
            "TF_CONFIG: names no worker of this program's",
        ),
        ({"SLURM_STEP_NUM_TASKS": "2"}, "Slurm's variables: cannot be read: KeyError: 'SLURM_STEP_NODELIST'"),
    ],
)
def test_what_cannot_be_read_is_one_line(environment: dict[str, str], complaint: str) -> None:
    with pytest.raises(SettingsError) as raised:
        cluster.find(HERE, environment)
    assert complaint in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--runtime.workers", "a:1,b:1"], "workers and worker_index go together"),
        (["--runtime.worker_index", "0"], "workers and worker_index go together"),
        (["--runtime.workers", "a:1,b:1", "--runtime.worker_index", "2"], "must be below the number of workers (2)"),
        (["--runtime.workers", "a:1,a:1", "--runtime.worker_index", "0"], "names one address twice"),
        (["--runtime.workers", "a,b:1", "--runtime.worker_index", "0"], "runtime.workers"),
        (["--runtime.workers", "a:1,b:1", "--runtime.worker_index", "0"], "runtime.run_folder: must be given"),
        (
            ["--runtime.workers", "a:1,b:1", "--runtime.worker_index", "0", "--runtime.logical_cpus", "2"],
            "runtime.logical_cpus = 2: is for one process",
        ),
    ],
)
def test_settings_that_name_no_worker_are_mistakes(words: list[str], complaint: str, capsys) -> None:
    assert main(["fit", *words]) == 2
    said = capsys.readouterr().err
    assert complaint in said
    assert said.count("\n") == 1


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as opened:
        return opened.getsockname()[1]


def test_a_worker_that_does_not_come_is_named(monkeypatch) -> None:
    here, other = (f"127.0.0.1:{free_port()}" for _ in range(2))
    monkeypatch.setattr(cluster, "SECONDS_TO_JOIN", 0.5)
    with pytest.raises(WorkerLost, match=f"runtime.workers: {other}: not there after 0.5 seconds"):
        cluster.Cluster((here, other), 0, "runtime.workers").wait_for_all()


def test_an_address_that_is_taken_is_one_line() -> None:
    with socket.create_server(("", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=f"runtime.workers: cannot listen at localhost:{port}: ") as raised:
            cluster.Cluster((f"localhost:{port}", "a:1"), 0, "runtime.workers").wait_for_all()
    assert "\n" not in str(raised.value)


def test_waiting_for_the_others_ends_by_a_signal(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "keras_imagenet", "fit", "--runtime.run_folder", str(tmp_path / "run")]
    words += ["--runtime.workers", f"127.0.0.1:{free_port()},127.0.0.1:1", "--runtime.worker_index", "0"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline().startswith("worker 0 of 2 waits for the others: 127.0.0.1:")
    time.sleep(1)
    process.send_signal(signal.SIGTERM)
    _, complaint = process.communicate(timeout=60)
    assert process.returncode == 143
    assert complaint == "keras-imagenet: interrupted before the run began\n"
    assert not (tmp_path / "run").exists()
