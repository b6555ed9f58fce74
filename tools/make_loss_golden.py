"""Writes tests/golden/losses.npz: losses of PyTorch, timm and torchvision, and their gradients.

    python tools/make_loss_golden.py tests/golden/losses.npz

Needs torch and timm (2.13 and 1.0.31 wrote the file that is committed). The cross-entropy's targets are probabilities: hard,
smoothed by 0.1 and mixed in pairs. The Jensen-Shannon loss is of the twelve rows as four examples and two views of each.
"""

import contextlib
import sys
from pathlib import Path

import numpy as np

with contextlib.suppress(ImportError):
    import torchvision_cpu_ops  # noqa: F401  lets a CUDA build of torchvision load beside a CPU build of torch
import torch
from timm.loss import BinaryCrossEntropy, JsdCrossEntropy
from torch.nn import functional
from torchvision.ops import sigmoid_focal_loss


def make(file: Path) -> None:
    """logits, targets [12, 5], weights [5]; losses [12], the gradient [12, 5] of their sum; jsd [] and its gradient [12, 5]."""
    generator = torch.Generator().manual_seed(0)
    logits = (3 * torch.randn(12, 5, generator=generator)).requires_grad_()
    targets = functional.one_hot(torch.arange(12) % 5, 5).float()
    targets[4:8] = 0.9 * targets[4:8] + 0.1 / 5
    share = torch.rand(4, 1, generator=generator)
    targets[8:] = share * targets[8:] + (1 - share) * targets[8:].flip(0)
    weights = torch.tensor([0.25, 0.5, 1.0, 2.0, 7.0])
    losses = functional.cross_entropy(logits, targets, weight=weights, reduction="none")
    losses.sum().backward()
    repeated = logits.detach().clone().requires_grad_()
    # Its cross-entropy, of the first four rows, is taken off: what remains is the mean divergence over them.
    loss = JsdCrossEntropy(num_splits=3, alpha=12, smoothing=0.0)(repeated, torch.arange(4))
    jsd = (loss - functional.cross_entropy(repeated[:4], torch.arange(4))) / 12
    jsd.backward()
    arrays = {
        "logits": logits,
        "targets": targets,
        "weights": weights,
        "losses": losses,
        "gradient": logits.grad,
        "jsd": jsd,
        "jsd_gradient": repeated.grad,
    }
    binary = {
        "binary_sum": lambda x: BinaryCrossEntropy(sum_classes=True)(x, targets),
        "binary_mean": lambda x: BinaryCrossEntropy()(x, targets),
        "binary_threshold": lambda x: BinaryCrossEntropy(target_threshold=0.0)(x, mixed),
        "binary_weights": lambda x: BinaryCrossEntropy(weight=weights)(x, targets),
        "focal": lambda x: sigmoid_focal_loss(x, targets, alpha=-1, gamma=2).sum() / len(x),
        "focal_alpha": lambda x: sigmoid_focal_loss(x, targets, alpha=0.25, gamma=3).mean(),
    }
    mixed = torch.where(targets > 0.03, targets, 0)  # as mixing leaves them: 0 where neither image is of the class
    for name, loss in binary.items():
        repeated = logits.detach().clone().requires_grad_()
        arrays[name] = loss(repeated)
        arrays[name].backward()
        arrays[f"{name}_gradient"] = repeated.grad
    arrays["mixed"] = mixed
    np.savez(file, **{name: value.detach().numpy() for name, value in arrays.items()})


if __name__ == "__main__":
    make(Path(sys.argv[1]))
