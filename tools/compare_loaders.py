"""Our pipeline and the peers' loaders, alternately in one run: ratio of medians, its spread, and each side's kernel.

    python tools/compare_loaders.py PHOTOS --peers PEERS/bin/python --loaders loaders.py [--rounds 5] [--seconds 6]

PHOTOS holds class folders. The peers' environment and loaders.py (cases timm_train, timm_eval, timm_randaugment) are the
ones that answer `python loaders.py PHOTOS CASE SECONDS WORKERS` with a JSON line. Size 224, batch 64, 2 threads or workers.
A ratio is taken within each round, so that what else the machine does falls on both sides.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CROP = {"random_resized_crop": {}, "flip": "horizontal"}
# Name: peer's case, kernel of theirs, ours: preset fields, augmentation or None for evaluation, the ratio to reach.
PAIRS = {
    "train": ("timm_train", {"kernel": "area"}, CROP, 2.3),
    "eval": ("timm_eval", {"kernel": "area"}, None, 3.0),
    "train_bicubic": ("timm_train", {"kernel": "bicubic"}, CROP, 1.4),
    "eval_bicubic": ("timm_eval", {"kernel": "bicubic"}, None, 1.8),
    "randaugment": ("timm_randaugment", {"kernel": "area"}, {**CROP, "rand_augment": "rand-m9-n2-mstd0.5-inc1"}, 2.5),
}


def ours(photos: str, name: str, seconds: float) -> float:
    """Images per second of our pipeline, in a process of its own."""
    sys.path.insert(0, str(ROOT))
    from keras_imagenet.data.benchmark import _seconds_per_image, _stages, _stream
    from keras_imagenet.data.preset import Preset
    from keras_imagenet.data.sources import open_source
    from keras_imagenet.settings import AugmentSettings
    from keras_imagenet.settings.data import FolderSource

    _, fields, augmentation, _ = PAIRS[name]
    source = open_source(FolderSource(name="folder", directory=Path(photos))).train
    steps = _stages(source, Preset(**fields), AugmentSettings(**(augmentation or {})), augmentation is not None)
    return 1 / _seconds_per_image(_stream(steps["batch"], source, 64, 2, 0, "batch"), 64, seconds)


def peers(arguments: argparse.Namespace, case: str) -> float:
    """Images per second of a peer's loader."""
    command = [arguments.peers, arguments.loaders, arguments.photos, case, str(arguments.seconds), "2"]
    answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return json.loads(answer.splitlines()[-1])["images_per_second"]


def compare(arguments: argparse.Namespace, name: str) -> None:
    """Run both sides in turns and print one line."""
    case, fields, _, bar = PAIRS[name]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}
    own = [sys.executable, __file__, arguments.photos, "--ours", name, "--seconds", str(arguments.seconds)]
    rates: list[tuple[float, float]] = []
    for _ in range(arguments.rounds):
        theirs = peers(arguments, case)
        answer = subprocess.run(own, check=True, capture_output=True, text=True, env=environment).stdout
        rates.append((float(answer.splitlines()[-1]), theirs))
    left, right = (statistics.median(side) for side in zip(*rates, strict=True))
    ratios = sorted(mine / theirs for mine, theirs in rates)
    print(
        f"{name}: ours {left:.0f}/s ({fields['kernel']}), {case} {right:.0f}/s (bicubic, antialiased): ratio {left / right:.2f}"
        f" ({ratios[0]:.2f}-{ratios[-1]:.2f} over {len(ratios)} rounds), wanted {bar}",
        flush=True,
    )


def main() -> None:
    """Compare every pair, or answer for our side of one."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos")
    parser.add_argument("--peers", help="Python of the environment with torch, torchvision and timm")
    parser.add_argument("--loaders", help="the peers' loaders.py")
    parser.add_argument("--pairs", nargs="*", default=list(PAIRS), choices=list(PAIRS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--ours", choices=list(PAIRS), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.ours:
        print(ours(arguments.photos, arguments.ours, arguments.seconds))
        return
    for name in arguments.pairs:
        compare(arguments, name)


if __name__ == "__main__":
    main()
