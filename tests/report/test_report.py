"""The folder of tables and pictures: what it counts, whatever classes and files are called, however many there are."""

import csv
import io
import json
import shutil
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from keras_imagenet.cli import main
from keras_imagenet.data.sources import Source
from keras_imagenet.evaluation import Answers
from keras_imagenet.report import pictures, tables
from keras_imagenet.report.lettering import legible


def source_of(labels: list[int], classes: tuple[str, ...], names: list[str] | None = None) -> Source:
    """A source of which nothing is read."""
    names = names or [f"{number}.png" for number in range(len(labels))]
    return Source(classes, classes, np.array(labels, np.int32), names, "", read=lambda index: index)


def answers_to(source: Source, answers: list[int], probabilities: list[float]) -> Answers:
    answered, shares = np.array(answers, np.int32), np.array(probabilities, np.float32)
    return Answers(source.labels, answered, answered == source.labels, shares, shares)


def rows_of(file: Path) -> list[dict[str, str]]:
    with file.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


ANIMALS = source_of([0, 0, 0, 1, 1, 2, 2], ("cat", "dog", "emu", "fox"))
ANSWERED = answers_to(ANIMALS, [0, 0, 1, 1, 0, -1, 0], [0.9, 0.8, 0.7, 0.6, 0.95, 0.0, 0.5])


def test_precision_and_recall_by_hand(tmp_path: Path) -> None:
    """cat is answered four times, twice rightly, and has three; the emu that cannot be read counts nowhere; fox has none."""
    tables.write_classes(tmp_path / "classes.csv", ANIMALS, ANSWERED)
    found = [
        (row["class"], row["examples"], row["precision"], row["recall"], row["most_often_taken_for"])
        for row in rows_of(tmp_path / "classes.csv")
    ]
    assert found == [
        ("cat", "3", "0.500000", "0.666667", "dog"),
        ("dog", "2", "0.500000", "0.500000", "cat"),
        ("emu", "1", "", "0.000000", "cat"),
        ("fox", "0", "", "", ""),
    ]


def test_confusions_and_mistakes_come_worst_first() -> None:
    assert tables.confused(ANSWERED) == [(0, 1, 1), (1, 0, 1), (2, 0, 1)]
    assert tables.surest_mistakes(ANSWERED, 2).tolist() == [4, 2]
    matrix = np.array([[2, 1, 0], [3, 1, 0], [1, 0, 0]])
    assert tables.confused_in(matrix) == [(1, 0, 3), (0, 1, 1), (2, 0, 1)]


def test_what_could_not_be_read_has_a_row_with_the_reason_and_names_are_quoted(tmp_path: Path) -> None:
    names = ['a "b", c.png', "line\nbreak.png", "größe.png", "caf\udce9.png", "=1+1.png", "x", "y"]
    source = source_of(ANIMALS.labels.tolist(), ("a,b", 'c"d', "e\nf", "雪"), names)
    tables.write_predictions(tmp_path / "predictions.csv", source, ANSWERED, {5: "text, which is not supported"})
    rows = rows_of(tmp_path / "predictions.csv")
    assert [row["image"] for row in rows] == [*names[:3], r"caf\udce9.png", *names[4:]]
    assert (rows[2]["class"], rows[2]["answered_class"], rows[2]["right"]) == ("a,b", 'c"d', "0")
    assert rows[2]["probability"] == "0.700000"
    assert (rows[5]["answer"], rows[5]["unreadable"]) == ("", "text, which is not supported")


NAMES = {
    "Latin": "größe",
    "mathematics": "$x^2$ \\frac",
    "Arabic": "قطة",
    "Hebrew": "חתול",
    "Chinese": "猫",
    "Hindi": "बिल्ली",
    "emoji": "👨‍👩‍👧",
    "unassigned": "\U000e0fff",
    "control": "a\x1b[31mb\n",
    "long": "w" * 500,
    "none": "",
}


def test_any_name_is_drawn_or_replaced_without_a_warning() -> None:
    """By the identifier, or the number, where no font of this machine has its signs; boxes say nothing."""
    names = [*NAMES.values()]
    others = [f"n{number}" for number in range(len(names) - 1)] + [""]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        shown, families = legible(names, others)
        drawn = pictures.confusion(names, others, [(0, 1, 3)], np.arange(len(names)))
        images = np.zeros((len(names), 4, 4, 3), np.uint8)
        sheet = pictures.mistakes(names, others, images, [(name, 0, 1, 0.5) for name in names])
    assert drawn[1:4] == sheet[1:4] == b"PNG"
    assert shown[:2] == ["größe", "$x^2$ \\\\frac".replace("\\\\", "\\")]
    assert shown[7] == "n7"
    assert shown[8] == r"a\x1b[31mb\n"
    assert shown[10] == "#10"
    assert families[0] == "DejaVu Sans"


