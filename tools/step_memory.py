"""Peak memory and time of training steps with and without gradient checkpointing, each in a process of its own.

    python tools/step_memory.py [--network resnet50] [--batch 32] [--size 224] [--accumulate 1]

The step that `fit` runs, on random pixels, SGD, float32, two steps; the time is the second's, since the first traces the
graph. Where other work runs beside, the processor time over all threads tells more than that on the clock.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import time

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import step_time


def main() -> None:
    """Measure here if --recompute says which way, else in two new processes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="resnet50")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--accumulate", type=int, default=1, help="micro-batches of a step")
    parser.add_argument("--recompute", choices=["no", "yes"])
    parser.set_defaults(precision="float32", xla=False, threads=None)
    arguments = parser.parse_args()
    if arguments.recompute:
        measure(arguments)
        return
    for answer in ("no", "yes"):
        subprocess.run([sys.executable, *sys.argv, "--recompute", answer], check=True)


def measure(arguments: argparse.Namespace) -> None:
    """Two steps in this process."""
    import tensorflow as tf

    step_time.start_tensorflow(arguments)
    recompute = arguments.recompute == "yes"
    run = step_time.assembled(
        arguments.network, arguments, gradient_checkpointing=recompute, accumulate=arguments.accumulate
    )
    batch, rate = step_time.batch_of(arguments), tf.constant(step_time.RATE, tf.float64)
    before = _peak()
    run.step(batch, rate, tf.constant(0, tf.int64))
    run.state.sums.numpy()
    clock, processor = time.perf_counter(), time.process_time()
    run.step(batch, rate, tf.constant(1, tf.int64))
    loss, _, _, examples = run.state.sums.numpy()
    print(
        f"{arguments.network}, batch {arguments.batch} at {arguments.size} in {arguments.accumulate} part(s), "
        f"{'checkpointing' if recompute else 'plain'}: peak {_peak():,} MiB ({before:,} before the first step), "
        f"{time.perf_counter() - clock:.1f} s a step, {time.process_time() - processor:.1f} s of processors, "
        f"mean loss {loss / examples:.4f}"
    )


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


if __name__ == "__main__":
    main()
