"""Where images come from. Each kind of storage has a file; what it opens is described in source.py."""

from keras_imagenet.data.sources.arrays import open_arrays
from keras_imagenet.data.sources.digits import open_digits
from keras_imagenet.data.sources.folder import open_folder
from keras_imagenet.data.sources.left_out import left_out_lines
from keras_imagenet.data.sources.manifest import open_manifest
from keras_imagenet.data.sources.names import require_one_case
from keras_imagenet.data.sources.source import Source, Splits
from keras_imagenet.data.sources.splits import require_validation
from keras_imagenet.data.sources.tfds import open_records, open_tfds
from keras_imagenet.labels import ClassList, require_writable
from keras_imagenet.settings.data import SourceSettings

__all__ = ["Source", "Splits", "left_out_lines", "open_source", "require_validation"]

_OPENERS = {
    "digits": open_digits,
    "arrays": open_arrays,
    "folder": open_folder,
    "csv": open_manifest,
    "records": open_records,
    "tfds": open_tfds,
}


def open_source(settings: SourceSettings) -> Splits:
    """Opens the source that the settings name. Raises DataError if it cannot be used."""
    splits = _OPENERS[settings.name](settings)
    require_writable(ClassList(splits.classes, splits.class_names), "data.source")
    if settings.classes is None:
        require_one_case(splits)
    return splits
