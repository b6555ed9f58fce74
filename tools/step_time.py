"""Seconds of a training step of ours against keras.applications, taken alternately in one process.

    python tools/step_time.py [--ours resnet50] [--theirs ResNet50] [--batch 16] [--size 224] [--steps 12] [--threads N]

Both are compiled plainly (SGD with momentum 0.9, cross-entropy, float32) and fed one batch of random pixels with
`train_on_batch`. Two steps of each come first and do not count: the first traces the graph. Prints each round's times,
the medians, and theirs / ours: above 1, ours is faster. Where other work runs beside, the processor time over all
threads tells more than the time on the clock.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

WARM = 2


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ours", default="resnet50")
    parser.add_argument("--theirs", default="ResNet50")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--threads", type=int, help="compute threads; TensorFlow's choice if not given")
    arguments = parser.parse_args()

    import keras
    import numpy as np
    import tensorflow as tf

    from keras_imagenet.models import registry

    if arguments.threads:
        tf.config.threading.set_intra_op_parallelism_threads(arguments.threads)
    shape = (arguments.size, arguments.size, 3)
    networks = {
        "ours": registry.build(arguments.ours, input_shape=shape, classes=1000),
        "theirs": getattr(keras.applications, arguments.theirs)(weights=None, input_shape=shape, classes=1000),
    }
    for name, network in networks.items():
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=name == "ours")
        network.compile(keras.optimizers.SGD(0.01, momentum=0.9), loss)
    random = np.random.default_rng(0)
    images = random.normal(size=(arguments.batch, *shape)).astype("float32")
    labels = random.integers(0, 1000, size=arguments.batch)

    seconds: dict[str, list[float]] = {name: [] for name in networks}
    processor: dict[str, list[float]] = {name: [] for name in networks}
    for step in range(WARM + arguments.steps):
        for name, network in networks.items():
            start, start_processor = time.perf_counter(), time.process_time()
            network.train_on_batch(images, labels)
            if step >= WARM:
                seconds[name].append(time.perf_counter() - start)
                processor[name].append(time.process_time() - start_processor)
        if step >= WARM:
            print(f"step {step - WARM + 1}: " + ", ".join(f"{n} {s[-1]:.2f} s" for n, s in seconds.items()), flush=True)
    for what, times in (("clock", seconds), ("processor", processor)):
        ours, theirs = (statistics.median(times[name]) for name in ("ours", "theirs"))
        print(f"median, {what}: ours {ours:.3f} s, theirs {theirs:.3f} s, theirs / ours {theirs / ours:.3f}")
    print(f"load at the end {os.getloadavg()[0]}")


if __name__ == "__main__":
    main()
