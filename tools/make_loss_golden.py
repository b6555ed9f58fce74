"""Writes tests/golden/class_weights.npz: PyTorch's cross-entropy with class weights, and its gradient.

    python tools/make_loss_golden.py tests/golden/class_weights.npz

Needs torch (2.13 wrote the file that is committed). Targets are probabilities: hard, smoothed by 0.1 and mixed in pairs.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional


def make(file: Path) -> None:
    """logits, targets [12, 5], weights [5]; losses [12] and the gradient [12, 5] of their sum."""
    generator = torch.Generator().manual_seed(0)
    logits = (3 * torch.randn(12, 5, generator=generator)).requires_grad_()
    targets = functional.one_hot(torch.arange(12) % 5, 5).float()
    targets[4:8] = 0.9 * targets[4:8] + 0.1 / 5
    share = torch.rand(4, 1, generator=generator)
    targets[8:] = share * targets[8:] + (1 - share) * targets[8:].flip(0)
    weights = torch.tensor([0.25, 0.5, 1.0, 2.0, 7.0])
    losses = functional.cross_entropy(logits, targets, weight=weights, reduction="none")
    losses.sum().backward()
    arrays = {"logits": logits, "targets": targets, "weights": weights, "losses": losses, "gradient": logits.grad}
    np.savez(file, **{name: value.detach().numpy() for name, value in arrays.items()})


if __name__ == "__main__":
    make(Path(sys.argv[1]))
