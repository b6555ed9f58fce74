"""Seconds of a training step as `fit` makes it, and of others', alternately: each in a process of its own, one at a time.

    python tools/step_time.py [--network resnet50 resnet50_v1] [--size 224] [--batch 16] [--precision float32] [--xla]
                              [--before CHECKOUT] [--bare] [--theirs ResNet50] [--rounds 6] [--steps 2] [--threads N]

For each network named, ours is the step that `fit` runs (normalising, loss, top-1 and top-5, reduction, the rule). before is
the train function of another checkout of this project, of the first network: a clone of 7bfc267, say, whose
training/trainer.py has Trainer. bare is the first network with the same loss and rule in the shortest tf.function that
trains: what the step adds is measured against it. theirs is a network of keras.applications or of ours, compiled plainly
(`jit_compile` left at "auto") and called with `train_on_batch`, on which Keras' `fit` rests; ResNet50 has its strides and
biases as our resnet50_v1, while resnet50 (v1.5) needs 6 % more multiply-accumulates. torch is the first network in PyTorch,
eager, channels last: torchvision's, or our cifar_net written again; for it KERAS_IMAGENET_PEERS names a Python with torch
and torchvision.

All have SGD with momentum 0.9 and one batch of random pixels of 1,000 classes. Two steps of each come first and do not count:
the first traces the graph. Then a round of some steps of each in turn, A B A B, while the others wait. Prints each round's
seconds a step, their medians, and the first's ratio to each other: of medians, and the range over rounds. Where other work
runs beside, the processor time over all threads tells more than the time on the clock.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

WARM = 2
RATE, MOMENTUM, CLASSES = 0.01, 0.9, 1000
ROOT = Path(__file__).resolve().parents[1]

Step = Callable[[], object]


def main() -> None:
    """Start what is measured, let each run in turn, and print."""
    arguments = _arguments()
    if arguments.contender:
        contend(arguments)
        return
    running = {name: start(name, arguments) for name in contenders(arguments)}
    seconds: dict[str, dict[str, list[float]]] = {"clock": {}, "processor": {}}
    for number in range(1, arguments.rounds + 1):
        for name, process in running.items():
            process.stdin.write("\n")
            process.stdin.flush()
            for what, value in json.loads(process.stdout.readline()).items():
                seconds[what].setdefault(name, []).append(value)
        print(f"round {number}: " + ", ".join(f"{n} {s[-1]:.4f} s" for n, s in seconds["clock"].items()), flush=True)
    for process in running.values():
        process.communicate()
    for what, times in seconds.items():
        report(what, times)
    print(f"load at the end {os.getloadavg()[0]}")


def contenders(arguments: argparse.Namespace) -> list[str]:
    """Names of what is measured, ours first; says what is left out."""
    names = list(arguments.network)
    names += ["before"] if arguments.before else []
    names += ["bare"] if arguments.bare else []
    names += ["theirs"] if arguments.theirs != "none" else []
    if _has_torch(os.environ.get("KERAS_IMAGENET_PEERS")):
        return [*names, "torch"]
    print("torch: left out; KERAS_IMAGENET_PEERS names no Python with torch")
    return names


def start(name: str, arguments: argparse.Namespace) -> subprocess.Popen:
    """A process that answers each line with the seconds of a round; it has made its first steps."""
    python = os.environ["KERAS_IMAGENET_PEERS"] if name == "torch" else sys.executable
    path = arguments.before if name == "before" else ROOT
    words = [python, __file__, *sys.argv[1:], "--contender", name]
    environment = os.environ | {"PYTHONPATH": str(path)}
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
    if process.stdout.readline() != "ready\n":
        sys.exit(f"{name}: ended with {process.wait()} before its first step")
    return process


def contend(arguments: argparse.Namespace) -> None:
    """Be one of those that are measured."""
    kinds = {"before": before_step, "bare": bare_step, "theirs": their_step, "torch": torch_step}
    if arguments.contender != "torch":
        start_tensorflow(arguments)
    step = kinds.get(arguments.contender, our_step)(arguments)
    for _ in range(WARM):
        step()
    print("ready", flush=True)
    for _ in sys.stdin:
        clock, processor = time.perf_counter(), time.process_time()
        for _ in range(arguments.steps):
            step()
        spent = {"clock": time.perf_counter() - clock, "processor": time.process_time() - processor}
        print(json.dumps({what: value / arguments.steps for what, value in spent.items()}), flush=True)


def report(what: str, times: dict[str, list[float]]) -> None:
    """Medians, and the ratios of the first to the others."""
    medians = {name: statistics.median(values) for name, values in times.items()}
    print(f"median, {what}: " + ", ".join(f"{name} {value:.4f} s" for name, value in medians.items()))
    ours, *others = times
    for name in others:
        ratios = [other / own for other, own in zip(times[name], times[ours], strict=True)]
        print(
            f"  {name} / {ours}: {medians[name] / medians[ours]:.3f} ({min(ratios):.3f} to {max(ratios):.3f} over rounds; "
            f"above 1, {ours} is faster)"
        )


def our_step(arguments: argparse.Namespace) -> Step:
    """The step that `fit` runs, and the reading of its sums, which waits for it to end."""
    import tensorflow as tf

    name = arguments.network[0] if arguments.contender == "before" else arguments.contender
    run = assembled(name, arguments)
    batch, rate, number = batch_of(arguments), tf.constant(RATE, tf.float64), tf.constant(0, tf.int64)

    def step() -> None:
        run.step(batch, rate, number)
        run.state.sums.numpy()

    return step


def before_step(arguments: argparse.Namespace) -> Step:
    """The train function of a checkout that has a Trainer; of one that has none, the step as ours."""
    if importlib.util.find_spec("keras_imagenet.training.trainer") is None:
        return our_step(arguments)
    from itertools import repeat

    from keras_imagenet.training.trainer import Trainer

    from keras_imagenet.models import registry
    from keras_imagenet.settings import SGDSettings
    from keras_imagenet.training import fused_norm, optimizers

    place = (
        "keras_imagenet.preset" if importlib.util.find_spec("keras_imagenet.preset") else "keras_imagenet.data.preset"
    )
    preset = importlib.import_module(place).Preset(size=(arguments.size, arguments.size))
    network = registry.build(arguments.network[0], input_shape=preset.input_shape, classes=CLASSES)
    fused_norm.fuse(network)
    trainer = Trainer(network, preset, schedule=lambda step: RATE, xla=arguments.xla)
    trainer.compile(optimizers.build(SGDSettings(momentum=MOMENTUM), network.trainable_variables))
    batches, train_one = repeat(batch_of(arguments)), trainer.make_train_function()

    def step() -> None:
        train_one(batches)
        trainer.sums.numpy()

    return step


def bare_step(arguments: argparse.Namespace) -> Step:
    """The same network, loss and rule, and nothing else."""
    import tensorflow as tf

    from keras_imagenet.data.images.normalise import normalise

    run = assembled(arguments.network[0], arguments)
    batch, variables, slots = batch_of(arguments), run.state.weights, run.state.slots

    @tf.function(jit_compile=arguments.xla)
    def train(pixels: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            logits = run.state.network(normalise(pixels, run.preset), training=True)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
        weights = [variable.value for variable in variables]
        new = run.optimizer.update(weights, tape.gradient(loss, weights), slots, tf.constant(RATE), tf.constant(1))
        for variable, value in zip(tf.nest.flatten((weights, slots)), tf.nest.flatten(new), strict=True):
            variable.assign(value)
        return loss

    return lambda: train(batch["images"], batch["labels"]).numpy()


def their_step(arguments: argparse.Namespace) -> Step:
    """A network of keras.applications or of ours, compiled as a user does, on float pixels."""
    import keras

    from keras_imagenet.models import registry

    batch, shape = batch_of(arguments), (arguments.size, arguments.size, 3)
    ours = not hasattr(keras.applications, arguments.theirs)
    if ours:
        network = registry.build(arguments.theirs, input_shape=shape, classes=CLASSES)
    else:
        network = getattr(keras.applications, arguments.theirs)(weights=None, input_shape=shape, classes=CLASSES)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=ours)
    network.compile(keras.optimizers.SGD(RATE, momentum=MOMENTUM), loss)
    pixels, labels = batch["images"].numpy().astype("float32"), batch["labels"].numpy()
    return lambda: network.train_on_batch(pixels, labels)


def torch_step(arguments: argparse.Namespace) -> Step:
    """The first network in PyTorch, as its users write a step; needs neither TensorFlow nor this project."""
    import contextlib

    import torch

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    network = _torch_network(arguments.network[0]).to(device, memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(network.parameters(), RATE, momentum=MOMENTUM)
    shape = (arguments.batch, 3, arguments.size, arguments.size)
    pixels = torch.randint(0, 256, shape, dtype=torch.uint8, device=device).to(memory_format=torch.channels_last)
    labels = torch.randint(0, CLASSES, (arguments.batch,), device=device)
    half = {"mixed_bfloat16": torch.bfloat16, "mixed_float16": torch.float16}.get(arguments.precision)

    def step() -> None:
        optimizer.zero_grad()
        with torch.autocast(device, half) if half else contextlib.nullcontext():
            loss = torch.nn.functional.cross_entropy(network(pixels / 255), labels)
        loss.backward()
        optimizer.step()
        loss.item()

    return step


def assembled(name: str, arguments: argparse.Namespace, **train: object):
    """A run of that network as `fit` puts it together, on a data set of one black image a class. train: further settings."""
    import numpy as np
    import tensorflow as tf

    from keras_imagenet.data.sources.source import Source, Splits
    from keras_imagenet.settings import Settings
    from keras_imagenet.training.assembly import assemble

    settings = Settings.model_validate(
        {
            "data": {"size": arguments.size},
            "model": {"name": name},
            "optimizer": {"name": "sgd", "learning_rate": RATE, "momentum": MOMENTUM},
            "train": {"batch_size": arguments.batch, "epochs": 1, **train},
            "runtime": {"precision": arguments.precision, "xla": arguments.xla or "auto"},
        }
    )
    classes = tuple(map(str, range(CLASSES)))
    labels, black = np.arange(CLASSES, dtype=np.int32), tf.zeros([8, 8, 3], tf.uint8)
    splits = Splits(Source(classes, classes, labels, classes, "", lambda index: black), None)
    return assemble(settings, splits, tf.distribute.get_strategy())


def start_tensorflow(arguments: argparse.Namespace) -> None:
    """As `fit` starts it, seeds included."""
    from keras_imagenet import runtime
    from keras_imagenet.settings import RuntimeSettings

    runtime.start(RuntimeSettings(precision=arguments.precision, compute_threads=arguments.threads), None)


def batch_of(arguments: argparse.Namespace) -> dict:
    """Random pixels and labels."""
    import numpy as np
    import tensorflow as tf

    random = np.random.default_rng(0)
    shape = (arguments.batch, arguments.size, arguments.size, 3)
    return {
        "images": tf.constant(random.integers(0, 256, shape, np.uint8)),
        "labels": tf.constant(random.integers(0, CLASSES, arguments.batch, np.int32)),
        "weights": tf.ones([arguments.batch]),
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", "--ours", nargs="+", default=["resnet50"], metavar="NETWORK")
    parser.add_argument("--before", type=Path, metavar="CHECKOUT")
    parser.add_argument("--bare", action="store_true")
    parser.add_argument("--theirs", default="none", metavar="NETWORK", help="of keras.applications, such as ResNet50")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--precision", choices=["float32", "mixed_bfloat16", "mixed_float16"], default="float32")
    parser.add_argument("--xla", action="store_true", help="compile ours, before and bare; ours may be anyway on a GPU")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--steps", type=int, default=2, help="of a round")
    parser.add_argument("--threads", type=int, help="compute threads; the library's choice if not given")
    parser.add_argument("--contender", help=argparse.SUPPRESS)
    return parser.parse_args()


def _has_torch(python: str | None) -> bool:
    return (
        bool(python) and not subprocess.run([python, "-c", "import torch"], capture_output=True, check=False).returncode
    )


def _torch_network(name: str):
    """torchvision's network of that name; our cifar_net, see models/cifar_net.py."""
    from itertools import pairwise

    from torch import nn

    if name != "cifar_net":
        import torchvision

        return torchvision.models.get_model(name, num_classes=CLASSES)

    def layer(inputs: int, filters: int, stride: int = 1) -> nn.Module:
        convolution = nn.Conv2d(inputs, filters, 3, stride, padding=1, bias=False)
        return nn.Sequential(convolution, nn.BatchNorm2d(filters), nn.ReLU(inplace=True))

    class Residual(nn.Module):
        def __init__(self, filters: int) -> None:
            super().__init__()
            self.layer = layer(filters, filters)

        def forward(self, x):
            return x + self.layer(x)

    widths = (24, 64, 128, 256)
    stages = [(layer(a, b, 2), Residual(b)) for a, b in pairwise(widths)]
    head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(widths[-1], CLASSES))
    return nn.Sequential(layer(3, widths[0]), *(part for stage in stages for part in stage), *head)


if __name__ == "__main__":
    main()
