"""Peak memory and time of training steps with and without gradient checkpointing, each in a process of its own.

    python tools/step_memory.py [--network resnet50] [--batch 32] [--size 224]

The train function that `fit` runs, on random pixels, SGD, float32, two steps; the time is the second's, since the first
traces the graph. Where other work runs beside, the processor time over all threads tells more than that on the clock.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import time

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"


def main() -> None:
    """Measure here if --recompute says which way, else in two new processes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="resnet50")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--recompute", choices=["no", "yes"])
    arguments = parser.parse_args()
    if arguments.recompute:
        measure(arguments.network, arguments.batch, arguments.size, arguments.recompute == "yes")
        return
    for answer in ("no", "yes"):
        subprocess.run([sys.executable, *sys.argv, "--recompute", answer], check=True)


def measure(name: str, batch_size: int, size: int, recompute: bool) -> None:
    """Two steps in this process."""
    import keras
    import numpy as np
    import tensorflow as tf
    from keras_imagenet.training.trainer import Trainer

    from keras_imagenet.models import registry
    from keras_imagenet.preset import Preset
    from keras_imagenet.settings import SGDSettings
    from keras_imagenet.training import optimizers

    keras.utils.set_random_seed(0)
    preset = Preset(size=(size, size))
    network = registry.build(name, input_shape=preset.input_shape, classes=1000)
    trainer = Trainer(network, preset, schedule=lambda step: 0.1, gradient_checkpointing=recompute)
    trainer.compile(optimizers.build(SGDSettings(), network.trainable_variables))
    random = np.random.default_rng(0)
    batch = {
        "images": tf.constant(random.integers(0, 256, (batch_size, *preset.input_shape), np.uint8)),
        "labels": tf.constant(random.integers(0, 1000, batch_size, np.int32)),
        "weights": tf.ones([batch_size]),
    }
    before = _peak()
    step, batches = trainer.make_train_function(), iter([batch, batch])
    step(batches)
    trainer.sums.numpy()
    clock, processor = time.perf_counter(), time.process_time()
    step(batches)
    loss = trainer.sums.numpy()[0] / (2 * batch_size)
    print(
        f"{name}, batch {batch_size} at {size}, {'checkpointing' if recompute else 'plain'}: peak {_peak():,} MiB "
        f"({before:,} before the first step), {time.perf_counter() - clock:.1f} s a step, "
        f"{time.process_time() - processor:.1f} s of processors, mean loss {loss:.4f}"
    )


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


if __name__ == "__main__":
    main()