def test_a_solved_head_has_no_learning_rate_to_draw_and_few_images_no_empty_columns() -> None:
    row = {"epoch": 0, "loss": 0.1, "top1": 1.0, "learning_rate": 0.0, "validation_loss": 0.5, "validation_top1": 0.8}
    alone, trained = (width(pictures.curves(rows)) for rows in ([row], [row, row | {"epoch": 1}]))
    assert alone == trained * 2 / 3
    images = np.zeros((8, 16, 16, 3), np.uint8)
    captions = [("a.jpg", 0, 1, 0.9)] * 8
    few, many = (width(pictures.mistakes("ab", "ab", images[:n], captions[:n])) for n in (2, 8))
    assert few == many / 2


def width(png: bytes) -> int:
    """Pixels."""
    with Image.open(io.BytesIO(png)) as image:
        return image.size[0]


def test_a_thousand_classes_are_drawn_as_their_worst_pairs_in_seconds() -> None:
    """Fifty thousand answers, of which half are wrong in as many ways as there are."""
    random = np.random.default_rng(0)
    source = source_of(random.integers(0, 1000, 50_000).tolist(), tuple(f"n{number:08d}" for number in range(1000)))
    answered = np.where(random.random(50_000) < 0.5, source.labels, random.integers(0, 1000, 50_000))
    answers = answers_to(source, answered.tolist(), random.random(50_000).tolist())
    started = time.process_time()
    pairs = tables.confused(answers)
    picture = pictures.confusion(source.class_names, source.classes, pairs, tables.counts(answers, 1000)[2])
    lines = tables.lines(source, answers)
    assert time.process_time() - started < 20
    assert picture[1:4] == b"PNG"
    assert len(lines) == 1 + 10 + 1 + 5
    assert sum(times for *_, times in pairs) == (answered != source.labels).sum()


@pytest.fixture(scope="module")
def evaluated(digits_run: Path, tmp_path_factory) -> Path:
    """What evaluate --output writes of a run."""
    folder = tmp_path_factory.mktemp("evaluated") / "report"
    assert main(["evaluate", str(digits_run), "--output", str(folder)]) == 0
    return folder


@pytest.mark.parametrize("name", ["predictions.csv", "classes.csv", "confusion.png", "mistakes.png"])
def test_a_run_leaves_what_evaluate_writes(digits_run: Path, evaluated: Path, name: str) -> None:
    assert (digits_run / "report" / name).read_bytes() == (evaluated / name).read_bytes()


def test_predictions_say_what_the_metrics_say(digits_run: Path, evaluated: Path) -> None:
    rows, metrics = rows_of(evaluated / "predictions.csv"), json.loads((digits_run / "metrics.json").read_text())
    assert len(rows) == metrics["examples"]
    assert np.mean([int(row["right"]) for row in rows]) == pytest.approx(metrics["top1"])
    loss = -np.log([float(row["label_probability"]) for row in rows]).mean()
    assert loss == pytest.approx(metrics["loss"], rel=1e-3)
    with Image.open(digits_run / "report" / "curves.png") as curves:
        assert min(curves.size) > 200


def test_an_interrupted_run_leaves_the_same_report(digits_run: Path, tmp_path: Path) -> None:
    """Killed after the last checkpoint, before the report."""
    run = shutil.copytree(digits_run, tmp_path / "run")
    shutil.rmtree(run / "report")
    (run / "metrics.json").unlink()
    assert main(["fit", "--config", str(run), "--runtime.run_folder", str(run)]) == 0
    names = sorted(path.name for path in (digits_run / "report").iterdir())
    assert sorted(path.name for path in (run / "report").iterdir()) == names
    for name in names:
        assert (run / "report" / name).read_bytes() == (digits_run / "report" / name).read_bytes(), name


def test_evaluate_says_classes_and_mistakes_and_writes_nothing_unasked(
    digits_run: Path, tmp_path: Path, capsys
) -> None:
    before = {path: path.stat().st_mtime_ns for path in digits_run.rglob("*") if path.name != "log.txt"}
    assert main(["evaluate", str(digits_run)]) == 0
    said = capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in digits_run.rglob("*") if path.name != "log.txt"} == before
    assert "class  examples  precision  recall" in said
    assert "most often taken for another: " in said
    assert "sure and wrong: digits[" in said


def test_an_output_that_cannot_be_a_folder_is_one_line_before_anything_is_computed(
    digits_run: Path, tmp_path: Path, capsys
) -> None:
    (tmp_path / "file").write_text("")
    assert main(["evaluate", str(digits_run), "--output", str(tmp_path / "file")]) == 2
    complaint = capsys.readouterr().err
    assert complaint == f"keras-imagenet: --output {tmp_path / 'file'}: cannot be written: File exists\n"
