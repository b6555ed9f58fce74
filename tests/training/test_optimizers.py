"""Optimizers against their formulas, written out in NumPy, in float64."""

from collections.abc import Sequence

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_imagenet.errors import SettingsError
from keras_imagenet.models import mlp_mixer, swin, vit
from keras_imagenet.preset import Preset
from keras_imagenet.settings import TrainSettings
from keras_imagenet.settings.optimizer import AdamSettings, MuonSettings, SGDSettings
from keras_imagenet.training import clipping, objectives, optimizers, step
from keras_imagenet.training import state as states
from keras_imagenet.training.optimizers import Optimizer

KERNEL, BIAS = np.array([[1.0, -2.0], [0.5, 2.0]]), np.array([3.0, 4.0])
RATES = (0.1, 0.01, 0.2, 0.05)


def weights() -> tuple[keras.Variable, keras.Variable]:
    return keras.Variable(KERNEL, name="kernel"), keras.Variable(BIAS, name="bias")


def gradient_of(number: int, shape: Sequence[int]) -> np.ndarray:
    """That of update `number`, from 0: of both signs, and of another size each time."""
    return np.random.default_rng(number).normal(0.5, 1 + number, size=shape)


def descend(optimizer: Optimizer, rates: Sequence[float] = RATES, gradients=gradient_of) -> list[np.ndarray]:
    """Kernel and bias after an update at each rate."""
    values = [tf.constant(KERNEL), tf.constant(BIAS)]
    slots = [
        tuple(tf.fill(value.shape, tf.cast(first, value.dtype)) for first in rule.slots.values())
        for rule, value in zip(optimizer.rules, values, strict=True)
    ]
    for number, rate in enumerate(rates):
        found = [tf.constant(gradients(number, value.shape)) for value in values]
        values, slots = optimizer.update(values, found, slots, tf.constant(rate), tf.constant(number + 1))
    return [value.numpy() for value in values]


@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd_keeps_the_rate_out_of_the_velocity_and_the_decay_in_the_gradient(nesterov: bool) -> None:
    """torch.optim.SGD, spelled out. The rate changes between steps, where Keras' own SGD and torch's part ways."""
    settings = SGDSettings(momentum=0.9, nesterov=nesterov, weight_decay=0.01)
    found = descend(optimizers.build(settings, weights()))
    for value, w, decay in zip(found, (KERNEL, BIAS), (0.01, 0.0), strict=True):
        v = np.zeros_like(w)
        for number, rate in enumerate(RATES):
            g = gradient_of(number, w.shape) + decay * w
            v = 0.9 * v + g
            w = w - rate * (g + 0.9 * v if nesterov else v)
        np.testing.assert_allclose(value, w, rtol=1e-6)


@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_adamw_is_keras_form_which_is_torch_s_with_another_epsilon(decay: float) -> None:
    """Epsilon stands inside the bias correction: beside the corrected root it is epsilon / sqrt(1 - beta_2 ** t)."""
    beta_1, beta_2, epsilon = 0.8, 0.95, 0.1
    settings = AdamSettings(name="adamw", beta_1=beta_1, beta_2=beta_2, epsilon=epsilon, weight_decay=decay)
    found = descend(optimizers.build(settings, weights()))
    for value, start, own in zip(found, (KERNEL, BIAS), (decay, 0.0), strict=True):
        ours = theirs = start
        m, v = np.zeros_like(start), np.zeros_like(start)
        for t, rate in enumerate(RATES, start=1):
            g = gradient_of(t - 1, start.shape)
            m, v = beta_1 * m + (1 - beta_1) * g, beta_2 * v + (1 - beta_2) * g**2
            corrected = rate * np.sqrt(1 - beta_2**t) / (1 - beta_1**t)
            ours = ours * (1 - rate * own) - corrected * m / (np.sqrt(v) + epsilon)
            theirs = theirs * (1 - rate * own)  # as torch.optim.AdamW writes it
            root = np.sqrt(v / (1 - beta_2**t)) + epsilon / np.sqrt(1 - beta_2**t)
            theirs = theirs - rate * (m / (1 - beta_1**t)) / root
        np.testing.assert_allclose(value, ours, rtol=1e-6)
        np.testing.assert_allclose(value, theirs, rtol=1e-6)


