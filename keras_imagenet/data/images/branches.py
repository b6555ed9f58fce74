"""Conditions whose untaken branch costs next to nothing."""

from collections.abc import Callable

import tensorflow as tf


def apart(branch: Callable) -> Callable:
    """A branch of tf.cond or tf.switch_case as a function of its own.

    TensorFlow's executor visits every operation of a branch that is not taken, to mark it as dead; a function that may not
    be inlined is one operation to it. For branches of many operations, once an image.
    """
    if tf.executing_eagerly():
        return branch
    return tf.function(branch, autograph=False, experimental_attributes={"_noinline": True})
