"""Where a command's lines go: a terminal, a pipe, the run's log; with --json, standard output holds one object only."""

from __future__ import annotations

import io
import os
import re
import shutil
import sys
import textwrap
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from keras_imagenet import files

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

SECONDS_OF_SILENCE = 60
"""After which a pipe or a log is told what is being done."""

# What a terminal obeys instead of showing it: control characters (escape sequences begin with one), other line breaks, what
# turns the direction of writing, and halves of characters, which file names that are not UTF-8 hold and no stream can encode.
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


def printable(text: str) -> str:
    """Text as one line that a terminal shows and does not obey: what cannot be seen stands as an escape, such as \\x1b."""
    return _UNSEEN.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def open_standard_streams() -> None:
    """Let standard output and error take any text: what their encoding lacks stands as an escape, a closed one is nowhere."""
    if None in (sys.stdout, sys.stderr):
        while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
            pass  # Else the next file opened would have this number, and notices from C++ would be written into it.
        os.close(descriptor)
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115  as long as the process
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a notebook's has no encoding
            stream.reconfigure(errors="backslashreplace")


def columns(header: Sequence[str], rows: Sequence[Sequence[str]], right: Collection[int] = ()) -> list[str]:
    """A table's lines, each column as wide as its widest cell; right: places of the columns whose cells stand to the right."""
    cells = [header, *rows]
    widths = [max(len(row[place]) for row in cells) for place in range(len(header))]
    return [
        "  ".join(
            cell.rjust(width) if place in right else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]


def wrapped(line: str, width: int) -> str:
    """A line broken between words to `width` columns, what follows indented; one that begins with a blank stays, to be copied."""
    if len(line) <= width or line.startswith(" "):
        return line
    return textwrap.fill(line, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


@dataclass
class _Bottom:
    """What is redrawn below a terminal's lines: `live` while something is, `draw` what; `said`: when the last line was."""

    live: Live | None = None
    draw: Callable[[], RenderableType] = str
    said: float = field(default_factory=time.monotonic)


class _Nowhere(io.TextIOBase):
    """A stream that forgets what is written to it."""

    def write(self, text: str) -> int:
        return len(text)


@dataclass(frozen=True)
class Console:
    """Lines for people go to `stream` and, with the time of day, to the end of `log_file`, printable both times.

    On a terminal they are broken between words. A log that cannot be written is left out.
    """

    stream: TextIO
    as_json: bool = False
    log_file: Path | None = None
    _bottom: _Bottom = field(default_factory=_Bottom, repr=False, compare=False)

    @classmethod
    def standard(cls, *, as_json: bool = False) -> Console:
        """Standard output; with `as_json`, lines for people go to standard error."""
        open_standard_streams()
        return cls(sys.stderr if as_json else sys.stdout, as_json)

    @classmethod
    def silent(cls) -> Console:
        """Nowhere: for programs, which get results as values."""
        return cls(_Nowhere())

    @property
    def live(self) -> bool:
        """Whether lines can be redrawn: on a terminal."""
        return self.stream.isatty()

    @contextmanager
    def redrawn(self) -> Iterator[None]:
        """On a terminal, show what `doing` and `draw` say below the other lines, ten times a second, until the block ends."""
        if not self.live or self._bottom.live is not None:
            yield
            return
        from rich.console import Console as Terminal
        from rich.live import Live

        # A stream of its own, since standard error leads elsewhere while TensorFlow starts.
        with os.fdopen(os.dup(self.stream.fileno()), "w", encoding=self.stream.encoding, errors="replace") as stream:
            terminal = Terminal(file=stream, highlight=False, markup=False, emoji=False)
            self._bottom.draw = str
            self._bottom.live = Live(
                console=terminal,
                get_renderable=lambda: self._bottom.draw(),
                refresh_per_second=10,
                transient=True,
                redirect_stdout=not self.as_json,  # what a user's callback prints
                redirect_stderr=False,
            )
            self._bottom.live.start()
            terminal.show_cursor()  # A process that is killed could not bring it back.
            try:
                yield
            finally:
                self._put_away()

    def doing(self, what: str | Callable[[], str]) -> None:
        """Say what is being done from now on, where something is redrawn; a function is asked for it each time.

        Elsewhere it is a line where none has come for a minute.
        """
        if self._bottom.live is not None:
            from rich.spinner import Spinner

            spinner = Spinner("dots")

            def draw() -> RenderableType:
                spinner.update(text=printable(what() if callable(what) else what))
                return spinner

            self.draw(draw)
            self._bottom.live.refresh()
        elif time.monotonic() - self._bottom.said >= SECONDS_OF_SILENCE:
            self.say(what() if callable(what) else what)

    def draw(self, draw: Callable[[], RenderableType]) -> None:
        """Show what `draw` returns, asked anew each time, from another thread."""
        self._bottom.draw = draw

    def say(self, line: str) -> None:
        """One line, shown and logged."""
        self._bottom.said = time.monotonic()
        shown = printable(line)
        if self.live:
            shown = wrapped(shown, shutil.get_terminal_size().columns - 1)  # some terminals break a full line
        if self._bottom.live is not None:
            self._bottom.live.console.print(shown, soft_wrap=True)
        else:
            print(shown, file=self.stream, flush=True)
        self.log(line)

    def log(self, line: str) -> None:
        """One line, logged only."""
        if self.log_file is not None:
            with suppress(OSError), self.log_file.open("a", encoding="utf-8") as log:
                log.write(f"{datetime.now():%H:%M:%S} {printable(line)}\n")

    def result(self, content: Mapping[str, Any] | list[Any], lines: list[str]) -> None:
        """A command's result: the JSON object, or the lines. Nothing is redrawn any more."""
        self._put_away()
        if self.as_json:
            content, missing = files.finite(content)
            if missing:
                self.say(f"not finite, and null in JSON, which has no such number: {', '.join(missing)}")
            text = files.json_text(content, plain=not (sys.stdout.encoding or "utf-8").lower().startswith("utf"))
            print(_UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text), flush=True)
        else:
            for line in lines:
                self.say(line)

    def _put_away(self) -> None:
        live, self._bottom.live = self._bottom.live, None
        if live is not None:
            live.stop()
