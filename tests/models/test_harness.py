"""What every network must do, over the registry: a tiny variant of each family, so that all of it runs in seconds."""

from __future__ import annotations

import functools
from dataclasses import replace
from importlib import import_module

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_imagenet.models import (
    efficientnet_v2,
    folding,
    inception_v3,
    mnasnet,
    mobilenet_v3,
    mobilenet_v4,
    registry,
    regnet,
)

CLASSES = 5


def _tiny(family: str, name: str, **changes):
    return replace(import_module(f"keras_imagenet.models.{family}").VARIANTS[name], **changes)


# A variant of depth 1 and width 8, and the size of its images: 32, or the family's least.
TINY = {
    "simple_cnn": (_tiny("simple_cnn", "simple_cnn", filters=(8, 8), units=16), 32),
    "cifar_net": (_tiny("cifar_net", "cifar_net", stem=8, filters=(8, 16)), 32),
    "airbench": (_tiny("airbench", "airbench94", filters=(8, 16, 16)), 32),
    "alexnet": (_tiny("alexnet", "alexnet", filters=(8, 8, 8, 8, 8), units=16), 63),
    "vgg": (_tiny("vgg", "vgg11_bn", depths=(1, 1), filters=(8, 8), units=16), 32),
    "squeezenet": (_tiny("squeezenet", "squeezenet1_1", stem_width=8, stages=(((4, 8),),)), 32),
    "resnet": (_tiny("resnet", "resnetrs50", depths=(1, 1), width=8), 32),
    "resnet_v2": (_tiny("resnet_v2", "resnetv2_50", depths=(1, 1), width=8, stem_width=8), 32),
    "densenet": (_tiny("densenet", "densenet121", depths=(1, 1), growth=8, stem_width=8), 32),
    "mnasnet": (
        _tiny(
            "mnasnet",
            "mnasnet_a1",
            stem=8,
            stages=(mnasnet.Stage(1, 3, 1, 8, 1), mnasnet.Stage(2, 5, 2, 8, 2, squeeze_excite=True)),
            head=16,
        ),
        32,
    ),
    "mobilenet_v1": (_tiny("mobilenet_v1", "mobilenetv1_100", stem_width=8, stages=((8, 1), (16, 1))), 32),
    "mobilenet_v2": (_tiny("mobilenet_v2", "mobilenet_v2", stem=8, stages=((1, 8, 1, 1), (2, 8, 2, 2)), head=16), 32),
    "mobilenet_v3": (
        _tiny(
            "mobilenet_v3",
            "mobilenet_v3_small",
            stem=8,
            stages=(
                (mobilenet_v3.Block(3, 8, 8, True, "relu", 2), mobilenet_v3.Block(5, 16, 8, True, "hard_silu", 1)),
            ),
            last=16,
            head=16,
        ),
        32,
    ),
    "mobilenet_v4": (
        _tiny(
            "mobilenet_v4",
            "mobilenetv4_conv_small",
            stem=8,
            stages=(
                (
                    mobilenet_v4.Fused(3, 8, 2, 2),
                    mobilenet_v4.Universal(3, 5, 16, 2, 2),
                    mobilenet_v4.Universal(0, 3, 16, 2),
                ),
                (mobilenet_v4.Conv(1, 16),),
            ),
            head=16,
        ),
        32,
    ),
    "efficientnet": (
        _tiny("efficientnet", "efficientnet_b0", width=0.25, stages=((1, 3, 1, 8, 1), (2, 3, 2, 8, 2))),
        32,
    ),
    "efficientnet_v2": (
        _tiny(
            "efficientnet_v2",
            "tf_efficientnetv2_b0",
            stem=8,
            stages=(
                efficientnet_v2.Stage(True, 1, 1, 8, 1),
                efficientnet_v2.Stage(True, 2, 2, 8, 2),
                efficientnet_v2.Stage(False, 2, 2, 8, 2),
            ),
        ),
        32,
    ),
    "shufflenet_v2": (
        _tiny("shufflenet_v2", "shufflenet_v2_x0_5", filters=(8, 16), depths=(2, 1), stem=8, head=16),
        32,
    ),
    "regnet": (regnet.RegNet(2, 8, 8.0, 2.0, 8, squeeze_excite=True, stem=8), 32),
    "convnext": (_tiny("convnext", "convnext_tiny", depths=(1, 1, 1, 2), widths=(8, 8, 8, 16)), 32),
    "googlenet": (_tiny("googlenet", "googlenet", stem=(8, 8, 8), stages=(((4, 3, 4, 2, 4, 4),),)), 32),
    "inception_v3": (
        _tiny(
            "inception_v3",
            "inception_v3",
            stem=(4, 4, 4, 4, 8),
            stages=(
                (
                    inception_v3.Block((((4, 1, 1),), ((4, 1, 1),)), 4, {2: ((4, 1, 3), (4, 3, 1))}),
                    inception_v3.Block((((8, 3, 3),),), 0),
                ),
            ),
        ),
        75,
    ),
    "xception": (_tiny("xception", "xception", stem=(4, 8), blocks=((16, 16), (16, 16)), head=(16, 16)), 32),
    "mlp_mixer": (_tiny("mlp_mixer", "mixer_s16_224", width=8, depth=2, positions_hidden=8, channels_hidden=16), 32),
    # Two windows a side in the first stage, one in the second.
    "swin": (_tiny("swin", "swin_t", width=8, depths=(2, 1), heads=(2, 2), window=4), 32),
    "swin_v2": (_tiny("swin_v2", "swin_v2_t", width=8, depths=(2, 1), heads=(2, 2), window=4), 32),
    "vit": (_tiny("vit", "vit_tiny_patch16_224", width=8, depth=2, heads=2), 32),
}

