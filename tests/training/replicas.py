"""What one and two replicas make of the same batches, in float64: run as a program, it prints JSON.

Both run in one process of two logical CPUs: one replica under the default strategy, two under a MirroredStrategy.
With arguments (a file, "few" or "all", this worker's index, addresses of workers) it is one of several processes, or one
alone, and writes to the file what RUNS end with.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from functools import partial

from keras_imagenet import runtime
from keras_imagenet.cluster import Cluster
from keras_imagenet.settings import RuntimeSettings

ADDRESSES = tuple(sys.argv[4:])
TEAM = Cluster(ADDRESSES, int(sys.argv[3]), "runtime.workers") if ADDRESSES else None
MIRRORED = runtime.start(RuntimeSettings(logical_cpus=None if TEAM else 2), None, cluster=TEAM)

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

from keras_imagenet.preset import Preset  # noqa: E402
from keras_imagenet.settings import TrainSettings  # noqa: E402
from keras_imagenet.settings.optimizer import AdamSettings, LAMBSettings, RMSpropSettings, SGDSettings  # noqa: E402
from keras_imagenet.training import clipping, fused_norm, objectives, optimizers, recomputation, step, teachers  # noqa: E402
from keras_imagenet.training import state as states  # noqa: E402

BATCH, SIZE, CLASSES, STEPS = 64, 8, 5, 50
SGD = SGDSettings(weight_decay=1e-3, nesterov=True)
ADAMW = AdamSettings(name="adamw", weight_decay=0.1)
RULES = {
    "sgd": SGD,
    "adamw": ADAMW,
    "lamb": LAMBSettings(name="lamb", learning_rate=0.01, weight_decay=0.02),
    "rmsprop": RMSpropSettings(name="rmsprop", learning_rate=0.01, momentum=0.9, weight_decay=1e-4),
}
RUNS = {
    f"{rule}, norm {norm}": {"settings": RULES[rule], "norm": norm}
    for rule in RULES
    for norm in ("none", "synchronized")
}
FEW = ("sgd, norm synchronized", "adamw, norm none", "accumulated", "dropout")
RUNS |= {"accumulated": {"accumulate": 4}, "dropout": {"norm": "plain", "dropout": 0.5}}
RUNS |= {
    f"{rule} in float32, norm {norm}": {"settings": RULES[rule], "norm": norm, "dtype": "float32"}
    for rule in ("sgd", "lamb")
    for norm in ("none", "synchronized")
}
RUNS |= {"sam": {"sam": 0.2, "norm": "synchronized"}}


def network(norm: str, dropout: float) -> keras.Model:
    """A small network; norm: none, plain, synchronized or nested, which is synchronized in a network of its own."""
    keras.utils.set_random_seed(0)
    images = keras.Input((SIZE, SIZE, 3))
    x = keras.layers.Conv2D(8, 3, use_bias=norm == "none")(images)
    if norm == "nested":
        inner = keras.Input(x.shape[1:])
        x = keras.Model(inner, keras.layers.BatchNormalization(synchronized=True)(inner))(x)
    elif norm != "none":
        x = keras.layers.BatchNormalization(synchronized=norm == "synchronized")(x)
    x = keras.layers.ReLU()(x)
    x = keras.layers.Conv2D(16, 3, strides=2, activation="relu")(x)
    x = keras.layers.Dropout(dropout)(x) if dropout else x
    return keras.Model(images, keras.layers.Dense(CLASSES)(keras.layers.GlobalAveragePooling2D()(x)))


def taught_by(network: keras.Model) -> teachers.Teacher:
    """A teacher with weights and statistics of its own."""
    answer, variables = teachers.answering(network, Preset(size=(SIZE, SIZE)))
    return teachers.Teacher("another", (SIZE, SIZE), answer, variables, partial(teachers.soft, temperature=0.5), 0.5)


def batches(strategy: tf.distribute.Strategy) -> Iterator:
    """The same global batches whatever the strategy: rows that do not count lie unevenly, and once make up a whole half."""

    def parts(context: tf.distribute.InputContext) -> tf.data.Dataset:
        random, rows = np.random.default_rng(0), BATCH // context.num_replicas_in_sync
        share = BATCH // context.num_input_pipelines
        own = range(context.input_pipeline_id * share, (context.input_pipeline_id + 1) * share, rows)

        def generate() -> Iterator[dict]:
            for number in range(STEPS):
                weights = (random.random(BATCH) > 0.2).astype("float32")
                weights[BATCH // 2 :] *= number != 3
                batch = {
                    "images": random.integers(0, 256, (BATCH, SIZE, SIZE, 3)).astype("uint8"),
                    "labels": random.integers(0, CLASSES, BATCH).astype("int32"),
                    "weights": weights,
                }
                for first in own:
                    yield {name: value[first : first + rows] for name, value in batch.items()}

        signature = {
            "images": tf.TensorSpec((rows, SIZE, SIZE, 3), tf.uint8),
            "labels": tf.TensorSpec((rows,), tf.int32),
            "weights": tf.TensorSpec((rows,), tf.float32),
        }
        return tf.data.Dataset.from_generator(generate, output_signature=signature)

    return iter(strategy.distribute_datasets_from_function(parts))


def trained(
    replicas: int,
    *,
    norm: str = "none",
    dropout: float = 0.0,
    accumulate: int = 1,
    settings: SGDSettings | AdamSettings = SGD,
    xla: bool = False,
    dtype: str = "float64",
    recompute: bool = False,
    scaling: bool = False,
    taught: bool = False,
    sam: float | None = None,
) -> tuple[list[np.ndarray], list[float], bool]:
    """The network's variables at the end, the sums, and whether replicas held equal variables after every step."""
    strategy = MIRRORED if replicas > 1 else tf.distribute.OneDeviceStrategy("CPU:0")
    keras.config.set_floatx(dtype)
    keras.config.set_dtype_policy(dtype)
    with strategy.scope():
        net = network(norm, dropout)
        optimizer = optimizers.build(settings, net.trainable_variables)
        state = states.start(net, optimizer, "mixed_float16" if scaling else "float32")
        teacher = taught_by(network("plain", 0.5)) if taught else None
    fused_norm.fuse(net)
    forward = recomputation.checkpointed(net) if recompute else None
    clip = clipping.build(TrainSettings(clip_norm=0.3), net.trainable_variables)
    plan = step.Plan(BATCH, accumulate, clip, sam, xla=xla)
    objective = objectives.Objective(Preset(size=(SIZE, SIZE)), CLASSES, label_smoothing=0.1, teacher=teacher)
    one_step = step.build(state, objective, optimizer, strategy, plan, forward)
    stream, equal = batches(strategy), True
    for number in range(STEPS):
        one_step(next(stream), tf.constant(0.05, tf.float64), tf.constant(number, tf.int64))
        for _, variable in state.tensors():
            first, *others = (copy.numpy() for copy in strategy.experimental_local_results(variable))
            equal &= all(np.array_equal(first, other) for other in others)
    values = [states.first_copy(variable.value) for variable in net.variables]
    return values, states.first_copy(state.sums).tolist(), equal


