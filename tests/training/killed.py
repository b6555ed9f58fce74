"""What a run's folder holds at every moment at which the run could be killed: run as a program, it trains and copies.

Arguments: the run folder, a folder for the copies, flags of `fit`. Before each operation on a file of the run, the folder is
copied as it is: what was written by then outlives the process, what is in Python's buffers does not. Copies of equal content
are made once; the log and TensorBoard's files are no part of what is compared, since a run never reads them.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from keras_imagenet.cli import main

UNREAD = {"log.txt", "tensorboard"}
OPERATIONS = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.truncate", "os.link", "os.symlink"}


class Copies:
    """Copies of a folder, numbered, each of another content."""

    def __init__(self, folder: Path, into: Path) -> None:
        self.folder, self.into = folder, into
        self.seen: set[str] = set()
        self.copying = False

    def take(self) -> None:
        """One more, unless there is its like."""
        if self.copying or not self.folder.exists():
            return
        self.copying = True
        try:
            content = self._content()
            if content not in self.seen:
                shutil.copytree(self.folder, self.into / f"{len(self.seen):03d}")
                self.seen.add(content)
        finally:
            self.copying = False

    def watch(self, event: str, arguments: tuple[Any, ...]) -> None:
        """The audit hook."""
        if event in OPERATIONS and any(str(self.folder) in str(argument) for argument in arguments):
            self.take()

    def before(self, function: Callable) -> Callable:
        """The function, after a copy: for what Python tells no audit hook of."""

        def copied(*arguments: Any, **options: Any) -> Any:
            self.take()
            return function(*arguments, **options)

        return copied

    def _content(self) -> str:
        digest = hashlib.sha256()
        for path in sorted(self.folder.rglob("*")):
            name = path.relative_to(self.folder)
            if name.parts[0] in UNREAD:
                continue
            digest.update(re.sub(r"\.part-[0-9a-f]+-", ".part-", str(name)).encode())
            digest.update(path.read_bytes() if path.is_file() else b"folder")
        return digest.hexdigest()


def train(run: str, into: str, *flags: str) -> int:
    """Train, copy on the way, and once more at the end; the exit code."""
    copies = Copies(Path(run), Path(into))
    copies.into.mkdir()
    sys.addaudithook(copies.watch)
    for name in ("fsync", "replace", "unlink"):
        setattr(os, name, copies.before(getattr(os, name)))
    code = main(["fit", *flags, "--runtime.run_folder", run])
    copies.take()
    return code


if __name__ == "__main__":
    sys.exit(train(*sys.argv[1:]))
