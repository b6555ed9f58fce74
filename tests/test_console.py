"""Whatever names hold, a line stays a line: terminals show it and do not obey it, logs and JSON keep it."""

import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from keras_imagenet.cli import main
from keras_imagenet.console import Console, printable

EVIL = {
    "escape": ("\x1b[31mred", r"\x1b[31mred"),
    "title": ("\x1b]0;pwned\x07", r"\x1b]0;pwned\x07"),
    "8-bit": ("\x9b2J", r"\x9b2J"),
    "lines": ("a\nb\rc\u2028d\x85", r"a\nb\rc\u2028d\x85"),
    "direction": ("gnp.\u202eexe", r"gnp.\u202eexe"),
    "not UTF-8": (os.fsdecode(b"caf\xe9"), r"caf\udce9"),
}


@pytest.mark.parametrize("name", EVIL)
def test_what_cannot_be_seen_is_shown_escaped(name):
    assert printable(EVIL[name][0]) == EVIL[name][1]


def test_what_can_be_seen_stays():
    for text in ("größe ☃ 雪", "👨\u200d👩\u200d👧", r"C:\new", "non\xa0breaking"):
        assert printable(text) == text


@pytest.mark.parametrize("name", EVIL)
def test_lines_and_log_and_json_hold_a_name_in_one_line(name, tmp_path, capsys):
    text, shown = EVIL[name]
    stream = io.StringIO()
    Console(stream, log_file=tmp_path / "log.txt").say(f"left out: {text}")
    Console(stream).result({}, [text])
    assert stream.getvalue() == f"left out: {shown}\n{shown}\n"
    assert (tmp_path / "log.txt").read_bytes().endswith(f" left out: {shown}\n".encode())
    Console(stream, as_json=True).result({"image": text}, [])
    printed = capsys.readouterr().out
    assert json.loads(printed) == {"image": text}
    assert printed.removesuffix("\n").isprintable()


