"""Each rule over 100 steps against an implementation that is not ours, in float64, to 1e-8 of each weight.

torch's and timm's answers are in a golden (`tools/make_rule_golden.py`); Keras' and TensorFlow's are computed here; where
there is no implementation but the source's own script, its lines are written out in NumPy.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from pydantic import TypeAdapter

from keras_imagenet.settings import TrainSettings
from keras_imagenet.settings.optimizer import OptimizerSettings
from keras_imagenet.training import clipping, optimizers, rules

GOLDEN = np.load(Path(__file__).parent.parent / "golden/rules.npz")
KERNEL, BIAS, RATES = GOLDEN["kernel"], GOLDEN["bias"], GOLDEN["rates"]
GRADIENTS = [(g[:24].reshape(6, 4), g[24:]) for g in GOLDEN["gradients"]]
DECAY = 0.02


def settings(**given) -> OptimizerSettings:
    return TypeAdapter(OptimizerSettings).validate_python({"weight_decay": DECAY, **given})


def trained(peak: float | None = None, gradients=GRADIENTS, **given) -> list[np.ndarray]:
    """Kernel and bias after a step at each rate."""
    # A layer before and one behind, for Muon, which leaves the first and the last one alone.
    inputs = keras.Input((2,))
    x = keras.layers.Dense(6, use_bias=False, name="first")(inputs)
    x = keras.layers.Dense(4, name="hidden")(x)
    network = keras.Model(inputs, keras.layers.Dense(2, use_bias=False, name="last")(x))
    optimizer = optimizers.build(settings(**given), network.trainable_variables, peak=peak)
    optimizer = optimizers.Optimizer(
        optimizer.rules[1:3], optimizer.decays[1:3], optimizer.factors[1:3], optimizer.clip_norm
    )
    values = [tf.constant(KERNEL), tf.constant(BIAS)]
    slots = [
        tuple(tf.fill(value.shape, tf.cast(first, tf.float64)) for first in rule.slots.values())
        for rule, value in zip(optimizer.rules, values, strict=True)
    ]
    update = tf.function(optimizer.update)
    for count, (found, rate) in enumerate(zip(gradients, RATES, strict=True), start=1):
        values, slots = update(
            values, [tf.constant(g) for g in found], slots, tf.constant(rate), tf.constant(count, tf.float64)
        )
    return [value.numpy() for value in values]


def assert_close(found: list[np.ndarray], *wanted: np.ndarray) -> None:
    for value, known in zip(found, wanted, strict=True):
        np.testing.assert_allclose(value, known, rtol=1e-8, atol=1e-8 * np.abs(known).max())


@pytest.mark.parametrize(
    ("golden", "given"),
    [
        ("sgd", {"name": "sgd"}),
        ("nesterov", {"name": "sgd", "nesterov": True}),
        ("rmsprop torch", {"name": "rmsprop", "epsilon": 0.0316, "form": "torch"}),
        ("rmsprop tensorflow", {"name": "rmsprop", "epsilon": 0.001, "form": "tensorflow"}),
        ("adamw torch", {"name": "adamw", "beta_1": 0.8, "beta_2": 0.95, "epsilon": 0.01, "form": "torch"}),
        ("lamb", {"name": "lamb", "beta_2": 0.99}),
        ("lars torch", {"name": "lars", "trust_coefficient": 0.02, "form": "torch"}),
        ("lion", {"name": "lion"}),
    ],
)
def test_torchs_and_timms_optimizers(golden: str, given: dict) -> None:
    assert_close(trained(**given), GOLDEN[f"{golden} kernel"], GOLDEN[f"{golden} bias"])


def by_keras(make: Callable[[], keras.optimizers.Optimizer]) -> list[np.ndarray]:
    """Kernel and bias by one of Keras' optimizers; an L2 term in the loss decays the kernel."""
    keras.config.set_floatx("float64")
    try:
        variables = [keras.Variable(KERNEL), keras.Variable(BIAS)]
        optimizer = make()
        optimizer.build(variables)
        for (kernel, bias), rate in zip(GRADIENTS, RATES, strict=True):
            optimizer.learning_rate.assign(rate)
            coupled = 0 if isinstance(optimizer, keras.optimizers.AdamW) else DECAY
            optimizer.apply([tf.constant(kernel) + coupled * variables[0].value, tf.constant(bias)])
        return [variable.numpy() for variable in variables]
    finally:
        keras.config.set_floatx("float32")


