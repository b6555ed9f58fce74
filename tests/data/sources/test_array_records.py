"""Records by number: the same from any thread, over parts of files."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from array_record.python.array_record_module import ArrayRecordWriter

from keras_imagenet.data.sources.array_records import Part, Records


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Two files of 50 and 30 records, each the text of its number."""
    folder = tmp_path_factory.mktemp("records")
    for name, numbers in {"a": range(50), "b": range(50, 80)}.items():
        writer = ArrayRecordWriter(str(folder / name), "group_size:1")
        for number in numbers:
            writer.write(f"{number}".encode() * 200)
        writer.close()
    return folder / "a", folder / "b"


def number_of(record: bytes) -> int:
    return int(record[: len(record) // 200])


def test_records_of_parts_from_many_threads(files):
    a, b = files
    records = Records([Part(a, 10, 5), Part(b, 0, 30), Part(a, 40, 10), Part(b, 0, 0)])
    expected = [*range(10, 15), *range(50, 80), *range(40, 50)]
    assert len(records) == len(expected)
    order = [index * 7 % len(expected) for index in range(20 * len(expected))]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda index: number_of(records[index]), order))
    assert found == [expected[index] for index in order]


@pytest.mark.parametrize("number", [-1, 80])
def test_there_is_nothing_outside(files, number):
    with pytest.raises(IndexError):
        Records([Part(files[0], 0, 50), Part(files[1], 0, 30)])[number]
