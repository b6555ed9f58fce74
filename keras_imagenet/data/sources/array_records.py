"""Records of ArrayRecord files by number, from any thread, without a hop to another one."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

READER_OPTIONS = "readahead_buffer_size:0,max_parallelism:0"  # for single records anywhere, not for long runs of them


class Part(NamedTuple):
    """`count` records of a file from `first` on."""

    file: Path
    first: int
    count: int


class Records:
    """The records of several parts, numbered through. Files are opened when they are first needed, and stay open.

    A reader has a position, so that one thread at a time may use it; there is one for each file.
    """

    def __init__(self, parts: Sequence[Part]) -> None:
        self.parts = tuple(part for part in parts if part.count)
        self._ends = list(accumulate(part.count for part in self.parts))
        self._locks = {part.file: Lock() for part in self.parts}
        self._readers: dict[Path, Any] = {}

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, number: int) -> bytes:
        """The bytes of a record. Raises IndexError outside [0, len)."""
        if not 0 <= number < len(self):
            raise IndexError(number)
        place = bisect.bisect_right(self._ends, number)
        part = self.parts[place]
        with self._locks[part.file]:
            reader = self._reader(part.file)
            reader.seek(part.first + number - (self._ends[place] - part.count))
            return reader.read()

    def _reader(self, file: Path) -> Any:
        if file not in self._readers:
            from array_record.python.array_record_module import ArrayRecordReader

            self._readers[file] = ArrayRecordReader(str(file), READER_OPTIONS)
        return self._readers[file]


def records_of(split_info: Any) -> Records:
    """The records of a split of a TFDS set, parts of splits such as train[:10%] included."""
    instructions = split_info.file_instructions
    return Records([Part(Path(item.filename), item.skip, item.take) for item in instructions])
