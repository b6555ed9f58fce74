"""The ILSVRC2012 development kit: which class each validation image has, and what the classes are called."""

from __future__ import annotations

import io
import tarfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from keras_imagenet.data.prepare.tars import DAMAGE, Header
from keras_imagenet.errors import DataError

TRUTH = "ILSVRC2012_validation_ground_truth.txt"
META = "meta.mat"
MAXIMUM_BYTES = 2**26


@dataclass(frozen=True)
class Devkit:
    """truth: the class of each validation image, in the order of their numbers. names: what people call each class."""

    file: Path
    truth: tuple[str, ...]
    names: dict[str, str]

    def classes_of(self, tar: Path, images: Sequence[str]) -> list[str]:
        """The class of each image: by the number from 1 at the end of its name, or by the order of names if as many."""
        numbers = [Path(image).stem.rsplit("_", 1)[-1] for image in images]
        if all(number.isdigit() and 1 <= int(number) <= len(self.truth) for number in numbers):
            return [self.truth[int(number) - 1] for number in numbers]
        if len(images) != len(self.truth):
            raise DataError(f"{tar}: holds {len(images)} images, but {self.file} the classes of {len(self.truth)}")
        place = {image: index for index, image in enumerate(sorted(images))}
        return [self.truth[place[image]] for image in images]


def read_devkit(path: Path) -> Devkit:
    """Reads the kit from its tar, its folder, or a text file with a class a line. Raises DataError."""
    if path.is_dir():
        return _kit(path, lambda name: _from_folder(path, name))
    try:
        tar = tarfile.open(path, tarinfo=Header)  # noqa: SIM115 -- what is in the block below has other faults
    except tarfile.ReadError:
        return _from_list(path)
    except (OSError, zlib.error, *DAMAGE) as error:
        raise DataError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from None
    with tar:
        return _kit(path, lambda name: _from_tar(path, tar, name))


def _from_list(path: Path) -> Devkit:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise DataError(f"{path}: neither a tar nor a text file with a class a line")
    truth = tuple(line.strip() for line in text.split("\n") if line.strip())
    if all(line.isdigit() for line in truth):
        raise DataError(f"{path}: holds numbers, whose classes {META} says; give the whole development kit")
    return Devkit(path, truth, {name: name for name in truth})


def _kit(path: Path, member: Callable[[str], bytes]) -> Devkit:
    from scipy.io import loadmat

    try:
        synsets = loadmat(io.BytesIO(member(META)), squeeze_me=True)["synsets"]
        leaves = {
            int(row["ILSVRC2012_ID"]): (str(row["WNID"]), str(row["words"]))
            for row in synsets
            if not row["num_children"]
        }
        truth = tuple(leaves[int(line)][0] for line in member(TRUTH).split())
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: its {META} and {TRUTH} do not fit together ({error!r})") from None
    return Devkit(path, truth, dict(leaves.values()))


def _from_folder(path: Path, name: str) -> bytes:
    for file in (path / name, path / "data" / name, *path.glob(f"*/data/{name}")):
        if file.is_file():
            return file.read_bytes()
    raise DataError(f"{path}: holds no {name}; expected the ILSVRC2012 development kit")


def _from_tar(path: Path, tar: tarfile.TarFile, name: str) -> bytes:
    try:
        for member in tar:
            if member.isfile() and Path(member.name).name == name:
                if not 0 <= member.size <= MAXIMUM_BYTES:
                    raise DataError(f"{path}: {name} declares {member.size:,} bytes")
                return tar.extractfile(member).read()
    except (OSError, zlib.error, *DAMAGE) as error:
        raise DataError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from None
    raise DataError(f"{path}: holds no {name}; expected the ILSVRC2012 development kit")
