"""Our pipeline and the peers' loaders, alternately in one run: ratio of medians, its spread, and each side's kernel.

    python tools/compare_loaders.py PHOTOS --peers PEERS/bin/python --loaders loaders.py [--rounds 5] [--seconds 6]

PHOTOS holds class folders. The peers' environment and loaders.py (cases timm_train, timm_eval, timm_randaugment) are the
ones that answer `python loaders.py PHOTOS CASE SECONDS WORKERS` with a JSON line. With --before CHECKOUT, another checkout
of this project is on the other side, and no peers are needed. Size 224, batch 64, 2 threads or workers.
A ratio is taken within each round, so that what else the machine does falls on both sides. Erasing is done as training does
it, on batches normalised first, and both count on our side though the peers leave normalising to the device. The pair
keras_cv has KerasCV's own RandAugment on the other side, between our decoding, crop and flip and our erasing, two batches
at a time; it needs no other environment. The pair large is train on 24 of the photos enlarged to 12 megapixels. The pair
shards has our own speed from PHOTOS on the other side and needs --shards: what `keras-imagenet prepare --folder PHOTOS
--max_side 400` made of them. The PSNR beside a kernel is that of evaluation's crop to Pillow's antialiased bilinear and
bicubic result, the mean over the photos.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tensorflow as tf

    from keras_imagenet.preset import Preset
    from keras_imagenet.settings import AugmentSettings

ROOT = Path(__file__).resolve().parent.parent
CROP = {"random_resized_crop": {}, "flip": "horizontal"}
VARIED = {**CROP, "rand_augment": "rand-m9-n2-mstd0.5-inc1", "random_erasing": {"mode": "const"}}
BATCH = 64
STOCK = "keras_cv_randaugment"
ORIGINALS = "ours_from_originals"
# Name: peer's case, kernel of theirs, ours: preset fields, augmentation or None for evaluation, the ratio to reach.
PAIRS = {
    "train": ("timm_train", {"kernel": "area"}, CROP, 2.3),
    "eval": ("timm_eval", {"kernel": "area"}, None, 3.0),
    "train_bicubic": ("timm_train", {"kernel": "bicubic"}, CROP, 1.4),
    "eval_bicubic": ("timm_eval", {"kernel": "bicubic"}, None, 1.8),
    "randaugment": ("timm_randaugment", {"kernel": "area"}, VARIED, 2.5),
    "keras_cv": (STOCK, {"kernel": "area"}, VARIED, 2.0),
    "large": ("timm_train", {"kernel": "area"}, CROP, 4.0),
    "shards": (ORIGINALS, {"kernel": "area"}, CROP, 1.5),
}
LARGE = (4000, 3000)


def ours(photos: str, name: str, seconds: float) -> float:
    """Images per second of our pipeline, or of the stock KerasCV layer behind it, in a process of its own."""
    sys.path.insert(0, str(ROOT))
    from keras_imagenet.data import benchmark
    from keras_imagenet.data.sources import open_source
    from keras_imagenet.preset import Preset
    from keras_imagenet.settings import AugmentSettings
    from keras_imagenet.settings.data import FolderSource, RecordsSource

    stock = name == STOCK
    _, fields, augmentation, _ = PAIRS["keras_cv" if stock else name]
    if stock:
        augmentation = {key: value for key, value in augmentation.items() if key != "rand_augment"}
    kind, which = (
        (RecordsSource, "records") if (Path(photos) / "dataset_info.json").exists() else (FolderSource, "folder")
    )
    source = open_source(kind(name=which, directory=Path(photos))).train
    settings, preset = AugmentSettings(**(augmentation or {})), Preset(**fields)
    steps = benchmark.stages(source, preset, settings, augmentation is not None)
    batches = benchmark.stream(steps["batch"], source, BATCH, 2, 0, "batch")
    if stock:
        batches = stock_rand_augment(batches)
    return 1 / benchmark.seconds_per_image(on_device(batches, settings, preset), BATCH, seconds)


def on_device(batches: "tf.data.Dataset", settings: "AugmentSettings", preset: "Preset") -> "Iterator[tf.Tensor]":
    """The batches, erased where that is asked for; what else training does on the device is not ours to measure."""
    import tensorflow as tf

    from keras_imagenet.data import mixing, order
    from keras_imagenet.data.images.normalise import normalise

    act = mixing.on_device(settings)
    if act is None:
        yield from batches
        return
    draw, targets = mixing.on_host(settings, preset, 0), tf.zeros((BATCH, 1))
    step = tf.function(lambda images, rows: act(normalise(images, preset), targets, rows)[0])
    for number, images in enumerate(batches.prefetch(2)):
        plan = order.training_plan(number, BATCH, 1_281_167, 0)
        rows = {"seeds": plan.seeds, **draw(number, plan)}
        yield step(images, {name: tf.constant(drawn) for name, drawn in rows.items()})


def stock_rand_augment(batches: "tf.data.Dataset") -> "tf.data.Dataset":
    """KerasCV's RandAugment with as many operations and about timm's strength."""
    import keras_cv
    import tensorflow as tf

    layer = keras_cv.layers.RandAugment(value_range=(0, 255), augmentations_per_image=2, magnitude=0.9, rate=0.5)
    return batches.map(lambda images: layer(tf.cast(images, tf.float32), training=True), num_parallel_calls=2).prefetch(
        2
    )


def peers(arguments: argparse.Namespace, case: str) -> float:
    """Images per second of a peer's loader."""
    command = [arguments.peers, arguments.loaders, arguments.photos, case, str(arguments.seconds), "2"]
    answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return json.loads(answer.splitlines()[-1])["images_per_second"]


