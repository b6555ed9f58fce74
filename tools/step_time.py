"""Seconds of a training step as `fit` makes it, against keras.applications and a bare step, alternately in one process.

    python tools/step_time.py [--ours resnet50 resnet50_v1] [--theirs ResNet50] [--bare] [--batch 16] [--size 224]
                              [--steps 12] [--threads N]

ours is the train function that `fit` runs (normalising, loss, top-1 and top-5, reduction, our SGD), for each network
named; keras.applications' has its strides and biases as our resnet50_v1, while resnet50 (v1.5) needs 6 % more
multiply-accumulates. theirs is compiled plainly (`jit_compile` left at "auto", SGD, cross-entropy) and called with
`train_on_batch`. bare is the same network, loss and optimizer as the first of ours in the shortest tf.function that
trains: what the train function adds is measured against it. All have momentum 0.9, float32 and one batch of random
pixels. Two steps of each come first and do not count: the first traces the graph. Prints each round's times, medians,
and ratios. Where other work runs beside, the processor time over all threads tells more than the time on the clock.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from itertools import repeat

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

WARM = 2
RATE, MOMENTUM = 0.01, 0.9

Step = Callable[[], object]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ours", nargs="+", default=["resnet50"], metavar="NETWORK")
    parser.add_argument("--theirs", default="ResNet50", help="none to leave it out")
    parser.add_argument("--bare", action="store_true")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--threads", type=int, help="compute threads; TensorFlow's choice if not given")
    arguments = parser.parse_args()

    import numpy as np
    import tensorflow as tf

    if arguments.threads:
        tf.config.threading.set_intra_op_parallelism_threads(arguments.threads)
    shape = (arguments.size, arguments.size, 3)
    random = np.random.default_rng(0)
    images = random.integers(0, 256, size=(arguments.batch, *shape)).astype("uint8")
    labels = random.integers(0, 1000, size=arguments.batch).astype("int32")
    steps = {name: our_step(name, images, labels) for name in arguments.ours}
    if arguments.bare:
        steps["bare"] = bare_step(arguments.ours[0], images, labels)
    if arguments.theirs != "none":
        steps["theirs"] = their_step(arguments.theirs, images, labels)

    seconds = measure(steps, arguments.steps)
    for what, times in seconds.items():
        medians = {name: statistics.median(values) for name, values in times.items()}
        print(f"median, {what}: " + ", ".join(f"{name} {value:.4f} s" for name, value in medians.items()))
        for name in arguments.ours if "theirs" in medians else ():
            print(f"  theirs / {name}: {medians['theirs'] / medians[name]:.3f} (above 1, ours is faster)")
        if arguments.bare:
            name = arguments.ours[0]
            print(f"  the train function adds {medians[name] / medians['bare'] - 1:+.1%} to {name}'s bare step")
    print(f"load at the end {os.getloadavg()[0]}")


def measure(steps: dict[str, Step], rounds: int) -> dict[str, dict[str, list[float]]]:
    """Seconds on the clock, and of all processors, by name; each round takes the steps in turn from another one on."""
    names = list(steps)
    clock: dict[str, list[float]] = {name: [] for name in names}
    processor: dict[str, list[float]] = {name: [] for name in names}
    for step in range(WARM + rounds):
        first = step % len(names)
        for name in names[first:] + names[:first]:
            start, start_processor = time.perf_counter(), time.process_time()
            steps[name]()
            if step >= WARM:
                clock[name].append(time.perf_counter() - start)
                processor[name].append(time.process_time() - start_processor)
        if step >= WARM:
            print(f"step {step - WARM + 1}: " + ", ".join(f"{n} {s[-1]:.3f} s" for n, s in clock.items()), flush=True)
    return {"clock": clock, "processor": processor}


def our_step(name: str, images, labels) -> Step:
    """The train function of `fit`, and the reading of its sums, which waits for the step to end."""
    import tensorflow as tf

    trainer = _trainer(name, images.shape[1:])
    batch = {
        "images": tf.constant(images),
        "labels": tf.constant(labels),
        "weights": tf.ones([len(labels)]),
        "seeds": tf.zeros([len(labels), 2], tf.int32),
    }
    batches, train_one = repeat(batch), trainer.make_train_function()

    def step() -> None:
        train_one(batches)
        trainer.sums.numpy()

    return step


def bare_step(name: str, images, labels) -> Step:
    """The same network, loss and optimizer, and nothing else."""
    import tensorflow as tf

    trainer = _trainer(name, images.shape[1:])
    network, optimizer = trainer.network, trainer.optimizer
    pixels, labels = tf.constant(images), tf.constant(labels)

    @tf.function
    def train(pixels: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            logits = trainer(pixels, training=True)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
        optimizer.apply(tape.gradient(loss, network.trainable_weights), network.trainable_weights)
        return loss

    return lambda: train(pixels, labels).numpy()


def their_step(name: str, images, labels) -> Step:
    """A network of keras.applications compiled as a user does, on float pixels."""
    import keras

    network = getattr(keras.applications, name)(weights=None, input_shape=images.shape[1:], classes=1000)
    network.compile(keras.optimizers.SGD(RATE, momentum=MOMENTUM), keras.losses.SparseCategoricalCrossentropy())
    pixels = images.astype("float32")
    return lambda: network.train_on_batch(pixels, labels)


def _trainer(name: str, shape: tuple[int, int, int]):
    from keras_imagenet.training.trainer import Trainer

    from keras_imagenet.models import registry
    from keras_imagenet.preset import Preset
    from keras_imagenet.settings.training import SGDSettings
    from keras_imagenet.training import optimizers

    network = registry.build(name, input_shape=shape, classes=1000)
    trainer = Trainer(network, Preset(size=shape[:2]), schedule=lambda step: RATE)
    trainer.compile(optimizers.build(SGDSettings(momentum=MOMENTUM), network.trainable_variables))
    return trainer


if __name__ == "__main__":
    main()
