"""Where a command's lines go: a terminal, a pipe, the run's log; with --json, standard output holds one object only."""

import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

# What a terminal obeys instead of showing it: control characters (escape sequences begin with one), other line breaks, what
# turns the direction of writing, and halves of characters, which file names that are not UTF-8 hold and no stream can encode.
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


def printable(text: str) -> str:
    """Text as one line that a terminal shows and does not obey: what cannot be seen stands as an escape, such as \\x1b."""
    return _UNSEEN.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


@dataclass(frozen=True)
class Console:
    """Lines for people go to `stream` and, with the time of day, to the end of `log_file`, printable both times."""

    stream: TextIO
    as_json: bool = False
    log_file: Path | None = None

    @classmethod
    def standard(cls, *, as_json: bool = False) -> "Console":
        """Standard output; with `as_json`, lines for people go to standard error."""
        return cls(sys.stderr if as_json else sys.stdout, as_json)

    @property
    def live(self) -> bool:
        """Whether lines can be redrawn: on a terminal."""
        return self.stream.isatty()

    def say(self, line: str) -> None:
        """One line, shown and logged."""
        print(printable(line), file=self.stream, flush=True)
        self.log(line)

    def log(self, line: str) -> None:
        """One line, logged only."""
        if self.log_file is not None:
            with self.log_file.open("a", encoding="utf-8") as log:
                log.write(f"{datetime.now():%H:%M:%S} {printable(line)}\n")

    def result(self, content: Mapping[str, Any] | list[Any], lines: list[str]) -> None:
        """A command's result: the JSON object, or the lines."""
        if self.as_json:
            text = json.dumps(content, ensure_ascii=False)
            print(_UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text), flush=True)
        else:
            for line in lines:
                self.say(line)
