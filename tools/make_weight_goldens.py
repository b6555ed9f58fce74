"""Weights and answers of networks that torch built: what our converters and builders are held to without torch.

    python tools/make_weight_goldens.py                                   tests/golden/weights: tiny networks
    python tools/make_weight_goldens.py --real timm efficientnet_b0 FOLDER   a whole network with random weights

Needs torch, torchvision and timm. Weights are random, norms' statistics too, and rounded to half precision, so that
small files hold them exactly. A golden is ORIGIN_FAMILY.pth or .safetensors and ORIGIN_FAMILY.npz, with images0 and
logits0, and images1 and logits1 of another size where the network takes one; images [n, height, width, 3].
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import timm
import torch
import torchvision
from safetensors.torch import save_file
from tiny_classic_networks import tiny_classic_networks
from tiny_convolutional_networks import tiny_convolutional_networks
from tiny_inception_networks import tiny_inception_networks
from tiny_transformers import tiny_transformers
from torch import nn

GOLDEN = Path(__file__).resolve().parent.parent / "tests" / "golden" / "weights"
CLASSES = 5

TINY = (tiny_classic_networks, tiny_inception_networks, tiny_convolutional_networks, tiny_transformers)
"""Networks by ORIGIN_FAMILY, for a number of classes; tests/models/weights/test_goldens.py has our variant for each."""

SIZES = {
    "torchvision_alexnet": (64, 97),
    "torchvision_vit": (32,),
    "plain_vit": (32, 48),
    "timm_vit": (32, 48),
    "timm_vit_scaled": (32, 48),
    "timm_vit_distilled": (32, 48),
    "timm_deit3": (32, 48),
    "timm_mlp_mixer": (32,),
    "torchvision_swin": (32, 52),  # 8 and 13 pixels a side in windows of 4
    "timm_swin": (64, 96),  # where windows do not fit, timm shifts before it fills up, torchvision after
    "torchvision_swin_v2": (32, 52),
    "timm_swin_v2": (64,),
    "torchvision_inception_v3": (75, 82),
}
"""Sizes of images; others take any."""


def main() -> None:
    """Write the goldens, or one real network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real", nargs=3, metavar=("LIBRARY", "NAME", "FOLDER"))
    parser.add_argument("--size", type=int, nargs="+", default=[64, 97])
    arguments = parser.parse_args()
    torch.set_num_threads(2)
    if arguments.real:
        library, name, folder = arguments.real
        network = timm.create_model(name) if library == "timm" else torchvision.models.get_model(name, weights=None)
        write(network, f"{library}_{name}", Path(folder), arguments.size)
        return
    GOLDEN.mkdir(parents=True, exist_ok=True)
    for networks in TINY:
        for name, network in networks(CLASSES).items():
            write(network, name, GOLDEN, SIZES.get(name, (32, 49)))


def write(network: nn.Module, name: str, folder: Path, sizes: list[int] | tuple[int, ...]) -> None:
    """NAME.npz, and NAME.safetensors for timm's, in torch's older layout for the plain ViT, else .pth."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for key, tensor in network.state_dict().items():
            # What follows from the size of a window is no weight.
            if tensor.is_floating_point() and not key.endswith("coords_table"):
                tensor.copy_(_random(key, tensor.shape, generator).half().float())
    state = {
        key: tensor.half() if tensor.is_floating_point() else tensor for key, tensor in network.state_dict().items()
    }
    if name.startswith("timm"):
        save_file({key: tensor.contiguous() for key, tensor in state.items()}, folder / f"{name}.safetensors")
    else:
        path = folder / f"{name}.pth"
        torch.save(state, path, _use_new_zipfile_serialization=name != "plain_vit")
    answers = {}
    network.eval()
    for number, size in enumerate(sizes):
        images = torch.randn(2, 3, size, size, generator=generator).half().float()
        with torch.no_grad():
            logits = network(images)
        answers[f"images{number}"] = images.permute(0, 2, 3, 1).numpy().astype(np.float16)
        answers[f"logits{number}"] = logits.numpy()
    np.savez_compressed(folder / f"{name}.npz", **answers)


def _random(key: str, shape: torch.Size, generator: torch.Generator) -> torch.Tensor:
    """Values that keep activations near 1: variances and factors above 0, kernels by what feeds them."""
    if key.endswith("running_var") or (key.endswith("weight") and len(shape) == 1):
        return torch.rand(shape, generator=generator) + 0.5
    values = torch.randn(shape, generator=generator)
    fan_in = max(1, shape[1:].numel()) if len(shape) > 1 else 100
    if key.endswith("logit_scale"):
        return 0.3 * values + 2.3
    return values * (0.3 if "pos" in key or "token" in key or len(shape) == 3 else fan_in**-0.5)


if __name__ == "__main__":
    main()
