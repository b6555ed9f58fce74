"""A small set in the shape of ILSVRC2012: a tar of tars, a tar of validation images, and a development kit."""

import io
import struct
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image


def photo(seed: int, size: tuple[int, int] = (40, 30), **options) -> bytes:
    """A JPEG of a smooth random image of (width, height)."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), np.uint8)
    buffer = io.BytesIO()
    image = Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)
    image.convert(options.pop("mode", "RGB")).save(buffer, options.pop("format", "JPEG"), **options)
    return buffer.getvalue()


def add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    """One file into a tar."""
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def tar_of(files: dict[str, bytes]) -> bytes:
    """A tar in memory."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            add(tar, name, content)
    return buffer.getvalue()


def png_that_declares(width: int, height: int) -> bytes:
    """The head of a PNG of any size, and nothing behind it."""
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head))


def stamped(photo: bytes, seed: int) -> bytes:
    """A JPEG with a comment in it, so that no two have the same bytes."""
    return photo[:2] + b"\xff\xfe\x00\x0a" + seed.to_bytes(8, "big") + photo[2:]


def make_train(
    file: Path,
    classes: list[str],
    each: int,
    extra: dict[str, dict[str, bytes]] | None = None,
    image: Callable[[int], bytes] = photo,
) -> set[str]:
    """The training tar; returns the names of the images in it. extra: further files by class. image: by its seed."""
    names = set()
    with tarfile.open(file, "w") as tar:
        for number, wnid in enumerate(classes):
            images = {f"{wnid}_{index}.JPEG": image(1000 * number + index) for index in range(each)}
            names |= {f"{wnid}/{name}" for name in images}
            add(tar, f"{wnid}.tar", tar_of(images | (extra or {}).get(wnid, {})))
    return names


def make_validation(file: Path, count: int) -> None:
    """The validation tar of flat images, in another order than their numbers'."""
    numbers = list(range(1, count + 1))
    files = {f"ILSVRC2012_val_{number:08d}.JPEG": photo(10**6 + number) for number in reversed(numbers)}
    file.write_bytes(tar_of(files))


def make_devkit(file: Path, classes: list[str], truth: list[int]) -> None:
    """The kit: classes[i] has the ILSVRC2012_ID i + 1; truth holds an ID for each validation image."""
    from scipy.io import savemat

    kind = [("ILSVRC2012_ID", int), ("WNID", object), ("words", object), ("gloss", object), ("num_children", int)]
    synsets = np.array(
        [(i + 1, wnid, f"name of {wnid}", "", 0) for i, wnid in enumerate(classes)]
        + [(len(classes) + 1, "n99999999", "an inner node", "", 3)],
        dtype=kind,
    )
    meta = io.BytesIO()
    savemat(meta, {"synsets": synsets[:, np.newaxis]})
    root = "ILSVRC2012_devkit_t12/data"
    with tarfile.open(file, "w:gz") as tar:
        add(tar, f"{root}/meta.mat", meta.getvalue())
        add(tar, f"{root}/ILSVRC2012_validation_ground_truth.txt", "".join(f"{label}\n" for label in truth).encode())
