"""A network of torchvision or timm at full size, its weights and its answers; run by the peers' Python.

    python torch_network.py torchvision|timm NAME FOLDER float32|float64

Reads FOLDER/images.npz (images0, images1, ...: float32 [n, height, width, 3]); writes FOLDER/NAME.pth or .safetensors,
and FOLDER/logits.npz (logits0, logits1, ...).
Weights are float32; the precision is what is computed in.

Weights are the library's own random ones, and what it starts at a constant (zeros, ones, layer scales) is random, too.
Norms' statistics are those of images that went through the network, and then moved, and the head is scaled: so
activations keep their size through any depth, and no two tensors of one shape can be mistaken for each other.
"""

from __future__ import annotations

import contextlib
import inspect
import sys
from pathlib import Path

import numpy as np
import torch

with contextlib.suppress(ImportError):
    import torchvision_cpu_ops  # noqa: F401  declares torchvision's own operations where they were not compiled

import timm
import torchvision
from safetensors.torch import save_file
from torch import nn

LARGEST = 4.0
"""Of the logits, about what trained networks answer."""


def main(library: str, name: str, folder: Path, precision: torch.dtype) -> None:
    """Write weights and answers."""
    torch.manual_seed(0)
    torch.set_num_threads(2)
    images = {key: _channels_first(batch) for key, batch in np.load(folder / "images.npz").items()}
    network = _network(library, name).eval()
    with torch.no_grad():
        _randomise(network)
        _settle(network, list(images.values()))
        network.to(precision)
        answers = {key.replace("images", "logits"): network(batch.to(precision)) for key, batch in images.items()}
    np.savez(folder / "logits.npz", **{key: logits.numpy() for key, logits in answers.items()})
    state = {key: tensor.contiguous() for key, tensor in network.float().state_dict().items()}
    if library == "timm":
        save_file(state, folder / f"{name}.safetensors")
    else:
        torch.save(state, folder / f"{name}.pth")


def _network(library: str, name: str) -> nn.Module:
    if library == "torchvision":
        builder = torchvision.models.get_model_builder(name)
        # Theirs takes minutes to draw, and is not needed.
        slow = {"init_weights": False} if "init_weights" in inspect.signature(builder).parameters else {}
        options = {"init_weights": False} if name in ("googlenet", "inception_v3") else slow
        return builder(weights=None, **options)
    # A position embedding that follows the size of the images.
    return timm.create_model(name, **({"dynamic_img_size": True} if name.startswith(("vit", "deit")) else {}))


def _randomise(network: nn.Module) -> None:
    for tensor in network.parameters():
        first = tensor.flatten()[0]
        if tensor.numel() > 1 and not torch.equal(tensor, first.expand_as(tensor)):
            continue
        if first == 0:
            fan_in = tensor[0].numel() if tensor.dim() == 2 else 100
            tensor.normal_(0, fan_in**-0.5)
        else:
            tensor.uniform_(0.5, 1.5)


def _settle(network: nn.Module, batches: list[torch.Tensor]) -> None:
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.train()
        norm.momentum = 1.0
    if norms:
        network(torch.cat([batches[0], torch.randn_like(batches[0])]))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.eval()
        norm.momentum = momentum
        norm.running_mean += 0.1 * torch.randn_like(norm.running_mean) * norm.running_var.sqrt()
        norm.running_var *= torch.empty_like(norm.running_var).uniform_(0.8, 1.25)
    last = [module for module in network.modules() if isinstance(module, nn.Linear | nn.Conv2d)][-1]
    largest = max(network(batch).abs().max() for batch in batches)
    for tensor in last.parameters():
        tensor *= LARGEST / largest


def _channels_first(images: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), getattr(torch, sys.argv[4]))
