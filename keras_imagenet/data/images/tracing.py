"""Functions that graphs call as one operation."""

import tensorflow as tf

traced_once = tf.function(autograph=False, experimental_attributes={"_noinline": True})
"""Makes a function one operation to the graphs that call it, traced once for all of them.

TensorFlow's executor visits every operation of a branch that is not taken, to mark it as dead; of a function that may not be
inlined it visits one.
"""
