"""Encoded bytes to crops: for training's end, evaluation and prediction together, and the same pixels for the SavedModel."""

from keras_imagenet.data.images.crops import evaluation_crops, random_resized_crops, servable_evaluation_crop
from keras_imagenet.data.images.declared import MAXIMUM_PIXELS
from keras_imagenet.data.images.decoding import decode
from keras_imagenet.data.images.faults import fault
from keras_imagenet.data.images.oddities import oddity

__all__ = [
    "MAXIMUM_PIXELS",
    "decode",
    "evaluation_crops",
    "fault",
    "oddity",
    "random_resized_crops",
    "servable_evaluation_crop",
]