def test_adamw_decays_kernels_by_rate_times_weight_decay_and_spares_biases() -> None:
    optimizer = optimizers.build(AdamSettings(name="adamw", weight_decay=0.1), weights())
    kernel, bias = descend(optimizer, [0.01], lambda number, shape: np.zeros(shape))
    np.testing.assert_allclose(kernel, KERNEL * (1 - 0.01 * 0.1), rtol=1e-6)
    np.testing.assert_array_equal(bias, BIAS)


def spared(variables: Sequence[keras.Variable], spare: Sequence[str] = SGDSettings().spare) -> list[keras.Variable]:
    decays = optimizers.build(SGDSettings(weight_decay=1, spare=tuple(spare)), variables).decays
    return [variable for variable, decay in zip(variables, decays, strict=True) if not decay]


def test_spare_names_kinds_layers_and_variables() -> None:
    """Of what the default spares, a list takes back what it does not name; a pattern that fits nothing is a mistake."""
    images = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, name="stem_conv")(images)
    x = keras.layers.BatchNormalization(name="stem_norm")(x)
    x = keras.layers.MultiHeadAttention(2, 2, name="attention")(x, x)
    outputs = keras.layers.Dense(5, name="logits")(keras.layers.Flatten()(x))
    variables = keras.Model(images, outputs).trainable_variables

    def paths(*spare: str) -> set[str]:
        return {variable.path for variable in spared(variables, spare)}

    biases = {
        "stem_conv/bias",
        "logits/bias",
        *(f"attention/{of}/bias" for of in ("query", "key", "value", "attention_output")),
    }
    norms = {"stem_norm/gamma", "stem_norm/beta"}
    assert paths() == set()
    assert paths("norms") == norms
    assert {variable.path for variable in spared(variables)} == paths("norms", "biases") == norms | biases
    assert paths("logits") == {"logits/kernel", "logits/bias"}
    assert paths("stem_*/[kb]*") == {"stem_conv/kernel", "stem_conv/bias", "stem_norm/beta"}
    with pytest.raises(
        SettingsError, match=r"optimizer.spare: 'norm' fits no weight that learns; did you mean norms\?"
    ):
        paths("norm")


def test_layer_scales_are_spared_like_biases() -> None:
    """ConvNeXt's and DeiT's factors on residual branches, [1, 1, 1, channels] here."""
    scale = keras.Variable(np.ones((1, 1, 1, 8)), name="scale")
    assert spared([scale]) == [scale]


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
        {variable.path.partition("/")[0] for variable in spared(network.trainable_variables, spare)}
        for spare in (("norms", "biases", "embeddings"), ("norms", "biases"))
    )
    assert with_them - without == names
    assert "norm" in without
    assert spared(network.trainable_variables, ()) == []


