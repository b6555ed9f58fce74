"""Which image files a command means. No TensorFlow."""

import os
from collections.abc import Iterable
from pathlib import Path

from keras_imagenet.data.sources.listing import ENDINGS, OTHER_PHOTOS, has_image_ending, is_hidden

Fault = tuple[Path, str]


def find_images(paths: Iterable[str]) -> tuple[list[Path], list[Fault]]:
    """The named files in the order named, each folder in place of its image files; and what is not there, and why.

    Folders are entered to any depth, behind links too, but for hidden ones. What is named as an image is listed whatever it
    is: whoever reads it says what it is instead.
    """
    found: list[Path] = []
    faults: list[Fault] = []
    for path in map(Path, paths):
        if os.path.isdir(path):
            inside, missed = _images_below(path)
            found += inside
            faults += missed if inside or missed else [(path, f"holds no images ({', '.join(ENDINGS)})")]
        elif os.path.exists(path):
            found.append(path)
        else:
            faults.append((path, "is a broken link" if os.path.islink(path) else "no such file or folder"))
    return found, faults


def _images_below(folder: Path) -> tuple[list[Path], list[Fault]]:
    found: list[Path] = []
    faults: list[Fault] = []
    entered: set[str] = set()

    def not_listed(error: OSError) -> None:
        faults.append((Path(error.filename), f"cannot be listed: {error.strerror}"))

    for root, folders, names in os.walk(folder, followlinks=True, onerror=not_listed):
        place = os.path.realpath(root)
        if place in entered:  # a link back to where the way came from
            folders.clear()
            continue
        entered.add(place)
        folders[:] = [name for name in folders if not is_hidden(name)]
        seen = [Path(root, name) for name in names if not is_hidden(name)]
        found += [path for path in seen if has_image_ending(path.name)]
        faults += [
            (path, "is not read; save it as JPEG or PNG") for path in seen if path.suffix.lower() in OTHER_PHOTOS
        ]
    return sorted(found), sorted(faults)
