"""From photographs to a served classifier. The commands' entry functions are also the Python API."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras_imagenet.api import evaluate, export, fit, predict
    from keras_imagenet.recipes import load

__version__ = "0.1.0"
__all__ = ["evaluate", "export", "fit", "load", "predict"]


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for: help needs neither settings nor TensorFlow."""
    if name == "load":
        from keras_imagenet.recipes import load

        return load
    if name in __all__:
        from keras_imagenet import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
