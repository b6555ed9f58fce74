"""What can go wrong, as a small hierarchy with an exit code each."""


class KerasImagenetError(Exception):
    """Something a user can mend; its text is one line that says where, what, and what would be right."""

    exit_code = 1


class SettingsError(KerasImagenetError):
    """A mistake in settings or arguments, found before any work."""

    exit_code = 2


class DataError(KerasImagenetError):
    """The data cannot be used."""

    exit_code = 3


class TrainingStopped(KerasImagenetError):
    """A guard stopped the training: the loss is no longer finite."""

    exit_code = 4


class Interrupted(KerasImagenetError):
    """A signal stopped the run; its state is saved and the message holds the command to resume."""

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal_number
