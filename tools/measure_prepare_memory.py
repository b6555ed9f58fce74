"""How much memory `keras-imagenet prepare` takes for 1,000 and for 20,000 images: the largest resident set of each run.

    python tools/measure_prepare_memory.py PHOTOS [COUNT ...]

PHOTOS: a folder of JPEGs, such as an ImageNet sample; they are repeated, each time with a comment of its own.
"""

import io
import json
import resource
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

CLASSES = 100


def main() -> None:
    """Makes a tar of tars for each count, prepares it in a process of its own, and prints a line of JSON each."""
    photos = [file.read_bytes() for file in sorted(Path(sys.argv[1]).rglob("*.JPEG"))]
    for count in map(int, sys.argv[2:] or ("1000", "20000")):
        with tempfile.TemporaryDirectory(dir=".") as folder:
            make_tar(Path(folder) / "train.tar", photos, count)
            script = [sys.executable, __file__, "--prepare", folder]
            print(
                subprocess.run(script, check=True, capture_output=True, text=True).stdout.splitlines()[-1], flush=True
            )


def make_tar(file: Path, photos: list[bytes], count: int) -> None:
    """A tar of CLASSES tars with count images in all."""
    with tarfile.open(file, "w") as outer:
        for label in range(CLASSES):
            buffer = io.BytesIO()
            with tarfile.open(fileobj=buffer, mode="w") as inner:
                for index in range(label, count, CLASSES):
                    photo = photos[index % len(photos)]
                    photo = photo[:2] + b"\xff\xfe\x00\x0a" + index.to_bytes(8, "big") + photo[2:]
                    add(inner, f"n{label:08d}_{index}.JPEG", photo)
            add(outer, f"n{label:08d}.tar", buffer.getvalue())


def add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    """One file into a tar."""
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def prepare(folder: str) -> None:
    """Prepares the tar in a folder, and prints what it took."""
    from keras_imagenet.data.prepare import prepare
    from keras_imagenet.settings.prepare import PrepareSettings

    started = time.monotonic()
    summary = prepare(
        PrepareSettings(output=Path(folder) / "out", train_tar=Path(folder) / "train.tar", shard_size=256)
    )
    seconds = time.monotonic() - started
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    count = summary["images"]["train"]
    print(json.dumps({"images": count, "largest_MiB": round(largest), "images_per_second": round(count / seconds)}))


if sys.argv[1] == "--prepare":
    prepare(sys.argv[2])
else:
    main()