def test_clipping_scales_all_gradients_together_before_the_decay() -> None:
    """A step on one image of ones: each of the two logits' gradients is half, of the kernel's four weights and the bias'."""
    images = keras.Input((2, 1, 1))
    logits = keras.layers.Dense(2, kernel_initializer="zeros", bias_initializer="zeros")
    network = keras.Model(images, logits(keras.layers.Flatten()(images)))
    logits.kernel.assign([[8.0, 8.0], [8.0, 8.0]])
    optimizer = optimizers.build(SGDSettings(momentum=0.0, weight_decay=0.25), network.trainable_variables)
    state = states.start(network, optimizer, "float32")
    objective = objectives.Objective(Preset(size=(2, 1), channels=1, mean=(0.0,), std=(1.0,)), 2)
    clip = clipping.build(TrainSettings(clip_norm=0.5), network.trainable_variables)
    one_step = step.build(state, objective, optimizer, tf.distribute.get_strategy(), step.Plan(1, clip=clip))
    batch = {"images": tf.fill([1, 2, 1, 1], 255), "labels": tf.zeros([1], tf.int32), "weights": tf.ones([1])}
    one_step(batch, tf.constant(1.0, tf.float64), tf.constant(0, tf.int64))
    # Six entries of 0.5 have norm sqrt(1.5), which becomes 0.5; the decay of 2 comes on top.
    size = 0.25 / np.sqrt(1.5)
    np.testing.assert_allclose(logits.bias, [size, -size], rtol=1e-5)
    np.testing.assert_allclose(logits.kernel, np.tile([6 + size, 6 - size], (2, 1)), rtol=1e-6)


@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_rate_factors_slow_a_variable_s_steps(name: str) -> None:
    """To a tenth, where nothing decays; the other variable's stay as they are."""
    settings = SGDSettings() if name == "sgd" else AdamSettings(name="adam")
    slow = {variable.path: 0.1 for variable in weights() if variable.name == "kernel"}
    kernel, bias = descend(optimizers.build(settings, weights()))
    slowed, same = descend(optimizers.build(settings, weights(), rate_factors=slow))
    np.testing.assert_allclose((KERNEL - slowed) * 10, KERNEL - kernel, rtol=1e-6)
    np.testing.assert_array_equal(same, bias)


def test_rate_factors_slow_adamw_s_decay_too() -> None:
    """A layer at a tenth of the rate is decayed by a tenth (arXiv:2106.08254 as timm trains it); biases by nothing."""
    factors = {variable.path: 0.1 for variable in weights()}
    settings = AdamSettings(name="adamw", weight_decay=0.5)
    optimizer = optimizers.build(settings, weights(), rate_factors=factors)
    kernel, bias = descend(optimizer, [0.01], lambda number, shape: np.zeros(shape))
    np.testing.assert_allclose(kernel, KERNEL * (1 - 0.1 * 0.01 * 0.5), rtol=1e-6)
    np.testing.assert_array_equal(bias, BIAS)


def test_decay_factors_act_on_decay_alone() -> None:
    """airbench94: biases at 64 times the rate, and no more decay than the others."""
    more = {"rate_factors": {"bias": 64}, "decay_factors": {"bias": 1 / 64}}
    settings = SGDSettings(weight_decay=0.5, momentum=0, spare=(), **more)
    nothing = descend(optimizers.build(settings, weights()), [0.01], lambda number, shape: np.zeros(shape))
    for found, initial in zip(nothing, (KERNEL, BIAS), strict=True):
        np.testing.assert_allclose(found, initial * (1 - 0.01 * 0.5), rtol=1e-6)


def test_weights_stand_still_after_their_epochs() -> None:
    """The bias after two updates, where an epoch has two; the kernel goes on."""
    settings = SGDSettings(freeze_after={"bias": 1})
    optimizer = optimizers.build(settings, weights(), steps_until=lambda epochs: int(2 * epochs))
    two, five = (descend(optimizer, [0.1] * steps) for steps in (2, 5))
    plain = descend(optimizers.build(SGDSettings(), weights()), [0.1] * 5)
    np.testing.assert_array_equal(five[1], two[1])
    assert np.all(five[1] != plain[1])
    np.testing.assert_array_equal(five[0], plain[0])


