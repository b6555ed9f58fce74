"""Where a command's lines go: a terminal, a pipe, the run's log; with --json, standard output holds one object only."""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO


@dataclass(frozen=True)
class Console:
    """Lines for people go to `stream` and, with the time of day, to the end of `log_file`."""

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
        print(line, file=self.stream, flush=True)
        self.log(line)

    def log(self, line: str) -> None:
        """One line, logged only."""
        if self.log_file is not None:
            with self.log_file.open("a", encoding="utf-8") as log:
                log.write(f"{datetime.now():%H:%M:%S} {line}\n")

    def result(self, content: Mapping[str, Any] | list[Any], lines: list[str]) -> None:
        """A command's result: the JSON object, or the lines."""
        if self.as_json:
            print(json.dumps(content, ensure_ascii=False), flush=True)
        else:
            for line in lines:
                self.say(line)
