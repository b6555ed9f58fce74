"""From photographs to a served classifier. The commands' entry functions are also the Python API."""

import os
from typing import TYPE_CHECKING, Any

# Whoever imports Keras after this package gets it on TensorFlow, which all of this is written for.
os.environ.update(KERAS_BACKEND="tensorflow", KERAS_NNX_ENABLED="0", TF_USE_LEGACY_KERAS="0")

if TYPE_CHECKING:
    from keras_imagenet.api import evaluate, export, features, find_rate, fit, predict, tune
    from keras_imagenet.recipes import load

__version__ = "0.1.0"
__all__ = ["evaluate", "export", "features", "find_rate", "fit", "load", "predict", "tune"]


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for: help needs neither settings nor TensorFlow."""
    if name == "load":
        from keras_imagenet.recipes import load

        return load
    if name in __all__:
        from keras_imagenet import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
