"""Records of ArrayRecord files by number, from any thread, without a hop to another one."""

from __future__ import annotations

import bisect
import errno
import os
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

from keras_imagenet.errors import DataError

SMALLEST_RECORD = 16
"""Bytes in a file for an image and its class, at the least."""
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
        """The bytes of a record. Raises IndexError outside [0, len), OSError for a record that is damaged or not there."""
        if not 0 <= number < len(self):
            raise IndexError(number)
        place = bisect.bisect_right(self._ends, number)
        part = self.parts[place]
        record = part.first + number - (self._ends[place] - part.count)
        with self._locks[part.file]:
            try:
                reader = self._reader(part.file)
                reader.seek(record)
                return reader.read()
            except (RuntimeError, IndexError, ValueError) as error:
                self._readers.pop(part.file, None)  # One that has failed gives no other record either.
                raise OSError(errno.EIO, f"{part.file.name}: record {record} is damaged or cut off") from error

    def _reader(self, file: Path) -> Any:
        if file not in self._readers:
            from array_record.python.array_record_module import ArrayRecordReader

            self._readers[file] = ArrayRecordReader(str(file), READER_OPTIONS)
        return self._readers[file]


def records_of(split_info: Any, directory: Path) -> Records:
    """The records of a split of a TFDS set in a folder, parts of splits such as train[:10%] included.

    Raises DataError for a file that is missing or outside the folder, or said to hold more records than it has room for.
    """
    parts = [Part(Path(item.filename), item.skip, item.take) for item in split_info.file_instructions]
    for part in parts:
        size = size_of(part.file, directory)
        if part.first < 0 or part.count < 0 or (part.first + part.count) * SMALLEST_RECORD > size:
            raise DataError(
                f"{part.file}: is said to hold {part.first + part.count:,} records, which {size:,} bytes do not"
            )
    return Records(parts)


def size_of(file: Path, directory: Path) -> int:
    """Bytes of a set's file. Raises DataError if it is missing, or not in the set's folder."""
    inside = Path(os.path.normpath(file)).is_relative_to(os.path.normpath(directory))
    if not inside:
        raise DataError(f"{directory}: names a file outside: {file}")
    try:
        return file.stat().st_size
    except OSError as error:
        raise DataError(f"{file}: {error.strerror}") from None