every_family = pytest.mark.parametrize("family", sorted(TINY))


@pytest.fixture(autouse=True)
def _seed():
    keras.utils.set_random_seed(0)


@functools.cache
def plain(family: str) -> keras.Model:
    """The tiny variant with its family's defaults; tests may run it, not change it."""
    return build(family)


def build(family: str, *, size: int | None = None, channels: int = 3, classes: int = CLASSES, **options):
    variant, least = TINY[family]
    module = import_module(f"keras_imagenet.models.{family}")
    return module.build(variant, input_shape=(size or least, size or least, channels), classes=classes, **options)


def images(network, count: int = 4) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(count, *network.input_shape[1:])).astype("float32")


def test_every_family_of_the_catalogue_is_here():
    assert {record.family for record in registry.catalogue().values()} == set(TINY)


@every_family
def test_logits_are_finite_float32_and_every_trainable_weight_gets_a_gradient(family):
    network = plain(family)
    with tf.GradientTape() as tape:
        logits = network(images(network, 16), training=True)
        loss = tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(np.arange(16) % CLASSES, logits, True))
    assert logits.dtype == "float32"
    assert logits.shape == (16, CLASSES)
    assert np.isfinite(logits).all()
    gradients = tape.gradient(loss, [weight.value for weight in network.trainable_weights])
    without = [
        weight.path
        for weight, gradient in zip(network.trainable_weights, gradients, strict=True)
        if gradient is None or not np.any(gradient)
    ]
    assert without == []


@every_family
def test_a_saved_network_loads_with_keras_alone_and_gives_the_same_logits(family, tmp_path):
    network = plain(family)
    network.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    x = images(network)
    np.testing.assert_array_equal(network(x, training=False), loaded(x, training=False))
    assert [layer.name for layer in loaded.layers] == [layer.name for layer in network.layers]


@every_family
def test_layer_names_do_not_depend_on_what_was_built_before(family):
    assert [layer.name for layer in plain(family).layers] == [layer.name for layer in build(family).layers]


@every_family
def test_an_exported_network_answers_alike(family, tmp_path):
    network = plain(family)
    x = images(network)
    module = tf.Module()
    module.variables_of_network = [variable.value for variable in network.variables]
    signature = [tf.TensorSpec(network.input_shape, tf.float32)]
    module.serve = tf.function(lambda x: network(x, training=False), input_signature=signature)
    tf.saved_model.save(module, tmp_path / "saved_model")
    exported = tf.saved_model.load(tmp_path / "saved_model")
    np.testing.assert_allclose(exported.serve(tf.constant(x)), network(x, training=False), atol=1e-5)


@every_family
def test_folded_norms_answer_as_the_network_does(family):
    network = plain(family)
    x = tf.constant(images(network))
    np.testing.assert_allclose(folding.inference(network)(x), network(x, training=False), rtol=1e-4, atol=1e-5)


@every_family
def test_logits_are_float32_in_mixed_precision(family):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        network = build(family)
        outputs = network(images(network), training=True)
    finally:
        keras.config.set_dtype_policy("float32")
    assert outputs.dtype == "float32"
    assert np.isfinite(outputs).all()


@every_family
def test_odd_sizes_and_other_channels(family):
    variant, least = TINY[family]
    step = getattr(variant, "patch_size", 1)  # an odd number of patches, where there are any
    for size, channels in ((least + step * (1 + least % 2), 1), (least + 7 * step, 4)):
        network = build(family, size=size, channels=channels)
        assert network(images(network), training=False).shape == (4, CLASSES)


@every_family
def test_no_classes_gives_pooled_features_in_float32(family):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        network = build(family, classes=0)
        features = network(images(network), training=False)
    finally:
        keras.config.set_dtype_policy("float32")
    assert features.dtype == "float32"
    assert features.shape == (4, network.output_shape[1])
    assert network.output_shape[1] > CLASSES
    assert "logits" not in [layer.name for layer in network.layers]


@every_family
def test_dropout_and_stochastic_depth_act_in_training_only(family):
    accepted = registry.options_of(import_module(f"keras_imagenet.models.{family}").build)
    for option in sorted({"dropout", "stochastic_depth"} & accepted):
        keras.utils.set_random_seed(0)
        # What else is random is off.
        others = dict.fromkeys({"dropout", "stochastic_depth"} & accepted - {option}, 0.0)
        # Nor does a layer scale near zero hide it.
        others |= dict.fromkeys({"layer_scale"} & accepted, 1.0)
        network = build(family, **others, **{option: 0.5})
        x = np.repeat(images(network, 1), 32, axis=0)
        trained, inferred = (np.asarray(network(x, training=training)) for training in (True, False))
        assert np.ptp(trained, axis=0).max() > 1e-6, f"{option} changes no example's logits"
        assert np.ptp(inferred, axis=0).max() < 1e-5


@every_family
def test_batch_norm_options_reach_every_norm(family):
    if "batch_norm" not in registry.options_of(import_module(f"keras_imagenet.models.{family}").build):
        pytest.skip("the family has no batch norm")
    network = build(family, batch_norm={"momentum": 0.5, "epsilon": 0.25, "synchronized": True})
    norms = [layer for layer in network.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert norms
    assert {(norm.momentum, norm.epsilon, norm.synchronized) for norm in norms} == {(0.5, 0.25, True)}


@every_family
def test_head_bias_is_what_the_last_biases_start_at(family):
    if "head_bias" not in registry.options_of(import_module(f"keras_imagenet.models.{family}").build):
        pytest.skip("the family's last layer has no biases")
    network = build(family, head_bias=3.0)
    last = [layer for layer in network.layers if layer.weights][-1]
    assert last.bias.shape == (CLASSES,)
    np.testing.assert_array_equal(last.bias, 3.0)
