"""Whatever names hold, a line stays a line: terminals show it and do not obey it, logs and JSON keep it."""

import io
import json
import os
from pathlib import Path

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
