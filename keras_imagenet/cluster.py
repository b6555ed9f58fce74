"""Which processes train one network together, and which of them this is: settings say so, or TF_CONFIG, or Slurm."""

from __future__ import annotations

import itertools
import json
import os
import re
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from keras_imagenet.errors import SettingsError, WorkerLost
from keras_imagenet.settings import RuntimeSettings

SECONDS_TO_JOIN = 600
FIRST_PORT, PORTS = 20_000, 10_000
"""Where Slurm's jobs listen: each job at places of its own, since several may share a node."""


@dataclass(frozen=True)
class Cluster:
    """Workers that make every step together, of which this process is one.

    addresses: HOST:PORT of every worker, in their order. index: this one's place in it; worker 0 alone writes the run's files.
    source: what named them: 'runtime.workers', 'TF_CONFIG' or 'Slurm'.
    """

    addresses: tuple[str, ...]
    index: int
    source: str

    @property
    def flags(self) -> str:
        """What a command needs to be this worker again, besides its settings: nothing where the environment says it."""
        if self.source != "runtime.workers":
            return ""
        return f" --runtime.workers {','.join(self.addresses)} --runtime.worker_index {self.index}"

    def wait_for_all(self) -> None:
        """Return once every worker can be reached, which all find so, as each listens at its own place until then.

        Raises SettingsError where one cannot listen there, WorkerLost where another is not there after SECONDS_TO_JOIN.
        """
        host, _, port = self.addresses[self.index].rpartition(":")
        try:
            listening = socket.create_server(("", int(port)))
        except (OSError, OverflowError) as error:
            raise SettingsError(f"{self.source}: cannot listen at {host}:{port}: {error}") from error
        missing, until = [*self.addresses], time.monotonic() + SECONDS_TO_JOIN
        with listening:
            while missing := [address for address in missing if not _reached(address)]:
                if time.monotonic() > until:
                    raise WorkerLost(f"{self.source}: {', '.join(missing)}: not there after {SECONDS_TO_JOIN} seconds")
                time.sleep(0.2)


def _reached(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=2).close()
    except OSError:
        return False
    return True


def find(settings: RuntimeSettings, environment: Mapping[str, str] = os.environ) -> Cluster | None:
    """The cluster, or None for a process by itself. Raises SettingsError where it is named and cannot be."""
    if settings.workers is not None:
        found = Cluster(settings.workers, settings.worker_index, "runtime.workers")
    elif "TF_CONFIG" in environment:
        found = _of_tf_config(environment["TF_CONFIG"])
    else:
        found = _of_slurm(environment)
    if found is None or len(found.addresses) == 1:
        return None
    if settings.logical_cpus:
        raise SettingsError(
            f"runtime.logical_cpus = {settings.logical_cpus}: is for one process, and {found.source} names "
            f"{len(found.addresses)} workers; leave it out"
        )
    if settings.run_folder is None:
        raise SettingsError(
            f"runtime.run_folder: must be given, alike for all {len(found.addresses)} workers that {found.source} names"
        )
    return found


def _of_tf_config(text: str) -> Cluster | None:
    """As tf.distribute reads it: {"cluster": {"worker": [ADDRESS, ...]}, "task": {"type": "worker", "index": 0}}."""
    try:
        content = json.loads(text or "{}")
        jobs, task = content.get("cluster", {}), content.get("task", {})
        if not jobs:
            return None
        addresses = (*jobs.get("chief", []), *jobs.get("worker", []))
        index = int(task["index"]) + (len(jobs.get("chief", [])) if task["type"] == "worker" else 0)
        known = set(jobs) <= {"chief", "worker"} and task["type"] in jobs and 0 <= index < len(addresses)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise SettingsError(f"TF_CONFIG: cannot be read: {type(error).__name__}: {error}; {_TF_CONFIG}") from error
    if not known:
        raise SettingsError(f"TF_CONFIG: names no worker of this program's for {task}; {_TF_CONFIG}")
    return Cluster(addresses, index, "TF_CONFIG")


_TF_CONFIG = (
    'it must be like {"cluster": {"worker": ["host1:12345", "host2:12345"]}, "task": {"type": "worker", "index": 0}}'
)


def _of_slurm(environment: Mapping[str, str]) -> Cluster | None:
    """The tasks of a job step that `srun` started, in blocks on its nodes, which is Slurm's own way."""
    if environment.get("SLURM_STEP_NUM_TASKS", "1") == "1":
        return None
    try:
        nodes = list(_expanded(environment["SLURM_STEP_NODELIST"]))
        counts = list(_repeated(environment["SLURM_STEP_TASKS_PER_NODE"]))
        place, index = int(environment["SLURM_JOB_ID"]), int(environment["SLURM_PROCID"])
        tasks = [(node, task) for node, count in zip(nodes, counts, strict=True) for task in range(count)]
    except (LookupError, ValueError) as error:
        raise SettingsError(f"Slurm's variables: cannot be read: {type(error).__name__}: {error}") from error
    ports = [FIRST_PORT + (place * 64 + task) % PORTS for _, task in tasks]
    return Cluster(tuple(f"{node}:{port}" for (node, _), port in zip(tasks, ports, strict=True)), index, "Slurm")


def _expanded(nodes: str) -> Iterator[str]:
    """Hosts out of Slurm's list, such as gpu[01-03,7],login: gpu01, gpu02, gpu03, gpu7, login."""
    for host in re.findall(r"(?:[^,\[]|\[[^\]]*\])+", nodes):
        texts = re.split(r"\[([^\]]*)\]", host)
        choices = [[text] if place % 2 == 0 else list(_numbers(text)) for place, text in enumerate(texts)]
        yield from map("".join, itertools.product(*choices))


def _numbers(ranges: str) -> Iterator[str]:
    """01-03,7 as 01, 02, 03, 7: as wide as the range's first."""
    for part in ranges.split(","):
        first, _, last = part.partition("-")
        for number in range(int(first), int(last or first) + 1):
            yield f"{number:0{len(first)}d}"


def _repeated(counts: str) -> Iterator[int]:
    """Tasks of each node out of Slurm's 2(x3),1: 2, 2, 2, 1."""
    for part in counts.split(","):
        count, _, times = part.partition("(x")
        yield from [int(count)] * int(times.rstrip(")") or 1)
