"""The network of a run that was ended where it stood, out of its last checkpoint."""

from __future__ import annotations

import keras

from keras_imagenet.models import assembly
from keras_imagenet.run_folder import RunFolder
from keras_imagenet.training import checkpoints


def network(folder: RunFolder) -> tuple[keras.Model, str]:
    """The network at evaluation's size with the weights that the run would leave now, and which those are, in words.

    Raises DataError where the checkpoint is damaged or does not fit.
    """
    settings, path = folder.settings, checkpoints.latest(folder.checkpoints)
    built = assembly.fresh(settings, folder.preset.evaluation.input_shape, len(folder.classes.identifiers))
    step, best = checkpoints.give(path, built, settings.train.keep)
    last = "the average of its" if settings.train.keep == "average" else "its last"
    which = f"the best so far, of epoch {best}," if best else last
    return built, f"{folder.path}: not finished; these are {which} weights, from step {step:,}"