def apart(one: list[np.ndarray], other: list[np.ndarray]) -> float:
    """The largest difference of two networks' variables, as a share of each variable's largest value."""
    return max(
        float(np.abs(a - b).max() / np.abs(a).max()) for a, b in zip(one, other, strict=True) if a.dtype.kind == "f"
    )


def main() -> None:
    """Print what was found, by name."""
    found: dict[str, object] = {}
    alone = {norm: trained(1, norm=norm) for norm in ("none", "plain", "synchronized")}
    for norm in ("none", "synchronized"):
        both = trained(2, norm=norm)
        found[f"two replicas, norm {norm}"] = apart(alone[norm][0], both[0])
        found[f"equal copies, norm {norm}"] = both[2]
        found[f"sums apart, norm {norm}"] = float(np.abs(np.subtract(alone[norm][1], both[1])).max())
    found["sums"] = alone["none"][1]
    found["accumulated on one"] = apart(alone["none"][0], trained(1, accumulate=4)[0])
    found["accumulated on two"] = apart(alone["none"][0], trained(2, accumulate=4)[0])
    found["accumulated and recomputed"] = apart(alone["none"][0], trained(1, accumulate=4, recompute=True)[0])
    found["adamw on two"] = apart(trained(1, settings=ADAMW)[0], trained(2, settings=ADAMW)[0])
    found["nested"] = apart(*(trained(2, norm=norm, accumulate=2)[0] for norm in ("synchronized", "nested")))
    plain = trained(2, norm="plain")
    found["equal copies, norm plain"], found["plain norms differ"] = plain[2], apart(alone["plain"][0], plain[0])
    dropped = trained(2, norm="plain", dropout=0.5)
    found["equal copies, dropout"], found["seeds"] = dropped[2], [v.tolist() for v in dropped[0] if v.dtype.kind == "i"]
    found["recomputed, dropout"] = apart(dropped[0], trained(2, norm="plain", dropout=0.5, recompute=True)[0])
    taught = trained(1, taught=True)
    found["a teacher acts"] = apart(alone["none"][0], taught[0])
    found["taught on two"] = apart(taught[0], trained(2, taught=True, accumulate=4)[0])
    climbed = trained(1, sam=0.2)
    found["sam acts"] = apart(alone["none"][0], climbed[0])
    found["sam on two"] = apart(climbed[0], trained(2, sam=0.2, accumulate=2, recompute=True, scaling=True)[0])
    found["loss scale"] = apart(alone["none"][0], trained(2, scaling=True)[0])
    compiled = {"norm": "plain", "taught": True, "dtype": "float32"}
    for replicas, sam in ((1, 0.01), (2, None)):
        found[f"XLA on {replicas}"] = apart(
            *(trained(replicas, xla=xla, sam=sam, **compiled)[0] for xla in (False, True))
        )
    print(json.dumps(found))


def write(path: str, how_many: str) -> None:
    """What every run ends with, or some of each kind, by RUN/number of the variable."""
    runs = RUNS if how_many == "all" else {name: RUNS[name] for name in FEW}
    found = {
        f"{name}/{number}": values
        for name, options in runs.items()
        for number, values in enumerate(trained(max(len(ADDRESSES), 1), **options)[0])
    }
    np.savez(path, **found)


if __name__ == "__main__":
    main() if len(sys.argv) == 1 else write(*sys.argv[1:3])
