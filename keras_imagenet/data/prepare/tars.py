"""Tars of images, and tars of tars: where each image's bytes lie, so that they are read in any order without unpacking."""

from __future__ import annotations

import os
import re
import tarfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

import numpy as np

from keras_imagenet import files
from keras_imagenet.data.sources.listing import has_image_ending, not_an_image
from keras_imagenet.errors import DataError

MAXIMUM_BYTES = files.MAXIMUM_IMAGE
MAXIMUM_HEADER = 2**16
"""Bytes of a long name, or of a pax header, which tarfile reads at once."""
MAXIMUM_NAME = 4096
"""Characters of a path, as Linux limits it."""
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
LARGEST = 2**42
"""Bytes of anything in a tar; a file system could not seek behind much more."""
EXTENDS = (
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
)
"""Headers that say more of the member after them."""
DAMAGE = (
    tarfile.TarError,
    ValueError,
    LookupError,
    EOFError,
    ArithmeticError,
    RecursionError,
    TypeError,
    AttributeError,
)
"""What tarfile raises at headers that nobody wrote in earnest."""


class Header(tarfile.TarInfo):
    """A header whose size can be meant; tarfile reads and seeks by any."""

    @classmethod
    def frombuf(cls, buf: bytes, encoding: str, errors: str) -> Header:
        """tarfile's, but raises InvalidHeaderError for a size below zero, and for a name or a pax header of megabytes."""
        header = super().frombuf(buf, encoding, errors)
        if not 0 <= header.size <= (MAXIMUM_HEADER if header.type in EXTENDS else LARGEST):
            raise tarfile.InvalidHeaderError(f"a header declares {header.size:,} bytes")
        return header


@dataclass(frozen=True)
class Members:
    """The images in a tar. names: where they are in it. classes: folder or inner tar, None where there is none.

    offsets, sizes: where their bytes are in the file, int64 [n]. refused: name and reason of what is not read.
    skipped: members passed over, by reason.
    """

    names: list[str]
    classes: list[str | None]
    offsets: np.ndarray
    sizes: np.ndarray
    refused: list[tuple[str, str]]
    skipped: dict[str, int]


def list_members(file: Path) -> Members:
    """Lists a tar by its headers; of the inner ones too. Nothing is unpacked. DataError if it is no plain tar.

    Members whose names would leave the folder they are unpacked to, links and devices, members above MAXIMUM_BYTES and
    those that a damaged tar has lost are refused.
    """
    found: list[tuple[str, str | None, int, int]] = []
    refused: list[tuple[str, str]] = []
    skipped: Counter[str] = Counter()
    try:
        with file.open("rb") as opened, _opened(opened) as tar:
            end = os.stat(file).st_size
            for member in _walk(file.name, tar, refused):
                if member.isfile() and member.name.lower().endswith(".tar"):
                    if reason := _refusal(member, end, end):
                        refused.append((_shown(member.name), reason))
                    else:
                        _list_inner(tar, member, end, found, refused, skipped)
                else:
                    _sort(member, "", None, 0, end, found, refused, skipped)
    except OSError as error:
        raise DataError(f"{file}: {error.strerror}") from None
    except DAMAGE:
        raise DataError(f"{file}: not a plain tar, or compressed; unpack its outer layer with gunzip first") from None
    names, classes, offsets, sizes = ([row[column] for row in found] for column in range(4))
    return Members(names, classes, np.array(offsets, np.int64), np.array(sizes, np.int64), refused, dict(skipped))


def reader(file: Path, members: Members) -> Callable[[int], bytes]:
    """Reads the bytes of a member by its place in the list; by any number of threads at once."""
    try:
        descriptor = os.open(file, os.O_RDONLY)
    except OSError as error:
        raise DataError(f"{file}: {error.strerror}") from None

    def read(position: int) -> bytes:
        return files.read_at(descriptor, int(members.sizes[position]), int(members.offsets[position]))

    return read


def _list_inner(
    tar: tarfile.TarFile,
    member: tarfile.TarInfo,
    end: int,
    found: list[tuple[str, str | None, int, int]],
    refused: list[tuple[str, str]],
    skipped: Counter[str],
) -> None:
    name = PurePosixPath(member.name).stem
    try:
        with _opened(tar.extractfile(member)) as inner:
            for image in _walk(member.name, inner, refused):
                _sort(image, f"{name}/", name, member.offset_data, end, found, refused, skipped)
    except DAMAGE as error:
        refused.append((member.name, f"damaged tar ({_first_line(error)})"))


def _opened(file: IO[bytes]) -> tarfile.TarFile:
    """A plain tar; names that are not UTF-8 are written with the numbers of their bytes, caf\\xe9.jpg."""
    return tarfile.open(fileobj=file, mode="r:", tarinfo=Header, encoding="utf-8", errors="backslashreplace")


def _walk(name: str, tar: tarfile.TarFile, refused: list[tuple[str, str]]) -> Iterator[tarfile.TarInfo]:
    """The members of a tar, as far as it is whole, without keeping them in memory."""
    while True:
        try:
            member = tar.next()
            # tarfile takes a header that it cannot read for the end; the end is a block of zeros, or of the file.
            if member is None and any(_block_at(tar, tar.offset)):
                raise tarfile.ReadError(f"at byte {tar.offset:,}")
            # A pax header may give a member any size after its own header was read.
            if member is not None and not 0 <= member.size <= LARGEST:
                raise tarfile.ReadError(f"{member.name:.200} declares {member.size:,} bytes")
        except DAMAGE as error:
            refused.append((name, f"damaged tar ({_first_line(error)})"))
            return
        if member is None:
            return
        yield member
        tar.members.clear()


def _block_at(tar: tarfile.TarFile, offset: int) -> bytes:
    tar.fileobj.seek(offset)
    return tar.fileobj.read(tarfile.BLOCKSIZE)


def _shown(name: str) -> str:
    return CONTROL.sub("?", name)[:MAXIMUM_NAME]


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


def _sort(
    member: tarfile.TarInfo,
    prefix: str,
    identifier: str | None,
    start: int,
    end: int,
    found: list[tuple[str, str | None, int, int]],
    refused: list[tuple[str, str]],
    skipped: Counter[str],
) -> None:
    path = PurePosixPath(member.name)
    if member.isdir():
        return
    if reason := _refusal(member, end - start, MAXIMUM_BYTES):
        refused.append((_shown(prefix + member.name), reason))
    elif path.name.startswith("."):
        skipped["hidden"] += 1
    elif not has_image_ending(path.name):
        skipped[not_an_image(path.name)] += 1
    else:
        folder = identifier or (path.parent.name or None)
        name = f"{folder}/{path.name}" if folder else path.name
        found.append((name, folder, start + member.offset_data, member.size))


def _refusal(member: tarfile.TarInfo, end: int, maximum: int) -> str | None:
    """Why a member is not read; None if it may be."""
    if len(member.name) > MAXIMUM_NAME or CONTROL.search(member.name):
        return "its name is not one line of text"
    if member.name.startswith("/") or ".." in PurePosixPath(member.name).parts:
        return "its name leaves the folder it would be unpacked to"
    if not member.isfile():
        return "a link or a device, not a file"
    if member.issparse():
        return "a file with holes, whose bytes do not lie together"
    if member.size > maximum:
        return f"declares {member.size:,} bytes"
    if member.offset_data + member.size > end:
        return "the tar ends inside it"
    return None
