"""What stands on a terminal while `fit` runs, second by second: words whole, numbers fresh, and nothing left behind."""

import fcntl
import os
import pty
import re
import select
import struct
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyte
import pytest
from PIL import Image

BAR = re.compile("[━╸╺⠀-⣿]")


@dataclass(frozen=True)
class Recording:
    """A program's screens: (seconds since its start, lines), the first when it first wrote, the last when it had ended.

    written: when it wrote.
    """

    screens: Sequence[tuple[float, list[str]]]
    written: Sequence[float]
    code: int
    cursor_hidden: bool


def record(words: Sequence[str], folder: Path, columns: int, rows: int, interrupt_at: str = "\0") -> Recording:
    """Run keras-imagenet in a terminal, with Ctrl-C where a screen first shows `interrupt_at`."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(folder)
        around: Mapping[str, str] = os.environ | {"TERM": "xterm-256color"}
        around = {name: value for name, value in around.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
        os.execve(sys.executable, [sys.executable, "-m", "keras_imagenet", *words], around)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    screen = pyte.Screen(columns, rows)
    stream, screens, written, start = pyte.ByteStream(screen), [], [], time.monotonic()
    while True:
        if select.select([terminal], [], [], 0.1)[0]:
            try:
                stream.feed(os.read(terminal, 65536))
            except OSError:  # the program has ended
                break
            written.append(time.monotonic() - start)
        age, lines = time.monotonic() - start, [line.rstrip() for line in screen.display]
        if any(lines) and (not screens or age - screens[-1][0] >= 1):
            screens.append((age, lines))
            if interrupt_at in "\n".join(lines):
                os.write(terminal, b"\x03")
                interrupt_at = "\0"
    screens.append((time.monotonic() - start, [line.rstrip() for line in screen.display]))
    return Recording(screens, written, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), screen.cursor.hidden)


def require_whole_words(recording: Recording, columns: int) -> None:
    """No line reaches the edge, where the terminal would break it, but for commands, which are there to be copied."""
    for _, lines in recording.screens:
        commands = [
            number for number, line in enumerate(lines) if line.startswith(("  keras-imagenet", "  tensorboard"))
        ]
        for number, line in enumerate(lines):
            assert len(line) < columns or number in commands, line
            assert "…" not in line, line
            assert "..." not in line, line


@pytest.fixture(scope="module")
def digits(tmp_path_factory) -> Recording:
    words = ["fit", "--train.epochs", "20", "--runtime.run_folder", "run"]
    return record(words, tmp_path_factory.mktemp("digits"), 80, 24)


def test_digits_hold_no_cut_word_in_80_columns(digits: Recording) -> None:
    assert digits.code == 0
    require_whole_words(digits, 80)
    assert any("learning rate: adam" in line for _, lines in digits.screens for line in lines)


def test_something_stands_there_long_before_tensorflow_has_started(digits: Recording) -> None:
    """Half a second where nothing else runs, against three."""
    first = digits.screens[0][0]
    begun = next(age for age, lines in digits.screens if any("data: digits" in line for line in lines))
    assert first < begun / 2


def test_it_moves_within_every_second_and_counts_on(digits: Recording) -> None:
    """The spinner, and between two screens of training step, loss and images/s."""
    last = next(age for age, lines in digits.screens if any(line.startswith("reached: ") for line in lines))
    seconds = range(int(digits.written[0]) + 1, int(last))
    still = set(seconds) - set(map(int, digits.written))
    assert len(still) <= len(seconds) / 5, still  # where libraries hold Python's lock while they are loaded
    training = [
        (int(step[1]), values)
        for _, lines in digits.screens
        if (step := re.search(r"epoch \d+/20 step (\d+)/449 .* \d+:\d\d left", "\n".join(lines)))
        and (values := next((line for line in lines if line.startswith("  training: loss ")), None))
    ]
    assert training
    for (step, values), (later, others) in pairwise(training):
        assert step < later
        assert values != others


def test_what_it_does_is_said_from_the_first_second(digits: Recording) -> None:
    seen = {re.sub(r"^[⠀-⣿] |:.*", "", line.strip()) for _, lines in digits.screens for line in lines}
    assert seen & {"starting", "looking at the data", "starting TensorFlow"}
    assert seen & {"reading the first images", "compiling the first step"}
    assert "training" in seen


def test_nothing_is_left_of_what_was_redrawn(digits: Recording) -> None:
    _, last = digits.screens[-1]
    assert not [line for line in last if BAR.search(line)]
    assert not digits.cursor_hidden
    assert sum(line.startswith("epoch 20/20: loss ") for line in last) == 1


def test_a_mistake_is_broken_between_words(tmp_path: Path) -> None:
    recording = record(["fit", "photo"], tmp_path, 80, 24)
    assert recording.code == 2
    require_whole_words(recording, 80)
    _, last = recording.screens[-1]
    assert " ".join(line.strip() for line in last if line).endswith("or a folder of shards")


def test_a_head_that_is_solved_is_no_epoch_and_training_waits_for_its_first_step(digits_run, tmp_path: Path) -> None:
    words = ["fit", "--model.weights", str(digits_run), "--model.head", "probe", "--train.steps", "2"]
    recording = record([*words, "--runtime.run_folder", "run"], tmp_path, 80, 24)
    assert recording.code == 0
    seen = ["\n".join(lines) for _, lines in recording.screens]
    assert not any("epoch 0/" in screen for screen in seen)
    assert not any("epoch 1/1 step 0/2" in screen and "saving" in screen for screen in seen)
    assert "solved head: loss" in seen[-1]
    assert "epoch 1/1: loss" in seen[-1]


@pytest.mark.slow
def test_ctrl_c_leaves_the_command_to_go_on_and_no_bar(tmp_path: Path) -> None:
    """While training on photos, of which one cannot be read and is named above the bar."""
    random = np.random.default_rng(0)
    for name in ("red", "green", "blue"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(12):
            pixels = random.integers(0, 255, (40, 40, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{number}.png")
    (tmp_path / "photos" / "red" / "broken.png").write_text("not an image")
    words = ["fit", "--config", "photos/resnet18", "--data.source.directory", "photos", "--model.name", "simple_cnn"]
    words += ["--data.size", "32", "--train.batch_size", "8", "--train.epochs", "5000", "--runtime.run_folder", "run"]
    words += ["--optimizer.learning_rate", "1e-5"]
    recording = record(words, tmp_path, 120, 40, interrupt_at="epoch 2/5000: loss ")
    require_whole_words(recording, 120)
    _, last = recording.screens[-1]
    assert recording.code == 130, last
    assert not [line for line in last if BAR.search(line)]
    assert not recording.cursor_hidden
    text = "\n".join(last)
    assert text.count("left out: red/broken.png: text") == 1, text
    assert "interrupted at step" in text
    assert "keras-imagenet fit --config run" in text.replace("\n", " ")
