"""What can go wrong, as a small hierarchy with an exit code each, and the name that was perhaps meant."""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches


class KerasImagenetError(Exception):
    """Something a user can mend; its text is one line that says where, what, and what would be right."""

    exit_code = 1


class SettingsError(KerasImagenetError):
    """A mistake in settings or arguments, found before any work."""

    exit_code = 2


class DataError(KerasImagenetError):
    """The data cannot be used."""

    exit_code = 3


class DataUnavailable(DataError):
    """The disk or the network does not give the data now; later it may. A run saves its state before it ends so."""


class TrainingStopped(KerasImagenetError):
    """A guard stopped the training: the loss is no longer finite."""

    exit_code = 4


class WorkerLost(KerasImagenetError):
    """Another worker of a run does not answer any more; every worker ends, and all can go on from the last checkpoint."""


class Interrupted(KerasImagenetError):
    """A signal stopped the run; its state is saved and the message holds the command to resume."""

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal_number


def nearest(word: str, known: Iterable[str] | Mapping[str, str]) -> str:
    """'; did you mean X?' with the known word nearest to `word`, or nothing; of a mapping, X is the word's value."""
    close = get_close_matches(word, known, n=1, cutoff=0.5)
    if not close:
        return ""
    return f"; did you mean {known[close[0]] if isinstance(known, Mapping) else close[0]}?"


@contextmanager
def writing_output(place: str | os.PathLike[str]) -> Iterator[None]:
    """For what writes where --output says: an OSError becomes a SettingsError that names the place."""
    try:
        yield
    except OSError as error:
        raise SettingsError(f"--output {place}: cannot be written: {error.strerror or error}") from error
