"""Tars, folders and TensorFlow Datasets to seekable shards: checked, counted, resumable."""

from keras_imagenet.data.prepare.preparation import prepare

__all__ = ["prepare"]