def test_rate_factors_of_one_change_nothing() -> None:
    """Adam's moments and decay come to the same numbers as without factors."""
    settings = AdamSettings(name="adamw", weight_decay=0.5)
    factors = {variable.path: 1.0 for variable in weights()}
    plain = descend(optimizers.build(settings, weights()))
    for one, other in zip(plain, descend(optimizers.build(settings, weights(), rate_factors=factors)), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_table_says_what_decay_and_rates_act_on() -> None:
    """A row for weights that are treated alike; factors of patterns that fit together multiply."""
    images = keras.Input((4,))
    x = keras.layers.Dense(3, name="block1_dense")(images)
    x = keras.layers.LayerNormalization(name="block1_norm")(x)
    network = keras.Model(images, keras.layers.Dense(2, name="logits")(x))
    settings = SGDSettings(weight_decay=0.1, spare=("norms", "biases"), rate_factors={"logits": 10, "*/bias": 0.5})
    optimizer = optimizers.build(settings, network.trainable_variables)
    lines = optimizers.lines(optimizers.table(optimizer, network.trainable_variables))
    assert [line.split() for line in lines] == [
        ["weights", "of", "values", "rule", "decay", "rate", "the", "first"],
        ["kernels", "1", "12", "sgd", "0.1", "x", "1", "block1_dense/kernel"],
        ["biases", "1", "3", "sgd", "0", "x", "0.5", "block1_dense/bias"],
        ["norms", "2", "6", "sgd", "0", "x", "1", "block1_norm/gamma"],
        ["kernels", "1", "6", "sgd", "0.1", "x", "10", "logits/kernel"],
        ["biases", "1", "2", "sgd", "0", "x", "5", "logits/bias"],
    ]


def test_muon_leaves_the_first_layer_the_head_and_vectors_to_sgd() -> None:
    images = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, name="stem_conv")(images)
    x = keras.layers.Conv2D(6, 3, name="stage1_conv")(x)
    x = keras.layers.DepthwiseConv2D(3, name="stage1_depthwise")(x)
    network = keras.Model(images, keras.layers.Dense(5, name="logits")(keras.layers.Flatten()(x)))
    settings = MuonSettings(name="muon", learning_rate=0.2, other_rate=0.05, weight_decay=0.1)
    optimizer = optimizers.build(settings, network.trainable_variables)
    found = {
        variable.path: (rule.name, decay, factor)
        for variable, rule, decay, factor in zip(
            network.trainable_variables, optimizer.rules, optimizer.decays, optimizer.factors, strict=True
        )
    }
    assert {path for path, (rule, _, _) in found.items() if rule == "muon"} == {"stage1_conv/kernel"}
    assert found["stage1_conv/kernel"] == ("muon", 0.1, 1.0)
    assert found["logits/kernel"] == ("sgd", 0.1, 0.25)
    assert found["logits/bias"] == ("sgd", 0.0, 0.25)
    airbench = optimizers.build(
        MuonSettings(name="muon", form="airbench", weight_decay=0.1), network.trainable_variables
    )
    decays = dict(zip(found, airbench.decays, strict=True))
    assert (decays["stage1_conv/kernel"], decays["logits/kernel"]) == (0.0, 0.1)  # its matrices keep their norm


def test_what_is_first_and_last_is_so_in_the_network_and_not_among_what_learns() -> None:
    """With the stem and the head frozen, the weights between are hidden matrices, which muon takes and clipping clips."""
    images = keras.Input((6,))
    x = keras.layers.Dense(4, name="stem_dense")(images)
    x = keras.layers.Dense(4, name="stage1_dense", use_bias=False)(x)
    x = keras.layers.Dense(4, name="stage2_dense", use_bias=False)(x)
    network = keras.Model(images, keras.layers.Dense(5, name="answers")(x))
    for name in ("stem_dense", "answers"):
        network.get_layer(name).trainable = False
    learning = network.trainable_variables
    optimizer = optimizers.build(MuonSettings(name="muon"), learning, among=network.weights)
    assert [rule.name for rule in optimizer.rules] == ["muon", "muon"]
    clip = clipping.build(TrainSettings(clip_adaptive=0.01), learning, network.weights)
    gradients = [tf.ones_like(variable) for variable in learning]
    clipped = clip([tf.convert_to_tensor(variable.value) for variable in learning], gradients)
    assert all(np.all(value.numpy() < 1) for value in clipped)
