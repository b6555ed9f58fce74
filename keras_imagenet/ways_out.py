"""What ends a run early, in words that name the command that goes on."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from keras_imagenet.cluster import Cluster
from keras_imagenet.errors import DataUnavailable, Interrupted, KerasImagenetError, WorkerLost
from keras_imagenet.run_folder import RunFolder


@contextmanager
def said_how_to_go_on(folder: RunFolder, team: Cluster | None) -> Iterator[None]:
    """What ends a run early names the command that goes on, which every worker of a team needs."""
    resume = folder.resume_command
    if team is not None:
        # A worker that does not write need not have the folder, nor the settings in it.
        resume = (
            f"{resume}{team.flags}, and likewise on the other workers" if team.index == 0 else "the same command on all"
        )
    go_on = f"To go on from the last checkpoint: {resume}"
    try:
        yield
    except (Interrupted, KeyboardInterrupt) as error:
        number = error.exit_code - 128 if isinstance(error, Interrupted) else signal.SIGINT
        if not folder.settings_file.exists() and not (team and team.index):  # whose folder need not be here
            raise Interrupted("interrupted before the run began", number) from error
        said = f"{error}. To go on: {resume}" if isinstance(error, Interrupted) else f"interrupted. {go_on}"
        raise Interrupted(said, number) from error
    except DataUnavailable as error:
        raise DataUnavailable(f"{error}; the state is saved. To go on: {resume}") from error
    except WorkerLost as error:
        raise WorkerLost(f"{error}. {go_on}") from error
    except BrokenPipeError as error:
        raise KerasImagenetError(f"whoever read the output has closed it, so the run has stopped. {go_on}") from error
    except OSError as error:
        reason = error.strerror or str(error).splitlines()[0]
        # Python names the file that an error is about; one of the run's is never read while training.
        inside = error.filename is None or Path(os.fsdecode(error.filename)).is_relative_to(folder.path)
        what = f"{folder.path}: cannot be written" if inside else f"{os.fsdecode(error.filename)}: cannot be opened"
        raise KerasImagenetError(f"{what}: {reason}; what was written before is whole. {go_on}") from error
