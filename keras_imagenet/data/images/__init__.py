"""Encoded bytes to crops, in TensorFlow operations: one graph for training's end, evaluation and the SavedModel."""

from keras_imagenet.data.images.crops import evaluation_crop, random_resized_crop
from keras_imagenet.data.images.declared import MAXIMUM_PIXELS
from keras_imagenet.data.images.decoding import decode
from keras_imagenet.data.images.faults import fault

__all__ = ["MAXIMUM_PIXELS", "decode", "evaluation_crop", "fault", "random_resized_crop"]