def test_a_pipe_is_told_what_is_being_done_after_a_minute_of_silence():
    stream = io.StringIO()
    console = Console(stream)
    console.doing("reading: 1 of 9")
    assert stream.getvalue() == ""
    console._bottom.said -= 60
    console.doing(lambda: "reading: 2 of 9")
    console.doing("reading: 3 of 9")
    assert stream.getvalue() == "reading: 2 of 9\n"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["fit", "--model.name", "{}"], 2),
        (["fit", "--{}", "3"], 2),
        (["fit", "--train.{}", "3"], 2),
        (["fit", "--config", "{}"], 2),
        (["models", "{}"], 2),
        (["evaluate", "{}"], 2),
        (["fit", "--data.source.name", "folder", "--data.source.directory", "{}"], 3),
        (["fit", "--data.source.name", "csv", "--data.source.file", "list.csv"], 3),
        (["fit", "--config", "recipe.yaml"], 2),
    ],
)
def test_a_complaint_shows_the_name_and_stays_one_line(words, code, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    evil = "x\x1b]0;pwned\x07y"
    Path("list.csv").write_text(f"path,label\n{evil}.png,a\n")
    Path("recipe.yaml").write_text('"x\\e]0;pwned\\ay": 3\n')
    assert main([word.format(evil) for word in words]) == code
    printed = capsys.readouterr()
    assert r"x\x1b]0;pwned\x07y" in printed.err
    assert printed.out == ""
    assert printed.err.count("\n") == 1


@pytest.mark.slow
def test_a_class_with_an_escape_is_trained_and_named_escaped(command, tmp_path):
    for name, level in (("red\x1b[31m", 200), ("dark", 20)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(4):
            Image.new("RGB", (16, 16), (level, number, 0)).save(tmp_path / "photos" / name / f"{number}\n.png")
    (tmp_path / "photos" / "dark" / "text\x1b[2J.png").write_text("not an image")
    words = ("--data.source.name", "folder", "--data.source.directory", "photos", "--data.size", "16")
    done = command(
        "fit", *words, "--train.steps", "1", "--train.batch_size", "9", "--runtime.run_folder", "run", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert r"left out: dark/text\x1b[2J.png: text" in done.stdout
    asked = command("predict", "run", "photos", cwd=tmp_path)
    assert asked.returncode == 3
    assert r"red\x1b[31m" in asked.stdout
    for text in (done.stdout, done.stderr, asked.stdout, asked.stderr, (tmp_path / "run/log.txt").read_text()):
        assert "\x1b" not in text


@pytest.fixture
def runs(tmp_path) -> Path:
    """A folder of runs of one whose name few encodings hold."""
    (tmp_path / "runs" / "café ☃").mkdir(parents=True)
    (tmp_path / "runs" / "café ☃" / "settings.yaml").write_text("")
    return tmp_path / "runs"


@pytest.mark.parametrize(("encoding", "shown"), [("ascii", r"caf\xe9 \u2603"), ("latin-1", r"café \u2603")])
def test_what_an_encoding_lacks_is_shown_escaped(encoding, shown, runs) -> None:
    """As in a container whose locale is C, or where a program of the user's asks for Latin-1."""
    around = os.environ | {"PYTHONIOENCODING": encoding}
    words = [sys.executable, "-m", "keras_imagenet", "runs", str(runs)]
    lines, content = (subprocess.run([*words, *more], capture_output=True, env=around) for more in ([], ["--json"]))
    assert (lines.returncode, content.returncode) == (0, 0), lines.stderr + content.stderr
    assert lines.stdout.decode(encoding).splitlines()[1].startswith(shown)
    assert json.loads(content.stdout.decode(encoding))[0]["run"] == "café ☃"


@pytest.mark.parametrize(
    ("redirected", "words", "code", "out", "err"),
    [
        ("2>&-", ["runs", "{}"], 0, True, False),
        ("2>&-", ["runs", "nowhere"], 2, False, False),
        ("2>/dev/full", ["runs", "nowhere"], 2, False, False),
        (">&-", ["runs", "{}"], 0, False, False),
        (">&-", ["runs", "nowhere"], 2, False, True),
        (">&- 2>&-", ["models", "squeezenet1_1"], 0, False, False),
        ("<&- 2>&-", ["models", "squeezenet1_1", "--json"], 0, True, False),
    ],
)
def test_a_closed_stream_is_nowhere(redirected, words, code, out, err, runs) -> None:
    """A daemon may start us without; nothing is printed to the other stream instead, nor into a file opened since."""
    shell = ["sh", "-c", f'exec "$@" {redirected}', "sh", sys.executable, "-m", "keras_imagenet"]
    done = subprocess.run([*shell, *(word.format(runs) for word in words)], capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    assert (bool(done.stdout), bool(done.stderr)) == (out, err)
    assert "Traceback" not in done.stderr


def test_a_log_that_cannot_be_written_is_left_out(tmp_path) -> None:
    stream = io.StringIO()
    Console(stream, log_file=tmp_path).say("said all the same")
    assert stream.getvalue() == "said all the same\n"


def test_json_holds_no_number_that_it_has_not(capsys) -> None:
    """json.loads of other languages refuses NaN and Infinity."""
    content = {"loss": float("nan"), "best": {"top1": 0.5, "losses": [1.0, float("inf"), np.float64("-inf")]}}
    Console.standard(as_json=True).result(content, [])
    printed = capsys.readouterr()
    assert printed.out == '{"loss": null, "best": {"top1": 0.5, "losses": [1.0, null, null]}}\n'
    assert printed.err.splitlines() == [
        "not finite, and null in JSON, which has no such number: loss, best.losses.1, best.losses.2"
    ]
    Console.standard(as_json=True).result({"loss": 0.5}, [])
    assert capsys.readouterr().err == ""


def test_a_finished_run_without_a_finite_loss_is_shown(digits_run, tmp_path, capsys) -> None:
    folder = shutil.copytree(digits_run, tmp_path / "run")
    metrics = json.loads((folder / "metrics.json").read_text()) | {"loss": None}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    assert main(["fit", "--config", str(folder)]) == 0
    assert ", loss nan on " in capsys.readouterr().out
