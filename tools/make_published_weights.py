"""What torchvision's and timm's published weights were evaluated with: models/weights/published.csv; and which are the best.

    python tools/make_published_weights.py           write published.csv
    python tools/make_published_weights.py --best    and only say in catalogue.csv which weights of a network are best

The first needs torch, torchvision and timm. Read from torchvision's weights' metadata and timm's default configurations; a row
a set of weights, the first of a network being what is taken for a file whose name says nothing.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path, PurePosixPath

MODELS = Path(__file__).resolve().parent.parent / "keras_imagenet" / "models"
COLUMNS = ("origin", "name", "file", "size", "crop_fraction", "kernel", "mean", "std", "weights")
TRANSFORMED = ("googlenet", "inception_v3")
"""torchvision's networks that turn its usual normalisation into mean and deviation 0.5 inside, with these weights."""
REGNETS = ("400mf", "800mf", "1_6gf", "3_2gf", "8gf", "16gf", "32gf")

TIMM_NAMES = {
    "mnasnet_a1": "semnasnet_100",
    "mobilenet_v2": "mobilenetv2_100",
    "mobilenet_v3_small": "mobilenetv3_small_100",
    "mobilenet_v3_large": "mobilenetv3_large_100",
    "vit_b_16": "vit_base_patch16_224",
    "vit_b_32": "vit_base_patch32_224",
    "vit_l_16": "vit_large_patch16_224",
    "swin_t": "swin_tiny_patch4_window7_224",
    "swin_s": "swin_small_patch4_window7_224",
    "swin_b": "swin_base_patch4_window7_224",
    "swin_v2_t": "swinv2_tiny_window8_256",
    "swin_v2_s": "swinv2_small_window8_256",
    "swin_v2_b": "swinv2_base_window8_256",
    **{
        f"regnet_{kind}_{ours}": f"regnet{kind}_{theirs}"
        for kind in "xy"
        for ours, theirs in zip(REGNETS, ("004", "008", "016", "032", "080", "160", "320"), strict=True)
    },
    **{f"vgg{depth}{norm}": f"vgg{depth}{norm}" for depth in (11, 13, 16, 19) for norm in ("", "_bn")},
}


INSTALLED = ("efficientnet_lite0",)
"""Networks whose weights keras-imagenet's installation brings."""
NOT_FREE = "SWAG"
"""In the name of weights that may not be used commercially (CC-BY-NC 4.0)."""


def main() -> None:
    """Write the table, or the catalogue's column of the best."""
    if "--best" in sys.argv:
        _write_best()
        return
    with (MODELS / "catalogue.csv").open(encoding="utf-8", newline="") as file:
        names = [row["name"] for row in csv.DictReader(file)]
    rows = [row for name in names for row in (*_torchvision(name), *_timm(name))]
    with (MODELS / "weights" / "published.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _write_best() -> None:
    path = MODELS / "catalogue.csv"
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    with (MODELS / "weights" / "published.csv").open(encoding="utf-8", newline="") as file:
        tags = {row["name"]: row["weights"] for row in csv.DictReader(file) if row["origin"] == "timm"}
    for row in rows:
        row["published"] = _best(row, tags.get(row["name"], ""))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _best(row: dict[str, str], timm_tag: str) -> str:
    """What `model.weights` calls them: of those in the network's own library, the highest top-1; empty if there are none."""
    library, _, called = row["source"].partition(" ")
    called = called.partition(" ")[2]
    figures = {tag: float(top1) for tag, _, top1 in (entry.rpartition("=") for entry in row["top1"].split())}
    best = max((tag for tag in figures if NOT_FREE not in tag), key=figures.get, default="")
    if row["name"] in INSTALLED:
        return "installed"
    if library == "torchvision":
        return f"torchvision:{row['name']}.{best}" if best else ""
    if library == "timm":
        tag = best.partition("@")[0] or (f"{called}.{timm_tag}" if timm_tag not in ("", "untrained") else "")
        return f"timm:{tag}" if tag else ""
    return "keras" if library == "keras" else ""


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
