"""Tars that lie about sizes and names: what is whole before the lie is prepared, the rest is named, and nothing hangs."""

import contextlib
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import ilsvrc
import pytest

from keras_imagenet.data.prepare import prepare
from keras_imagenet.data.prepare.devkit import read_devkit
from keras_imagenet.data.prepare.tars import list_members
from keras_imagenet.errors import DataError
from keras_imagenet.settings.prepare import PrepareSettings

ROOT = Path(__file__).parents[3]
PHOTO = ilsvrc.photo(1)


def header(name: bytes, size: int, kind: bytes = b"0") -> bytes:
    """A block of 512 bytes, whose size may be any: in octal, or in two's complement as GNU's tar writes large ones."""
    sign = b"\xff" if size < 0 else b"\x80"
    octal = b"%011o\0" % size if 0 <= size < 8**11 else sign + (size % 2**88).to_bytes(11, "big")
    block = bytearray(512)
    for place, content in ((0, name[:100]), (100, b"0000644\0"), (124, octal), (156, kind), (257, b"ustar\x0000")):
        block[place : place + len(content)] = content
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def member(name: bytes, content: bytes, kind: bytes = b"0") -> bytes:
    return header(name, len(content), kind) + content + bytes(-len(content) % 512)


def pax(**fields: str) -> bytes:
    records = b""
    for key, value in fields.items():
        line = f" {key}={value}\n".encode()
        length = len(line) + len(str(len(line) + 2))
        records += b"%d" % length + line
    return member(b"pax", records, b"x")


GOOD = member(b"a/good.jpg", PHOTO)
END = bytes(1024)
LIES = {
    "negative": header(b"a/x.jpg", -512) + PHOTO,
    "negative_far": header(b"a/x.jpg", -(10**9)),
    "huge": header(b"a/x.jpg", 2**80),
    "large": header(b"a/x.jpg", 2**41),
    "negative_long_name": header(b"././@LongLink", -1, b"L"),
    "huge_long_name": header(b"././@LongLink", 2**40, b"L") + b"a" * 100_000,
    "long_name_without_a_member": member(b"././@LongLink", b"a" * 200, b"L"),
    "negative_pax_header": header(b"pax", -1, b"x"),
    "huge_pax_header": header(b"pax", 10**11, b"x"),
    "negative_size_in_pax": pax(size="-5000") + header(b"a/x.jpg", 0),
    "words_as_size_in_pax": pax(size="many") + member(b"a/x.jpg", PHOTO),
    "pax_of_nothing": member(b"pax", b"0 a=b\n", b"x"),
    "pax_that_is_no_pax": member(b"pax", b"\xff\xfe\x00 garbage", b"x"),
    "sparse_map_of_words": pax(**{"GNU.sparse.map": "a,b,c"}) + member(b"a/x.jpg", PHOTO),
    "sparse_map_that_ends": pax(**{"GNU.sparse.major": "1", "GNU.sparse.minor": "0"})
    + header(b"a/x.jpg", 512)
    + b"9" * 512,
    "pax_upon_pax": pax(comment="x") * 5000,
    "bad_checksum": b"x" * 512,
}


@pytest.mark.parametrize("where", ["outer", "inner"])
@pytest.mark.parametrize("name", LIES)
def test_what_is_whole_before_a_lie_is_listed(tmp_path: Path, name: str, where: str) -> None:
    """In a process of its own, so that one that never ends is a failure, too."""
    content = GOOD + LIES[name] + END
    (tmp_path / "x.tar").write_bytes(content if where == "outer" else member(b"b.tar", content) + END)
    program = f"""
import resource
resource.setrlimit(resource.RLIMIT_AS, (4_000_000_000,) * 2)
from pathlib import Path
from keras_imagenet.data.prepare.devkit import read_devkit
from keras_imagenet.data.prepare.tars import list_members
listed = list_members(Path({str(tmp_path / "x.tar")!r}))
print(listed.names[0], *listed.refused)
"""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr[-500:]
    assert done.stdout.startswith("a/good.jpg " if where == "outer" else "b/good.jpg ")
    assert "a/x.jpg" in done.stdout or "damaged tar" in done.stdout