def test_kerass_optimizers() -> None:
    """SGD with the rate inside the velocity, RMSprop from mean square 0, Adam with epsilon-hat, AdamW on kernels alone.

    Coefficients are binary fractions: Keras rounds some to float32.
    """
    for nesterov in (False, True):
        given = {"momentum": 0.875, "nesterov": nesterov}
        wanted = by_keras(partial(keras.optimizers.SGD, 0.1, **given))
        assert_close(trained(name="sgd", form="tensorflow", **given), *wanted)
    given = {"rho": 0.75, "momentum": 0.875, "epsilon": 2.0**-9}
    wanted = by_keras(partial(keras.optimizers.RMSprop, 0.1, **given))
    assert_close(trained(name="rmsprop", form="keras", **given), *wanted)
    given = {"beta_1": 0.75, "beta_2": 0.9375, "epsilon": 2.0**-7}
    wanted = by_keras(partial(keras.optimizers.AdamW, 0.1, weight_decay=0.25, **given))[0]
    assert_close(trained(name="adamw", weight_decay=0.25, **given)[:1], wanted)


def test_tensorflow_1s_rmsprop() -> None:
    variables = [tf.Variable(KERNEL), tf.Variable(BIAS)]
    rate = tf.Variable(0.0, dtype=tf.float64)
    optimizer = tf.compat.v1.train.RMSPropOptimizer(lambda: rate, decay=0.75, momentum=0.875, epsilon=2.0**-9)
    for (kernel, bias), value in zip(GRADIENTS, RATES, strict=True):
        rate.assign(value)
        gradients = (tf.constant(kernel) + DECAY * variables[0], tf.constant(bias))
        optimizer.apply_gradients(zip(gradients, variables, strict=True))
    found = trained(name="rmsprop", rho=0.75, momentum=0.875, epsilon=2.0**-9, form="tensorflow")
    assert_close(found, *(variable.numpy() for variable in variables))


@pytest.mark.parametrize("nesterov", [True, False])
def test_lars_has_the_rate_inside_the_momentum(nesterov: bool) -> None:
    """The kernel as timm's Lars has it there; the bias, which is spared, as SGD in TensorFlow's form."""
    kernel, bias = trained(name="lars", trust_coefficient=0.02, nesterov=nesterov)
    plain = trained(name="sgd", form="tensorflow", nesterov=nesterov)[1]
    assert_close([kernel, bias], GOLDEN[f"lars {nesterov}"], plain)


@pytest.mark.parametrize("zero", ["weight", "gradient"])
def test_lars_takes_a_tensor_of_norm_0_as_sgd_does(zero: str) -> None:
    weight, gradient = (tf.constant(0.0 if zero == name else 2.0, shape=[3]) for name in ("weight", "gradient"))
    rule = rules.lars(0.9, False, 0.001, "tensorflow")
    found = rule.update(weight, gradient, (tf.zeros([3]),), 0.5, 1.0, 0.25)[0]
    np.testing.assert_allclose(found, weight - 0.5 * (gradient + 0.25 * weight))


@pytest.mark.parametrize("nesterov", [True, False])
def test_muon_is_torchs(nesterov: bool) -> None:
    gradients = [(kernel * 1e5, bias) for kernel, bias in GRADIENTS]
    found = trained(gradients=gradients, name="muon", nesterov=nesterov)
    assert_close(found[:1], GOLDEN[f"muon {nesterov}"])


def test_muon_takes_a_convolution_s_kernel_for_a_matrix_of_outputs_by_all_else() -> None:
    rule = rules.muon(0.9, nesterov=True, steps=5, form="muon")
    kernel, gradient = np.random.default_rng(0).normal(size=(2, 18, 24))

    def moved(*shape: int) -> np.ndarray:
        weight, own = (tf.constant(values.reshape(shape)) for values in (kernel, gradient))
        return rule.update(weight, own, (tf.zeros_like(own),), 0.1, 1.0, 0.0)[0].numpy().ravel()

    np.testing.assert_allclose(moved(3, 3, 2, 24), moved(18, 24), rtol=1e-12)


def test_muon_of_airbench_and_its_other_weights() -> None:
    """airbench94_muon.py: matrices scaled to the root of their outputs and not decayed; the rest is torch's SGD at a rate of its own."""
    weight, momentum = KERNEL.T, np.zeros_like(KERNEL.T)
    for (gradient, _), rate in zip(GRADIENTS, RATES, strict=True):
        momentum = 0.6 * momentum + gradient.T
        x = gradient.T + 0.6 * momentum
        weight = weight * np.sqrt(len(weight)) / np.linalg.norm(weight)
        x = x / (np.linalg.norm(x) + 1e-7)
        for _ in range(3):
            a = x @ x.T
            x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
        weight = weight - rate * x
    given = {"momentum": 0.6, "newton_schulz_steps": 3, "form": "airbench", "other_rate": 0.06, "other_momentum": 0.85}
    found = trained(name="muon", learning_rate=0.24, **given)
    bias, velocity = BIAS, np.zeros_like(BIAS)
    for (_, gradient), rate in zip(GRADIENTS, RATES, strict=True):
        velocity = 0.85 * velocity + gradient
        bias = bias - rate / 4 * (gradient + 0.85 * velocity)
    assert_close(found, weight.T, bias)


