"""Tars of images, and tars of tars: where each image's bytes lie, so that they are read in any order without unpacking."""

from __future__ import annotations

import os
import tarfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from keras_imagenet.data.sources.listing import has_image_ending, not_an_image
from keras_imagenet.errors import DataError

MAXIMUM_BYTES = 512 * 2**20


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
        with file.open("rb") as opened, tarfile.open(fileobj=opened, mode="r:") as tar:
            end = os.stat(file).st_size
            for member in _walk(file.name, tar, refused):
                if member.isfile() and member.name.lower().endswith(".tar"):
                    if reason := _refusal(member, end, end):
                        refused.append((member.name, reason))
                    else:
                        _list_inner(tar, member, end, found, refused, skipped)
                else:
                    _sort(member, "", None, 0, end, found, refused, skipped)
    except OSError as error:
        raise DataError(f"{file}: {error.strerror}") from None
    except tarfile.TarError:
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
        return os.pread(descriptor, int(members.sizes[position]), int(members.offsets[position]))

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
        with tarfile.open(fileobj=tar.extractfile(member), mode="r:") as inner:
            for image in _walk(member.name, inner, refused):
                _sort(image, f"{name}/", name, member.offset_data, end, found, refused, skipped)
    except tarfile.TarError as error:
        refused.append((member.name, f"damaged tar ({error})"))


def _walk(name: str, tar: tarfile.TarFile, refused: list[tuple[str, str]]):
    """The members of a tar, as far as it is whole, without keeping them in memory."""
    try:
        while (member := tar.next()) is not None:
            yield member
            tar.members.clear()
    except (tarfile.TarError, EOFError) as error:
        refused.append((name, f"damaged tar ({error})"))


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
        refused.append((prefix + member.name, reason))
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
    if member.name.startswith("/") or ".." in PurePosixPath(member.name).parts:
        return "its name leaves the folder it would be unpacked to"
    if not member.isfile():
        return "a link or a device, not a file"
    if member.size > maximum:
        return f"declares {member.size:,} bytes"
    if member.offset_data + member.size > end:
        return "the tar ends inside it"
    return None
