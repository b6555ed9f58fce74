"""The label order is read back as it was written, whatever the classes are called."""

import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from keras_imagenet.errors import DataError
from keras_imagenet.labels import ClassList, from_identifiers, read_classes, write_classes

NAMES = st.one_of(
    st.sampled_from(["wnid", "index\twnid", " cat", "cat ", "\ufeffcat", "a\u2028b", "a\x85b", "", "#"]), st.text()
)
UNFIT = re.compile(r"[\t\r\n]")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("labels")


def test_one_name_a_line_or_a_table_where_people_say_otherwise(folder: Path) -> None:
    write_classes(folder / "classes.txt", ClassList(("cat", "dog"), ("cat", "dog")))
    assert (folder / "classes.txt").read_text() == "cat\ndog\n"
    write_classes(folder / "classes.txt", ClassList(("n1", "n2"), ("a, b", "größe")))
    assert (folder / "classes.txt").read_text(encoding="utf-8") == "index\twnid\tname\n0\tn1\ta, b\n1\tn2\tgröße\n"
    write_classes(folder / "classes.tsv", from_identifiers(["cat"]))
    assert (folder / "classes.tsv").read_text() == "index\twnid\tname\n0\tcat\tcat\n"


@pytest.mark.parametrize("ending", ["txt", "tsv"])
@given(identifiers=st.lists(NAMES, min_size=1, unique=True))
@example(identifiers=["wnid", "cat"])
@example(identifiers=["a\u2028b", "cat"])
@example(identifiers=[" cat", "dog"])
def test_identifiers_are_read_back_or_refused(folder: Path, ending: str, identifiers: list[str]) -> None:
    """A class called wnid is no header, and U+2028 no end of a line."""
    file, classes = folder / f"identifiers.{ending}", from_identifiers(identifiers)
    try:
        write_classes(file, classes)
    except DataError as error:
        refused = str(error)
        assert any(
            UNFIT.search(name) and f"the class {name!r} cannot be written down" in refused for name in identifiers
        )
    else:
        assert read_classes(file) == classes


@given(rows=st.lists(st.tuples(NAMES, NAMES), min_size=1, unique_by=lambda row: row[0]))
def test_identifiers_and_names_are_read_back_or_refused(folder: Path, rows: list[tuple[str, str]]) -> None:
    classes = ClassList(*zip(*rows, strict=True))
    try:
        write_classes(folder / "both.txt", classes)
    except DataError:
        assert any(UNFIT.search(identifier + name) or not name for identifier, name in rows)
    else:
        assert read_classes(folder / "both.txt") == classes


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (ClassList(("cat", "a\nb"), ("cat", "a\nb")), r"the class 'a\\nb' cannot be written down"),
        (ClassList(("cat", "a\tb"), ("Cat", "b")), r"the class 'a\\tb' cannot be written down"),
        (from_identifiers(["\udce9"]), r"the class '\\udce9' cannot be written down"),
        (ClassList(("cat",), ("",)), "the class 'cat' cannot be written down: its name is empty"),
        (from_identifiers(["cat", "cat"]), "names cat twice"),
        (from_identifiers([]), "no class"),
    ],
)
def test_what_cannot_be_written_down_names_the_class_and_leaves_the_file(folder, classes, message) -> None:
    file = folder / "kept.txt"
    file.write_text("old\n")
    with pytest.raises(DataError, match=message):
        write_classes(file, classes)
    assert file.read_text() == "old\n"


def test_files_by_hand_have_blanks_windows_line_ends_and_a_byte_order_mark(folder: Path) -> None:
    (folder / "hand.txt").write_bytes("\ufeff\n cat \r\n\r\ndog".encode())
    assert read_classes(folder / "hand.txt").identifiers == ("cat", "dog")
    (folder / "hand.txt").write_bytes("\ufeffname\twnid\tindex\r\nDog\tn2\t1\r\n\tn1\t0\r\n".encode())
    assert read_classes(folder / "hand.txt") == ClassList(("n1", "n2"), ("n1", "Dog"))


def test_two_spellings_of_one_name_are_one_class_given_twice(folder: Path) -> None:
    """The first would never have had an example."""
    (folder / "accents.txt").write_text("caf\u00e9\ncafe\u0301\n", encoding="utf-8")
    with pytest.raises(DataError, match="names cafe\u0301 twice"):
        read_classes(folder / "accents.txt")
