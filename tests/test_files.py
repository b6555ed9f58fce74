"""Files appear whole or not at all, under a name that nobody can lay a link to; what killed writers leave is swept."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from keras_imagenet import files, recipes
from keras_imagenet.data.sources import open_source
from keras_imagenet.errors import KerasImagenetError
from keras_imagenet.labels import read_classes
from keras_imagenet.run_folder import RunFolder
from keras_imagenet.settings.data import CsvSource


def fail(part: Path) -> None:
    part.write_text("half of")
    raise OSError(28, "No space left on device")


def test_a_write_that_fails_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "metrics.json"
    files.write(file, "old")
    with pytest.raises(OSError, match="No space left"):
        files.write_with(file, fail)
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_a_folder_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space left"), files.appearing_folder(tmp_path / "1") as part:
        fail(part / "weights")
    assert list(tmp_path.iterdir()) == []


def test_what_is_written_arrives_with_the_folders_above_it(tmp_path: Path) -> None:
    files.write(tmp_path / "a" / "b" / "text", "größe")
    files.write_json(tmp_path / "a" / "numbers.json", {"größe": [1, 2]})
    with files.appearing_folder(tmp_path / "c" / "1") as part:
        (part / "inner").mkdir()
        (part / "inner" / "file").write_text("content")
        assert not (tmp_path / "c" / "1").exists()
    assert (tmp_path / "a" / "b" / "text").read_bytes() == "größe".encode()
    assert json.loads((tmp_path / "a" / "numbers.json").read_text(encoding="utf-8")) == {"größe": [1, 2]}
    assert (tmp_path / "c" / "1" / "inner" / "file").read_text() == "content"
    assert [path.name for path in (tmp_path / "c").iterdir()] == ["1"]


def test_json_files_hold_null_for_what_is_not_finite(tmp_path: Path) -> None:
    files.write_json(tmp_path / "metrics.json", {"loss": float("nan"), "rows": ({"loss": float("inf")},), "top1": 0.5})
    text = (tmp_path / "metrics.json").read_text()
    assert json.loads(text, parse_constant=pytest.fail) == {"loss": None, "rows": [{"loss": None}], "top1": 0.5}
    assert '\n  "top1": 0.5' in text
    assert files.finite([1.0, {"a": [float("inf")]}]) == ([1.0, {"a": [None]}], ["1.a.0"])
    assert files.json_text("größe") == '"größe"'
    assert files.json_text("größe", plain=True) == r'"gr\u00f6\u00dfe"'
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.json_text([float("nan")])


def test_a_name_that_is_not_utf_8_comes_back_from_json(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.png")
    files.write_json(tmp_path / "names.json", [name])
    assert json.loads((tmp_path / "names.json").read_text(encoding="utf-8")) == [name]


def test_a_writer_s_path_ends_as_the_file_s(tmp_path: Path) -> None:
    """Keras and Matplotlib choose the format by the ending."""
    files.write_with(tmp_path / "model.keras", lambda part: part.write_text(part.suffix))
    assert (tmp_path / "model.keras").read_text() == ".keras"


def test_permissions_are_those_of_any_new_file(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        files.write(tmp_path / "file", "")
        with files.appearing_folder(tmp_path / "folder"):
            pass
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640
    assert stat.S_IMODE((tmp_path / "folder").stat().st_mode) == 0o750


def test_a_link_where_the_part_is_to_stand_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even to who could guess the name: neither before the part is there, nor in its place while it is written."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    monkeypatch.setattr("secrets.token_hex", lambda count: "ab" * count)
    (tmp_path / f".part-{'ab' * 8}-file").symlink_to(victim)
    (tmp_path / f".part-{'ab' * 8}-missing").symlink_to(tmp_path / "created")
    for name in ("file", "missing"):
        with pytest.raises(FileExistsError):
            files.write(tmp_path / name, "content")

    def replace_by_link(part: Path) -> None:
        part.unlink()
        part.symlink_to(victim)

    with pytest.raises(OSError, match="symbolic links"):
        files.write_with(tmp_path / "other", replace_by_link)
    assert victim.read_text() == "precious"
    assert not (tmp_path / "created").exists()
    assert not (tmp_path / "other").exists()


def test_what_is_not_a_file_is_not_replaced(tmp_path: Path) -> None:
    """As root, renaming onto /dev/null would take it from everybody."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FileExistsError, match="not a regular file"):
        files.write(tmp_path / "pipe", "content")
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    assert len(list(tmp_path.iterdir())) == 1


WRITER = """
import sys
from pathlib import Path
from keras_imagenet import files
with files.appearing(Path(sys.argv[1]) / "file") as stream, files.appearing_folder(Path(sys.argv[1]) / "folder") as part:
    stream.write(b"half of")
    stream.flush()
    (part / "inner").write_text("half of")
    print("writing", flush=True)
    sys.stdin.read()
"""


