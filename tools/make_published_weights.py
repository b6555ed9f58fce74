"""What torchvision's and timm's published weights were evaluated with: models/weights/published.csv.

    python tools/make_published_weights.py

Needs torch, torchvision and timm. Read from torchvision's weights' metadata and timm's default configurations; a row
a set of weights, the first of a network being what is taken for a file whose name says nothing.
"""

from __future__ import annotations

import csv
from pathlib import Path, PurePosixPath

MODELS = Path(__file__).resolve().parent.parent / "keras_imagenet" / "models"
COLUMNS = ("origin", "name", "file", "size", "crop_fraction", "kernel", "mean", "std", "weights")
TRANSFORMED = ("googlenet", "inception_v3")
"""torchvision's networks that turn its usual normalisation into mean and deviation 0.5 inside, with these weights."""

TIMM_NAMES = {
    "mobilenet_v2": "mobilenetv2_100",
    "mobilenet_v3_small": "mobilenetv3_small_100",
    "mobilenet_v3_large": "mobilenetv3_large_100",
    "vit_b_16": "vit_base_patch16_224",
    "vit_b_32": "vit_base_patch32_224",
    "vit_l_16": "vit_large_patch16_224",
    "swin_t": "swin_tiny_patch4_window7_224",
    "swin_s": "swin_small_patch4_window7_224",
    "swin_b": "swin_base_patch4_window7_224",
    **{
        f"regnet_x_{ours}": f"regnetx_{theirs}"
        for ours, theirs in zip(
            ("400mf", "800mf", "1_6gf", "3_2gf", "8gf", "16gf"), ("004", "008", "016", "032", "080", "160"), strict=True
        )
    },
    **{
        f"regnet_y_{ours}": f"regnety_{theirs}"
        for ours, theirs in zip(
            ("400mf", "800mf", "1_6gf", "3_2gf", "8gf", "16gf"), ("004", "008", "016", "032", "080", "160"), strict=True
        )
    },
    **{f"vgg{depth}{norm}": f"vgg{depth}{norm}" for depth in (11, 13, 16, 19) for norm in ("", "_bn")},
}


def main() -> None:
    """Write the table."""
    with (MODELS / "catalogue.csv").open(encoding="utf-8", newline="") as file:
        names = [row["name"] for row in csv.DictReader(file)]
    rows = [row for name in names for row in (*_torchvision(name), *_timm(name))]
    with (MODELS / "weights" / "published.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _torchvision(name: str) -> list[dict[str, object]]:
    import torchvision

    if name not in torchvision.models.list_models(module=torchvision.models):
        return []
    rows = []
    for weights in torchvision.models.get_model_weights(name):
        use = weights.transforms()
        halves = (0.5,) * 3
        mean, std = (halves, halves) if name in TRANSFORMED else (use.mean, use.std)
        size, resized = use.crop_size[0], use.resize_size[0]
        rows.append(
            _row(
                "torchvision",
                name,
                PurePosixPath(weights.url).stem,
                size,
                size / resized,
                use.interpolation.value,
                mean,
                std,
                weights.name,
            )
        )
    return rows


def _timm(name: str) -> list[dict[str, object]]:
    import timm
    from timm.models import get_pretrained_cfg

    theirs = TIMM_NAMES.get(name, name)
    configuration = get_pretrained_cfg(theirs) if timm.is_model(theirs) else None
    if configuration is None:
        return []
    kernel = configuration.interpolation
    return [
        _row(
            "timm",
            name,
            "",
            configuration.input_size[-1],
            configuration.crop_pct,
            kernel if kernel in ("bilinear", "bicubic") else "bicubic",
            configuration.mean,
            configuration.std,
            configuration.tag or "",
        )
    ]


def _row(origin, name, file, size, crop_fraction, kernel, mean, std, weights) -> dict[str, object]:
    numbers = {"mean": " ".join(map(str, mean)), "std": " ".join(map(str, std))}
    return dict(
        zip(
            COLUMNS,
            (origin, name, file, size, round(crop_fraction, 6), kernel, *numbers.values(), weights),
            strict=True,
        )
    )


if __name__ == "__main__":
    main()
