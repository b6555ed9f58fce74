"""The entry functions: what the commands do, and the Python API. TensorFlow starts inside them, as the settings say."""

from keras_imagenet.api.asking import demo, evaluate, export, features, predict
from keras_imagenet.api.looking import benchmark, data, describe, prepare, treatment
from keras_imagenet.api.training import dry_run, find_rate, fit, settings_for, settings_to_look_at, tune

__all__ = [
    "benchmark",
    "data",
    "demo",
    "describe",
    "dry_run",
    "evaluate",
    "export",
    "features",
    "find_rate",
    "fit",
    "predict",
    "prepare",
    "settings_for",
    "settings_to_look_at",
    "treatment",
    "tune",
]
