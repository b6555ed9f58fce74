"""Gradient checkpointing changes the memory of a step and nothing else."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_imagenet import recipes, runtime
from keras_imagenet.errors import SettingsError
from keras_imagenet.models import resnet, vit
from keras_imagenet.training import fused_norm, recomputation
from keras_imagenet.training.recomputation import Forward

NETWORKS = {
    "resnet": (resnet, resnet.ResNet((2, 2), width=8), {"stochastic_depth": 0.3}, 32),
    # Beside the one tensor between blocks go the ones that learned positions and layer scales are made from.
    "vit": (vit, vit.ViT(8, 4, 2), {"stochastic_depth": 0.5, "dropout": 0.3, "layer_scale": 0.5}, 48),
}


def _built(family: str) -> keras.Model:
    module, variant, options, size = NETWORKS[family]
    keras.utils.set_random_seed(0)
    return module.build(variant, input_shape=(size, size, 3), classes=5, **options)


def _step(network: keras.Model, forward: Forward) -> tuple[np.ndarray, list[np.ndarray]]:
    """Logits and gradients of a second step, in a graph, as training takes it."""
    images = np.random.default_rng(0).normal(size=(8, *network.input_shape[1:])).astype("float32")
    targets = np.random.default_rng(1).normal(size=(8, 5)).astype("float32")

    @tf.function
    def step():
        weights = [tf.convert_to_tensor(variable.value) for variable in network.trainable_variables]
        rest = [tf.convert_to_tensor(variable.value) for variable in network.non_trainable_variables]
        with tf.GradientTape() as tape:
            tape.watch(weights)
            logits, after = forward(weights, rest, tf.constant(images))
            loss = tf.reduce_sum(logits * targets)
        for variable, value in zip(network.non_trainable_variables, after, strict=True):
            variable.assign(value)
        return logits, tape.gradient(loss, weights)

    step()
    logits, gradients = step()
    return logits.numpy(), [np.asarray(gradient) for gradient in gradients]


def _plain(network: keras.Model) -> Forward:
    return lambda weights, rest, images: network.stateless_call(weights, rest, images, training=True)


@pytest.mark.parametrize(
    ("family", "precision"), [("resnet", "float32"), ("resnet", "mixed_bfloat16"), ("vit", "float32")]
)
def test_gradients_statistics_and_masks_are_those_of_the_plain_step(family: str, precision: str) -> None:
    """Two steps, so that statistics and seeds that moved twice, or not at all, would show in the second's logits."""
    keras.config.set_dtype_policy(precision)
    try:
        plain, saving = _built(family), _built(family)
    finally:
        keras.config.set_dtype_policy("float32")
    for network in (plain, saving):
        fused_norm.fuse(network)
    before = [variable.numpy() for variable in saving.non_trainable_variables]
    logits, gradients = _step(plain, _plain(plain))
    recomputed, again = _step(saving, recomputation.checkpointed(saving))
    assert len(recomputation.segments(saving)) > 1
    # Half precision rounds what the two graphs fuse differently: 2**-8 of the largest.
    tolerance = 1e-5 if precision == "float32" else 2**-6
    np.testing.assert_allclose(recomputed, logits, atol=tolerance * np.abs(logits).max())
    for one, other, variable in zip(gradients, again, saving.trainable_variables, strict=True):
        np.testing.assert_allclose(other, one, atol=tolerance * max(np.abs(one).max(), 1e-3), err_msg=variable.path)
    moved = 0
    for one, other, first in zip(plain.non_trainable_variables, saving.non_trainable_variables, before, strict=True):
        np.testing.assert_allclose(other.numpy(), one.numpy(), rtol=1e-4, atol=1e-5, err_msg=other.path)
        moved += not np.array_equal(first, other.numpy())
    assert moved == len(before) > 0


def test_frozen_layers_stay_as_they_are() -> None:
    network = _built("resnet")
    for layer in network.layers[: len(network.layers) // 2]:
        layer.trainable = False
    frozen = [variable for layer in network.layers if not layer.trainable for variable in layer.weights]
    before = [variable.numpy() for variable in frozen]
    _, gradients = _step(network, recomputation.checkpointed(network))
    assert all(np.any(gradient) for gradient in gradients)
    for variable, value in zip(frozen, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)


@pytest.mark.slow
def test_replicas_and_whole_runs_end_with_the_same_weights(command, tmp_path: Path) -> None:
    """Two logical CPUs, batch norm, five steps: model.keras with and without."""
    words = ["--model.name", "resnet20_cifar", "--data.size", "32", "--runtime.logical_cpus", "2", "--train.steps", "5"]
    runs = {value: tmp_path / value for value in ("false", "true")}
    for value, folder in runs.items():
        done = command("fit", *words, "--train.gradient_checkpointing", value, "--runtime.run_folder", folder)
        assert done.returncode == 0, done.stderr
        assert ("computed twice" in done.stdout + done.stderr) == (value == "true")
    plain, saving = (keras.saving.load_model(folder / "model.keras").weights for folder in runs.values())
    for one, other in zip(plain, saving, strict=True):
        np.testing.assert_allclose(other.numpy(), one.numpy(), atol=1e-4, err_msg=one.path)


def test_xla_is_refused_and_auto_leaves_it_out() -> None:
    flags = [("train.gradient_checkpointing", "true"), ("runtime.xla", "true")]
    with pytest.raises(SettingsError, match=r"gradient_checkpointing does not go together with runtime\.xla") as raised:
        recipes.load("digits/simple_cnn", flags)
    assert "\n" not in str(raised.value)
    assert not runtime.compiled(recipes.load("digits/simple_cnn", flags[:1]), communicates=False).on


def test_segments_end_where_one_tensor_carries_the_image() -> None:
    """In a residual network that is behind a block, not inside."""
    segments = recomputation.segments(_built("resnet"))
    assert all(len(segment.outputs) == 1 for segment in segments)
    names = [segment.nodes[-1].operation.name for segment in segments]
    assert names[-1] == "logits"
    assert any(name.endswith("_out") for name in names)
    assert not any("_block" in name and not name.endswith(("_add", "_out")) for name in names), names
