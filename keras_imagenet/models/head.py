"""The last layer of a network, and what it is given."""

import keras

from keras_imagenet.errors import SettingsError


def dense_head(network: keras.Model) -> keras.layers.Dense:
    """The layer `logits`. Raises SettingsError where the answers are not those of one dense layer with biases."""
    head = next((layer for layer in network.layers if layer.name == "logits"), None)
    if not isinstance(head, keras.layers.Dense) or head.output is not network.output or not head.use_bias:
        raise SettingsError(f"{network.name}: its answers are not those of one dense layer")
    return head


def before_head(network: keras.Model) -> keras.Model:
    """From normalised images to the features that the last layer makes logits of, [n, features].

    Raises SettingsError where the answers are not those of one dense layer.
    """
    return keras.Model(network.input, dense_head(network).input)