@pytest.mark.parametrize("nesterov", [True, False])
def test_sgdw_decays_by_the_share_of_the_peak_rate(nesterov: bool) -> None:
    """composer's DecoupledSGDW: w *= 1 - rate / initial rate * decay, then torch's SGD without decay."""
    peak, weights = 0.4, [KERNEL, BIAS]
    velocities = [np.zeros_like(value) for value in weights]
    for gradients, rate in zip(GRADIENTS, RATES, strict=True):
        weights[0] = weights[0] * (1 - rate / peak * DECAY)
        velocities = [0.9 * v + g for v, g in zip(velocities, gradients, strict=True)]
        steps = [g + 0.9 * v if nesterov else v for v, g in zip(velocities, gradients, strict=True)]
        weights = [w - rate * step for w, step in zip(weights, steps, strict=True)]
    assert_close(trained(peak, name="sgdw", nesterov=nesterov), *weights)


def test_adams_absolute_decay_is_big_visions() -> None:
    """big_vision/optax.py: step = -schedule (rate adam + decay w), the schedule from 0 to 1; half the rate does not halve it."""
    peak, weight = 0.4, KERNEL
    first, second = np.zeros_like(weight), np.zeros_like(weight)
    for count, ((gradient, _), rate) in enumerate(zip(GRADIENTS, RATES, strict=True), start=1):
        first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient**2
        adam = first / (1 - 0.9**count) / (np.sqrt(second / (1 - 0.999**count)) + 1e-8)
        weight = weight - rate / peak * (peak * 0.5 * adam + DECAY * weight)
    given = {"form": "torch", "decay": "by_schedule", "rate_factors": {"hidden": 0.5}}
    assert_close(trained(peak, name="adamw", **given)[:1], weight)


def test_the_step_s_matrix_is_nearly_orthogonal() -> None:
    """Singular values between 0.6 and 1.3 after five iterations, whichever side is longer."""
    for shape in ((30, 8), (8, 30)):
        values = np.linalg.svd(rules.orthogonal(tf.constant(np.random.default_rng(0).normal(size=shape)), 5))[1]
        assert 0.6 < values.min() < values.max() < 1.3


def test_gradients_are_clipped_adaptively_as_by_timm() -> None:
    """Units along a kernel's last axis, depthwise kernels' along their channels, vectors whole; the head's are left alone."""
    names = ("conv", "depthwise", "dense", "bias", "conv")
    weights, gradients, wanted = (
        [GOLDEN[f"clip {name} {of}"] for name in names] for of in ("weight", "gradient", "clipped")
    )
    variables = [keras.Variable(weight, name=f"weight{number}") for number, weight in enumerate(weights)]
    clip = clipping.build(TrainSettings(clip_adaptive=0.02), variables)
    found = clip([tf.constant(value) for value in weights], [tf.constant(value) for value in gradients])
    for value, known in zip(found, (*wanted[:-1], gradients[-1]), strict=True):
        np.testing.assert_allclose(value, known, rtol=1e-10)
    assert not np.allclose(wanted[0], gradients[0])


def test_a_gradient_within_its_bound_is_left_alone_and_a_layer_scale_is_clipped_as_the_vector_that_it_is() -> None:
    """The bound of a weight of norm 5 is 0.1 here, of one of norm 0 it is 0.02 times 0.001."""
    weights = [np.array([3.0, 4.0]), np.array([3.0, 4.0]), np.array([[[[3.0, 4.0]]]]), np.zeros(2)]
    gradients = [np.array([0.06, 0.07]), np.array([6.0, 8.0]), np.array([[[[8.0, 6.0]]]]), np.array([0.6, 0.8])]
    found = clipping.adaptively(
        [tf.constant(value) for value in weights], [tf.constant(value) for value in gradients], 0.02, [False] * 4
    )
    wanted = ([0.06, 0.07], [0.06, 0.08], [[[[0.08, 0.06]]]], [1.2e-5, 1.6e-5])
    for value, known in zip(found, wanted, strict=True):
        np.testing.assert_allclose(value, known, rtol=1e-12)


def test_gradients_are_clipped_by_value() -> None:
    clip = clipping.build(TrainSettings(clip_value=0.5), [])
    np.testing.assert_array_equal(clip([], [tf.constant([-2.0, 0.25, 0.75])])[0], [-0.5, 0.25, 0.5])
