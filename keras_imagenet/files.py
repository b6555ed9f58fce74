"""Files and folders that appear whole or not at all, files that can be read without waiting, and where caches lie.

What is written stands beside its destination as `.part-<hex>-<name>`, is flushed to disk and then renamed. The ending stays
the destination's, for writers that judge by it. A part is locked while it is written, so `sweep` tells what a killed
process left behind from what a living one is still writing.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import io
import json
import math
import os
import re
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, cast

import platformdirs

MAXIMUM_IMAGE = 512 * 2**20
"""Bytes of an image file; a larger one is not opened."""
PART = re.compile(r"\.part-[0-9a-f]{16}-.+", re.DOTALL)


@contextlib.contextmanager
def appearing(path: Path) -> Iterator[BinaryIO]:
    """A binary stream, open for writing and reading, whose content appears at `path` when the block ends well.

    Otherwise nothing remains of it, and what was at `path` stays. `stream.name` is where the content lies until then, for
    writers that want a path. Folders that are missing are made. Raises OSError where it cannot be written, FileExistsError
    where `path` is something else than a file.
    """
    if path.exists() and not path.is_file():
        raise FileExistsError(errno.EEXIST, "Is not a regular file", str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    stream = _locked_stream(path)
    part = Path(stream.name)
    try:
        with stream:
            yield stream
            stream.flush()
            _to_disk(part)
            os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    _folder_to_disk(path.parent)


@contextlib.contextmanager
def appearing_folder(path: Path) -> Iterator[Path]:
    """An empty folder that appears at `path`, with all that was put into it, when the block ends well.

    Otherwise nothing remains of it. Raises OSError where it cannot be written, or where `path` has something in it by then.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part, descriptor = _locked_folder(path)
    try:
        yield part
        for folder, _, names in os.walk(part):
            for name in names:
                _to_disk(Path(folder) / name)
            _folder_to_disk(Path(folder))
        os.rename(part, path)
    finally:
        shutil.rmtree(part, ignore_errors=True)
        os.close(descriptor)
    _folder_to_disk(path.parent)


def write(path: Path, content: str | bytes) -> None:
    """A file of this content; text as UTF-8, with escapes for halves of characters, of names that are not UTF-8."""
    with appearing(path) as stream:
        stream.write(content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content)


def write_json(path: Path, content: Any) -> None:
    """A file of indented JSON, with null for numbers that are not finite."""
    write(path, json_text(finite(content)[0], indent=2) + "\n")


def json_text(content: Any, *, indent: int | None = None, plain: bool = False) -> str:
    """JSON as text, in ASCII if plain. Raises ValueError for a number that is not finite."""
    return json.dumps(content, indent=indent, ensure_ascii=plain, allow_nan=False)


def finite(content: Any) -> tuple[Any, list[str]]:
    """Content for JSON with None in place of numbers that are not finite, and where those stood, such as best.loss."""
    missing: list[str] = []

    def visit(value: Any, place: str) -> Any:
        if isinstance(value, Mapping):
            return {key: visit(inner, f"{place}.{key}") for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [visit(inner, f"{place}.{index}") for index, inner in enumerate(value)]
        if isinstance(value, float) and not math.isfinite(value):
            missing.append(place.removeprefix("."))
            return None
        return value

    return visit(content, ""), missing


def write_with(path: Path, writer: Callable[[Path], Any]) -> None:
    """A file that `writer` writes to the path it is given, which ends as `path` does."""
    with appearing(path) as stream:
        writer(Path(stream.name))


def look(path: Path) -> os.stat_result:
    """What the disk says of a file, or of what a link leads to, without opening it.

    Raises OSError, also for what is no file: to open a pipe or a device waits for ever, or does what it is there for.
    """
    try:
        found = os.stat(path)
    except ValueError as error:
        raise OSError(errno.EINVAL, "no file can be called so", str(path)) from error
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, "is a folder", str(path))
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "is a pipe, a device or a socket", str(path))
    return found


def read_bytes(path: Path, limit: int) -> bytes:
    """The content of a file of at most `limit` bytes. Raises OSError for a larger one, and as `look` does."""
    look(path)
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as stream:
        content = stream.read(limit + 1)
    if len(content) > limit:
        raise OSError(errno.EFBIG, f"is larger than {limit / 2**20:g} MiB", str(path))
    return content


def read_text(
    path: Path, limit: int, *, encoding: str = "utf-8", errors: str = "strict", newline: str | None = None
) -> str:
    """The text of a file of at most `limit` bytes; errors and newline as `open` has them.

    Raises OSError and UnicodeDecodeError.
    """
    return io.TextIOWrapper(io.BytesIO(read_bytes(path, limit)), encoding, errors, newline=newline).read()


def sweep(folder: Path) -> None:
    """Remove the parts that killed processes left in a folder; what is still being written stays. Never raises OSError."""
    for part in folder.glob(".part-*"):
        if not PART.fullmatch(part.name):
            continue
        with contextlib.suppress(OSError):
            # A link is not opened, and a pipe is not waited for: neither is ours.
            descriptor = os.open(part, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(part) if part.is_dir() else part.unlink()
            finally:
                os.close(descriptor)


def cache_folder(kind: str) -> Path:
    """The user's folder for what can be computed again; on Linux below $XDG_CACHE_HOME or ~/.cache."""
    return platformdirs.user_cache_path("keras-imagenet", appauthor=False) / kind


def keras_home() -> Path:
    """The folder that Keras downloads to: $KERAS_HOME or ~/.keras."""
    return Path(os.environ.get("KERAS_HOME") or os.path.expanduser("~/.keras"))


def weights_folder() -> Path:
    """The folder of downloaded weights, beside those that Keras downloads."""
    return keras_home() / "models" / "keras_imagenet"


def read_at(descriptor: int, size: int, offset: int) -> bytes:
    """`size` bytes of an open file from `offset` on; fewer only at its end. For any number of threads at once.

    A system may give fewer than it is asked for, as network file systems do. Raises OSError where it gives none.
    """
    pieces: list[bytes] = []
    while size > 0 and (piece := os.pread(descriptor, size, offset)):
        pieces.append(piece)
        size, offset = size - len(piece), offset + len(piece)
    return b"".join(pieces)


def _part(path: Path) -> Path:
    """A name beside, which nobody can know in advance and so put a link there."""
    return path.with_name(f".part-{secrets.token_hex(8)}-{path.name}")


def _locked_stream(path: Path) -> BinaryIO:
    while True:
        part = _part(path)
        stream = cast(BinaryIO, part.open("x+b"))  # x: never what is there already, nor through a link
        if _locked(stream.fileno(), part):
            return stream
        stream.close()


def _locked_folder(path: Path) -> tuple[Path, int]:
    while True:
        part = _part(path)
        part.mkdir()
        descriptor = os.open(part, os.O_RDONLY)
        if _locked(descriptor, part):
            return part, descriptor
        os.close(descriptor)


def _locked(descriptor: int, part: Path) -> bool:
    """Holds the lock until the descriptor is closed; False where a sweep removed the part before it was locked."""
    with contextlib.suppress(OSError):  # a drive that knows no locks is not swept either
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    return part.exists()


def _to_disk(file: Path) -> None:
    """Flush a file, unless a link took its place: that is an OSError."""
    descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _folder_to_disk(folder: Path) -> None:
    """Flush the names in a folder, where the drive has a way to do so."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
