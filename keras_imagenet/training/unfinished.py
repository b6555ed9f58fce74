"""The network of a run that was ended where it stood, out of its last checkpoint."""

from __future__ import annotations

import keras

from keras_imagenet.models import registry
from keras_imagenet.run_folder import RunFolder
from keras_imagenet.training import checkpoints


def network(folder: RunFolder) -> tuple[keras.Model, str]:
    """The network at evaluation's size with the weights that the run would leave now, and which those are, in words.

    Raises DataError where the checkpoint is damaged or does not fit.
    """
    settings, path = folder.settings, checkpoints.latest(folder.checkpoints)
    built = registry.build(
        settings.model.name,
        input_shape=folder.preset.evaluation.input_shape,
        classes=len(folder.classes.identifiers),
        **settings.model.options,
    )
    step, best = checkpoints.give(path, built)
    which = f"the best so far, of epoch {best}," if best else "its last"
    return built, f"{folder.path}: not finished; these are {which} weights, from step {step:,}"
