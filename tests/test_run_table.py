"""`keras-imagenet runs` lists the runs beside one whose files are damaged, huge, or no files."""

import json
import os
import resource
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from keras_imagenet.cli import main

METRICS = {"top1": 0.5, "loss": 1.25, "best": {"top1": 0.75, "epoch": 1}, "training_seconds": 90.0}


def run(path: Path) -> Path:
    """What `runs` reads of a run."""
    path.mkdir()
    (path / "settings.yaml").write_text("model: {name: cifar_net}\n")
    (path / "history.csv").write_text("epoch,loss\n1,2.5\n2,1.25\n")
    (path / "metrics.json").write_text(json.dumps(METRICS))
    return path


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def unix_socket(path: Path) -> None:
    path.unlink()
    with socket.socket(socket.AF_UNIX) as end:
        end.bind(str(path))


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def link(target: str) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        path.unlink()
        path.symlink_to(target.format(name=path.name))

    return make


def of(content: bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(content) and None


def huge(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(40 * 2**30)  # with holes


ODD = {
    "a pipe": pipe,
    "a socket": unix_socket,
    "a folder": folder,
    "a device": link("/dev/zero"),
    "a link to itself": link("{name}"),
    "40 GB": huge,
    "no text": of(b"\xff\xfe\0\0" * 9),
    "zeros": of(bytes(5000)),
    "deep brackets": of(b"[" * 500_000),
    "deep braces": of(b'{"a":' * 100_000),
    "a number of a million digits": of(b'{"top1": ' + b"9" * 1_000_000 + b"}"),
    "a number beyond floats": of(b'{"training_seconds": ' + b"9" * 400 + b"}"),
    "a text for a number": of(b'{"top1": "' + b"x" * 100_000 + b'"}'),
    "a list for a number": of(b'{"best": {"top1": [1]}}'),
    "a long cell": of(b"epoch," + b"x" * 200_000 + b"\n1,2\n"),
    "many aliases": of(b"a: &a [x, x]\n" + b"".join(b"%c: &%c [*%c, *%c]\n" % (98 + i, 98 + i, 97 + i, 97 + i) for i in range(20))),
}  # fmt: skip


@pytest.mark.parametrize("file", ["settings.yaml", "metrics.json", "history.csv"])
@pytest.mark.parametrize("kind", ODD)
def test_an_odd_file_hides_no_other_run(file, kind, tmp_path, capsys):
    ODD[kind](run(tmp_path / "odd") / file)
    run(tmp_path / "whole")
    begin, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert main(["runs", str(tmp_path), "--json"]) == 0
    odd, whole = json.loads(capsys.readouterr().out)
    assert whole == {
        "run": "whole",
        "model": "cifar_net",
        "data": "digits",
        "epochs": 2,
        "top1": 0.5,
        "best_top1": 0.75,
        "loss": 1.25,
        "minutes": 1.5,
        "state": "finished",
    }
    assert odd["run"] == "odd"
    assert odd["state"] in ("damaged", "finished", "not finished")
    assert main(["runs", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert max(map(len, lines)) < 300
    assert time.monotonic() - begin < 20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**19  # kilobytes


def test_a_solved_head_alone_is_a_run_of_no_epoch(tmp_path, capsys):
    (run(tmp_path / "solved") / "history.csv").write_text("epoch,loss\n0,2.5\n")
    assert main(["runs", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["epochs"] == 0
    assert main(["runs", str(tmp_path)]) == 0
    _, line = capsys.readouterr().out.splitlines()
    assert line.split() == ["solved", "cifar_net", "digits", "0", "0.5000", "0.7500", "1.2500", "1.5", "finished"]


def test_a_metrics_file_that_is_a_list_or_odd_is_damaged(tmp_path, capsys):
    for number, kind in enumerate(["a text for a number", "a list for a number", "a number beyond floats", "a pipe"]):
        ODD[kind](run(tmp_path / str(number)) / "metrics.json")
    assert main(["runs", str(tmp_path), "--json"]) == 0
    assert [row["state"] for row in json.loads(capsys.readouterr().out)] == ["damaged"] * 4
