"""Optimizers against their formulas, written out in NumPy."""

import keras
import numpy as np
import pytest

from keras_imagenet.models import mlp_mixer, swin, vit
from keras_imagenet.settings.training import AdamSettings, SGDSettings
from keras_imagenet.training import optimizers


def weights() -> tuple[keras.Variable, keras.Variable]:
    return keras.Variable([[1.0, -2.0], [0.5, 2.0]], name="kernel"), keras.Variable([3.0, 4.0], name="bias")


def descend(optimizer: keras.Optimizer, variables, rates) -> list[np.ndarray]:
    for step, rate in enumerate(rates):
        optimizer.learning_rate.assign(rate)
        gradients = [np.full(variable.shape, 0.5 + step, np.float32) for variable in variables]
        optimizer.apply([keras.ops.convert_to_tensor(gradient) for gradient in gradients], variables)
    return [variable.numpy() for variable in variables]


@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd_keeps_the_rate_out_of_the_velocity_and_the_decay_in_the_gradient(nesterov: bool) -> None:
    """The rate changes between steps, where Keras' own SGD and torch's part ways."""
    variables = weights()
    settings = SGDSettings(momentum=0.9, nesterov=nesterov, weight_decay=0.01)
    found = descend(optimizers.build(settings, variables), variables, rates := [0.1, 0.01, 0.2])
    for value, start, decay in zip(found, ([[1.0, -2.0], [0.5, 2.0]], [3.0, 4.0]), (0.01, 0.0), strict=True):
        w, v = np.array(start), 0.0
        for step, rate in enumerate(rates):
            g = 0.5 + step + decay * w
            v = 0.9 * v + g
            w = w - rate * (g + 0.9 * v if nesterov else v)
        np.testing.assert_allclose(value, w, rtol=1e-6)


def test_adamw_decays_kernels_by_rate_times_weight_decay_and_spares_biases() -> None:
    variables = weights()
    optimizer = optimizers.build(AdamSettings(name="adamw", weight_decay=0.1), variables)
    optimizer.learning_rate.assign(0.01)
    optimizer.apply([keras.ops.zeros_like(variable) for variable in variables], variables)
    np.testing.assert_allclose(variables[0].numpy(), np.array([[1.0, -2.0], [0.5, 2.0]]) * (1 - 0.01 * 0.1), rtol=1e-6)
    np.testing.assert_array_equal(variables[1].numpy(), [3.0, 4.0])


def test_decay_norm_and_bias_spares_nothing() -> None:
    assert len(optimizers.spared(weights(), SGDSettings())) == 1
    assert optimizers.spared(weights(), SGDSettings(decay_norm_and_bias=True)) == []


def test_layer_scales_are_spared_like_biases() -> None:
    """ConvNeXt's and DeiT's factors on residual branches, [1, 1, 1, channels] here."""
    scale = keras.Variable(np.ones((1, 1, 1, 8)), name="scale")
    assert optimizers.spared([scale], SGDSettings()) == [scale]


@pytest.mark.parametrize(
    ("module", "variant", "names"),
    [
        (vit, vit.ViT(8, 1, 2, distilled=True), {"class_token", "distillation_token", "positions"}),
        (swin, swin.Swin(8, (1, 1), (2, 2), 0.0, window=4), {"stage1_block1_positions", "stage2_block1_positions"}),
        # Its linear maps over positions are no embeddings.
        (mlp_mixer, mlp_mixer.MLPMixer(8, 1, 16, 8, 8), set()),
    ],
)
def test_positions_and_tokens_are_spared_unless_asked_for(module, variant, names: set[str]) -> None:
    """As in timm's and torchvision's recipes of DeiT and Swin."""
    network = module.build(variant, input_shape=(32, 32, 3), classes=5)
    with_them, without = (
        {variable.path.partition("/")[0] for variable in optimizers.spared(network.trainable_variables, settings)}
        for settings in (SGDSettings(), SGDSettings(decay_embeddings=True))
    )
    assert with_them - without == names
    assert "norm" in without
    every = SGDSettings(decay_embeddings=True, decay_norm_and_bias=True)
    assert optimizers.spared(network.trainable_variables, every) == []


def test_clipping_scales_all_gradients_together_before_the_decay() -> None:
    variables = weights()
    settings = SGDSettings(learning_rate=1.0, momentum=0.0)
    found = descend(optimizers.build(settings, variables, clip_norm=0.5), variables, [1.0])
    # Six entries of 0.5 have norm sqrt(1.5), which becomes 0.5.
    np.testing.assert_allclose(found[1], np.array([3.0, 4.0]) - 0.25 / np.sqrt(1.5), rtol=1e-6)


@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_rate_factors_slow_a_variable_s_steps(name: str) -> None:
    """Ten steps at a tenth of the rate, where the gradient stays the same and nothing decays."""
    found = {}
    for factor in (1.0, 0.1):
        variables = weights()
        settings = SGDSettings(momentum=0.0) if name == "sgd" else AdamSettings(name="adam")
        factors = {variable.path: factor if variable.name == "kernel" else 1.0 for variable in variables}
        optimizer = optimizers.build(settings, variables, rate_factors=factors)
        optimizer.learning_rate.assign(0.01)
        optimizer.apply([keras.ops.ones_like(variable) for variable in variables], variables)
        found[factor] = [
            start - variable.numpy()
            for start, variable in zip(([[1.0, -2.0], [0.5, 2.0]], [3.0, 4.0]), variables, strict=True)
        ]
    np.testing.assert_allclose(found[0.1][0] * 10, found[1.0][0], rtol=1e-4)
    np.testing.assert_array_equal(found[0.1][1], found[1.0][1])


def test_rate_factors_slow_adamw_s_decay_too() -> None:
    """A layer at a tenth of the rate is decayed by a tenth (arXiv:2106.08254 as timm trains it); biases by nothing."""
    variables = weights()
    factors = {variable.path: 0.1 for variable in variables}
    settings = AdamSettings(name="adamw", weight_decay=0.5)
    optimizer = optimizers.build(settings, variables, rate_factors=factors)
    optimizer.learning_rate.assign(0.01)
    optimizer.apply([keras.ops.zeros_like(variable) for variable in variables], variables)
    decayed = np.array([[1.0, -2.0], [0.5, 2.0]]) * (1 - 0.1 * 0.01 * 0.5)
    np.testing.assert_allclose(variables[0].numpy(), decayed, rtol=1e-6)
    np.testing.assert_array_equal(variables[1].numpy(), [3.0, 4.0])


def test_rate_factors_of_one_change_nothing() -> None:
    """Adam's moments, decay and clipping come to the same numbers as without factors."""
    found = {}
    for factors in (None, 1.0):
        variables = weights()
        by_path = factors and {variable.path: factors for variable in variables}
        settings = AdamSettings(name="adamw", weight_decay=0.5)
        optimizer = optimizers.build(settings, variables, clip_norm=1.0, rate_factors=by_path)
        found[factors] = descend(optimizer, variables, [0.1, 0.01])
    for plain, slowed in zip(found[None], found[1.0], strict=True):
        np.testing.assert_allclose(slowed, plain, rtol=1e-6)
