"""What several entry functions begin with, before TensorFlow starts."""

import errno
import os
import tempfile
from pathlib import Path

from keras_imagenet.data import sources
from keras_imagenet.errors import writing_output
from keras_imagenet.settings import Settings
from keras_imagenet.settings.sizing import sized


def with_data(settings: Settings, *, also: bool = False) -> tuple[Settings, sources.Splits]:
    """What the settings' source holds, with `also` the further sets, and the settings with what follows from its number of examples."""
    splits = sources.open_with_also(settings.data) if also else sources.open_source(settings.data.source)
    return sized(settings, len(splits.train or splits.validation)), splits


def require_folder(path: Path) -> None:
    """Make a folder, before anything is computed for it."""
    with writing_output(path):
        path.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=path).close()


def require_file(path: Path) -> None:
    """See that a file can be written there, before anything is computed for it."""
    with writing_output(path):
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        tempfile.TemporaryFile(dir=path.parent).close()