def test_what_a_killed_writer_left_is_swept_and_what_a_living_one_writes_is_not(tmp_path: Path) -> None:
    files.write(tmp_path / "file", "old")
    (tmp_path / ".part-of-mine").write_text("not ours")
    words = [sys.executable, "-c", WRITER, str(tmp_path)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        writer.stdout.readline()
        files.sweep(tmp_path)
        left = [path for path in tmp_path.iterdir() if files.PART.fullmatch(path.name)]
        assert len(left) == 2
        writer.send_signal(signal.SIGKILL)
    files.sweep(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".part-of-mine", "file"]
    assert (tmp_path / "file").read_text() == "old"


def test_a_sweep_removes_no_link_and_waits_for_no_pipe(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").write_text("precious")
    links = [tmp_path / f".part-{'0' * 16}-folder", tmp_path / f".part-{'1' * 16}-file"]
    for link, place in zip(links, (tmp_path / "kept", tmp_path / "kept" / "file"), strict=True):
        link.symlink_to(place)
    os.mkfifo(tmp_path / f".part-{'2' * 16}-pipe")
    files.sweep(tmp_path)
    files.sweep(tmp_path / "nowhere")
    assert (tmp_path / "kept" / "file").read_text() == "precious"
    assert all(link.is_symlink() for link in links)


def test_caches_lie_where_the_user_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    assert files.cache_folder("labels") == tmp_path / "keras-imagenet" / "labels"
    assert files.weights_folder() == tmp_path / "keras" / "models" / "keras_imagenet"


def test_what_is_no_file_is_not_opened(tmp_path: Path) -> None:
    """A pipe that nobody writes to would keep its reader waiting for ever, behind a link too."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        for path in (tmp_path / "pipe", tmp_path / "link", tmp_path / "socket", Path("/dev/zero")):
            with pytest.raises(OSError, match="is a pipe, a device or a socket"):
                files.read_text(path, 10)
    with pytest.raises(IsADirectoryError, match="is a folder"):
        files.read_text(tmp_path, 10)
    with pytest.raises(FileNotFoundError):
        files.read_text(tmp_path / "none", 10)
    with pytest.raises(OSError, match="no file can be called so"):
        files.read_text(tmp_path / "a\0b", 10)


def test_a_text_is_read_up_to_a_limit(tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(b"\xef\xbb\xbfa\r\nb")
    assert files.read_text(tmp_path / "text", 7, encoding="utf-8-sig") == "a\nb"
    assert files.read_text(tmp_path / "text", 7, encoding="utf-8-sig", newline="") == "a\r\nb"
    with pytest.raises(OSError, match="is larger than"):
        files.read_text(tmp_path / "text", 6)
    with (tmp_path / "large").open("wb") as stream:
        stream.truncate(2**20 + 1)
    with pytest.raises(OSError, match="is larger than 1 MiB"):
        files.read_text(tmp_path / "large", 2**20)


def test_a_system_that_gives_less_than_it_is_asked_for_is_asked_again(tmp_path: Path, monkeypatch) -> None:
    """As network file systems do; only the file's end ends a read."""
    (tmp_path / "file").write_bytes(bytes(range(100)))
    whole = os.pread
    monkeypatch.setattr(os, "pread", lambda descriptor, size, offset: whole(descriptor, min(size, 7), offset))
    with (tmp_path / "file").open("rb") as stream:
        assert files.read_at(stream.fileno(), 50, 20) == bytes(range(20, 70))
        assert files.read_at(stream.fileno(), 50, 80) == bytes(range(80, 100))
        assert files.read_at(stream.fileno(), 0, 20) == b""


def test_every_text_that_is_read_whole_has_a_limit_and_is_a_file(tmp_path: Path) -> None:
    """One line, where a sparse file of 3 GB or a pipe ended in a killed or a waiting process."""
    for name in ("large", "pipe"):
        file = tmp_path / name
        if name == "pipe":
            os.mkfifo(file)
        else:
            with file.open("wb") as stream:
                stream.truncate(3 * 2**30)
        for read in (
            recipes.read_yaml,
            read_classes,
            lambda file: open_source(CsvSource(name="csv", file=file)),
            lambda file: RunFolder(file.parent / f"run-{file.name}").preset,
        ):
            if not (folder := tmp_path / f"run-{name}").exists():
                folder.mkdir()
                (folder / "preset.json").symlink_to(file)
            with pytest.raises(KerasImagenetError, match=r"is larger than|is a pipe, a device or a socket") as caught:
                read(file)
            assert "\n" not in str(caught.value)
