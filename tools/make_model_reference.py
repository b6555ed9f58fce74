"""Parameters and multiply-accumulates of the catalogue's networks, from implementations that are not ours.

    python tools/make_model_reference.py            compare catalogue.csv with its sources
    python tools/make_model_reference.py --write    and write the numbers of rows that differ or have none

A row's source says what is counted: 'torchvision VERSION NAME' and 'timm VERSION NAME' (built on torch's meta device,
torch's own FLOP counter, halved), 'keras VERSION NAME' (keras.applications, TensorFlow's registered FLOPs of
convolutions and matrix products, halved), 'paper REFERENCE NAME' (written in torch in tools/paper_networks.py).
Needs torch, torchvision and timm for the first, second and last kind, TensorFlow and Keras for the third; rows whose
library is not installed are left alone, and counted at the end. Take the numbers of a new row from here.
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import io
import sys
from collections.abc import Callable
from pathlib import Path

CATALOGUE = Path(__file__).resolve().parent.parent / "keras_imagenet" / "models" / "catalogue.csv"
NUMBERS = ("params_total", "params_trainable", "macs")
LIBRARIES = {"torchvision": "torchvision", "timm": "timm", "paper": "torch", "keras": "keras"}
Counts = tuple[int, int, int]


def main() -> int:
    """Compare or write; exit code 1 if a row differs and is not written."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write what the sources say into catalogue.csv")
    parser.add_argument("names", nargs="*", help="only these names")
    arguments = parser.parse_args()

    with CATALOGUE.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        columns, rows = list(reader.fieldnames or []), list(reader)
    wanted = [row for row in rows if not arguments.names or row["name"] in arguments.names]
    agreeing = differing = skipped = 0
    for row in wanted:
        library, _, network = row["source"].split(" ", 2)
        if importlib.util.find_spec(LIBRARIES[library]) is None:
            skipped += 1
            continue
        counts = _COUNTERS[library](network, int(row["input_size"]), int(row["channels"]), int(row["classes"]))
        found = dict(zip(NUMBERS, map(str, counts), strict=True))
        if all(row[number] == found[number] for number in NUMBERS):
            agreeing += 1
            continue
        differing += 1
        print(f"{row['name']}: the catalogue has {[row[n] for n in NUMBERS]}, {row['source']} {list(found.values())}")
        row.update(found)
    print(f"{agreeing} rows agree with their source, {differing} differ, {skipped} need a library that is not here")
    if arguments.write and differing:
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        CATALOGUE.write_text(text.getvalue(), encoding="utf-8")
        return 0
    return 1 if differing else 0


def _torchvision(name: str, size: int, channels: int, classes: int) -> Counts:
    import torch
    import torchvision

    if name.startswith("regnet_"):  # computes its widths with tensors, which the meta device does not hold
        return _count_torch(torchvision.models.get_model(name, weights=None).to("meta"), size, channels)
    # What acts in training only is not part of ours; its presence is these two's default.
    options = {"aux_logits": False, "init_weights": False} if name in ("googlenet", "inception_v3") else {}
    with torch.device("meta"):
        return _count_torch(torchvision.models.get_model(name, weights=None, **options), size, channels)


def _timm(name: str, size: int, channels: int, classes: int) -> Counts:
    import timm
    import torch

    with torch.device("meta"):
        return _count_torch(timm.create_model(name, pretrained=False), size, channels)


def _paper(name: str, size: int, channels: int, classes: int) -> Counts:
    import paper_networks
    import torch

    with torch.device("meta"):
        return _count_torch(getattr(paper_networks, name)(channels, classes), size, channels)


def _count_torch(network, size: int, channels: int) -> Counts:
    """Call on the meta device. Batch norms' running statistics count as parameters that are not trained."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    trainable = sum(parameter.numel() for parameter in network.parameters())
    statistics = sum(b.numel() for key, b in network.named_buffers() if key.endswith(("running_mean", "running_var")))
    network.eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.empty(1, channels, size, size, device="meta"))
    return trainable + statistics, trainable, counter.get_total_flops() // 2


def _keras(name: str, size: int, channels: int, classes: int) -> Counts:
    import keras
    import tensorflow as tf

    keras.backend.clear_session()
    network = getattr(keras.applications, name)(weights=None, input_shape=(size, size, channels), classes=classes)
    graph = tf.function(lambda x: network(x, training=False)).get_concrete_function(
        tf.TensorSpec((1, size, size, channels), tf.float32)
    )
    total = 0
    for node in graph.graph.as_graph_def().node:
        if node.op in ("Conv2D", "DepthwiseConv2dNative", "MatMul"):
            total += _flops(graph.graph, node)
    trainable = sum(int(tf.size(w.value)) for w in network.trainable_weights)
    return network.count_params(), trainable, total // 2


def _flops(graph, node) -> int:
    from tensorflow.python.framework import ops

    return int(ops.get_stats_for_node_def(graph, node, "flops").value)


_COUNTERS: dict[str, Callable[[str, int, int, int], Counts]] = {
    "torchvision": _torchvision,
    "timm": _timm,
    "paper": _paper,
    "keras": _keras,
}

if __name__ == "__main__":
    sys.exit(main())