@pytest.mark.parametrize("name", LIES)
def test_a_tar_that_begins_with_a_lie_is_refused_or_empty(tmp_path: Path, name: str) -> None:
    (tmp_path / "x.tar").write_bytes(LIES[name] + END)
    with contextlib.suppress(DataError):
        assert "a/good.jpg" not in list_members(tmp_path / "x.tar").names


def test_a_lie_ends_with_exit_code_3_where_nothing_else_is_there(tmp_path: Path, command: Callable) -> None:
    (tmp_path / "x.tar").write_bytes(LIES["negative"] + END)
    done = command("prepare", "--train_tar", tmp_path / "x.tar", "--output", tmp_path / "out")
    assert done.returncode == 3
    assert done.stderr.splitlines()[-1].startswith("keras-imagenet: ")


def test_damage_in_the_middle_is_said(tmp_path: Path) -> None:
    """tarfile takes a header that it cannot read for the end of the tar."""
    names = [f"a/{number}.jpg".encode() for number in range(4)]
    content = bytearray(b"".join(member(name, PHOTO) for name in names) + END)
    place = content.index(b"a/2.jpg")
    content[place] ^= 0xFF
    (tmp_path / "x.tar").write_bytes(content)
    listed = list_members(tmp_path / "x.tar")
    assert listed.names == ["a/0.jpg", "a/1.jpg"]
    assert listed.refused == [("x.tar", f"damaged tar (at byte {place:,})")]


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        (b"caf\xe9.jpg", "caf\\xe9.jpg"),
        ("café.jpg".encode(), "café.jpg"),
        (b"new\nline.jpg", None),
        (b"bell\x07.jpg", None),
    ],
)
def test_names_that_no_table_can_hold(tmp_path: Path, name: bytes, kept: str | None) -> None:
    """Names that are not UTF-8 are common in old tars; their images are as good as others."""
    (tmp_path / "x.tar").write_bytes(GOOD + member(b"a/" + name, ilsvrc.photo(2)) + END)
    summary = prepare(PrepareSettings(output=tmp_path / "out", train_tar=tmp_path / "x.tar"), report=lambda line: None)
    assert summary["images"]["train"] == (1 if kept is None else 2)
    listed = list_members(tmp_path / "x.tar")
    assert listed.names[1:] == ([] if kept is None else [f"a/{kept}"])
    assert [reason for _, reason in listed.refused] == (["its name is not one line of text"] if kept is None else [])


def test_a_zero_in_a_name_of_a_pax_header(tmp_path: Path) -> None:
    """Names stand one after the other beside the shards, with zeros between them."""
    (tmp_path / "x.tar").write_bytes(GOOD + pax(path="a/one\0two.jpg") + member(b"a/x.jpg", PHOTO) + END)
    assert list_members(tmp_path / "x.tar").refused == [("a/one?two.jpg", "its name is not one line of text")]


def test_long_names_of_both_kinds_are_read(tmp_path: Path) -> None:
    for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        with tarfile.open(tmp_path / "x.tar", "w", format=form) as tar:
            ilsvrc.add(tar, f"a/{'long' * 60}.jpg", PHOTO)
        assert list_members(tmp_path / "x.tar").names == [f"a/{'long' * 60}.jpg"]


def test_a_file_with_holes_is_refused(tmp_path: Path) -> None:
    block = bytearray(header(b"a/x.jpg", 512, b"S"))
    block[386:410] = b"%011o\0%011o\0" % (0, 512)
    block[483:495] = b"%011o\0" % 10**9
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    (tmp_path / "x.tar").write_bytes(GOOD + bytes(block) + bytes(512) + END)
    assert [reason for _, reason in list_members(tmp_path / "x.tar").refused] == [
        "a file with holes, whose bytes do not lie together"
    ]


@pytest.mark.parametrize("name", LIES)
def test_a_development_kit_that_lies_is_one_line(tmp_path: Path, name: str) -> None:
    (tmp_path / "kit.tar").write_bytes(LIES[name] + END)
    with pytest.raises(DataError, match=r"^[^\n]*$"):
        read_devkit(tmp_path / "kit.tar")