def answer(command: list[str], environment: dict[str, str]) -> float:
    """The number that a command prints last."""
    printed = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
    return float(printed.splitlines()[-1])


def compare(arguments: argparse.Namespace, name: str) -> None:
    """Run both sides in turns and print one line."""
    case, fields, _, bar = PAIRS[name]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}

    def own(photos: str, which: str) -> float:
        command = [sys.executable, __file__, photos, "--ours", which, "--seconds", str(arguments.seconds)]
        return answer(command, environment)

    def other() -> float:
        if arguments.before:
            tool = str(arguments.before / "tools/compare_loaders.py")
            words = [arguments.photos, "--ours", name, "--seconds", str(arguments.seconds)]
            return answer([sys.executable, tool, *words], environment | {"PYTHONPATH": str(arguments.before)})
        if case == STOCK:
            return own(arguments.photos, STOCK)
        return own(arguments.photos, "train") if case == ORIGINALS else peers(arguments, case)

    rates = [
        (other(), own(arguments.shards if name == "shards" else arguments.photos, name))
        for _ in range(arguments.rounds)
    ]
    right, left = (statistics.median(side) for side in zip(*rates, strict=True))
    same = arguments.before or case in (STOCK, ORIGINALS)
    case, kernel = "before" if arguments.before else case, fields["kernel"] if same else "bicubic, antialiased"
    ratios = sorted(mine / theirs for theirs, mine in rates)
    print(
        f"{name}: ours {left:.0f}/s ({fields['kernel']}), {case} {right:.0f}/s ({kernel}): ratio {left / right:.2f}"
        f" ({ratios[0]:.2f}-{ratios[-1]:.2f} over {len(ratios)} rounds), wanted {bar}",
        flush=True,
    )


def quality(photos: str, kernel: str) -> str:
    """PSNR of evaluation's crop to Pillow's, in words."""
    import numpy as np
    from PIL import Image

    sys.path.insert(0, str(ROOT))
    from keras_imagenet.data import images
    from keras_imagenet.preset import Preset

    preset = Preset(kernel=kernel)
    found: dict[str, list[float]] = {"bilinear": [], "bicubic": []}
    for path in sorted(path for path in Path(photos).glob("*/*") if path.is_file()):
        image = Image.open(path).convert("RGB")
        short = round(preset.size[0] / preset.crop_fraction)
        scale = short / min(image.size)
        size = [short if side == min(image.size) else int(side * scale) for side in image.size]
        left, top = (round((side - preset.size[0]) / 2) for side in size)
        crop = images.evaluation_crops([path.read_bytes()], preset)[0].numpy().astype(float)
        for name, errors in found.items():
            resized = image.resize(size, getattr(Image.Resampling, name.upper()))
            expected = np.asarray(resized.crop((left, top, left + preset.size[1], top + preset.size[0])))
            errors.append(10 * np.log10(255**2 / max(np.mean((crop - expected) ** 2), 1e-9)))
    told = ", ".join(f"{np.mean(errors):.1f} dB to {name}" for name, errors in found.items())
    return f"PSNR of {kernel} to Pillow's antialiased result: {told}"


def enlarged(photos: str, folder: str) -> str:
    """24 of the photos at 12 megapixels, in class folders."""
    from PIL import Image

    for path in sorted(path for path in Path(photos).glob("*/*") if path.is_file())[:24]:
        target = Path(folder) / path.parent.name / f"{path.stem}.jpg"
        target.parent.mkdir(exist_ok=True)
        image = Image.open(path).convert("RGB")
        size = LARGE if image.width >= image.height else LARGE[::-1]
        image.resize(size, Image.Resampling.BICUBIC).save(target, quality=90)
    return folder


def main() -> None:
    """Compare every pair, or answer for our side of one."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos")
    parser.add_argument("--peers", help="Python of the environment with torch, torchvision and timm")
    parser.add_argument("--before", type=Path, metavar="CHECKOUT", help="the other side: another checkout")
    parser.add_argument("--loaders", help="the peers' loaders.py")
    parser.add_argument("--shards", help="what `prepare --max_side 400` made of PHOTOS")
    parser.add_argument("--pairs", nargs="*", default=list(PAIRS), choices=list(PAIRS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--ours", choices=[*PAIRS, STOCK, ORIGINALS], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.ours:
        print(ours(arguments.photos, arguments.ours, arguments.seconds))
        return
    for kernel in dict.fromkeys(PAIRS[name][1]["kernel"] for name in arguments.pairs):
        print(quality(arguments.photos, kernel), flush=True)
    for name in arguments.pairs:
        if name == "shards" and not arguments.shards:
            print("shards: left out, for want of --shards")
        elif name == "large":
            with tempfile.TemporaryDirectory() as folder:
                compare(argparse.Namespace(**{**vars(arguments), "photos": enlarged(arguments.photos, folder)}), name)
        else:
            compare(arguments, name)


if __name__ == "__main__":
    main()
