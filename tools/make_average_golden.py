"""Writes tests/golden/averages.npz: averages of a weight over 40 steps by timm's ModelEmaV3 and torch's swa_utils.

    python tools/make_average_golden.py tests/golden/averages.npz

Needs torch and timm (2.13 and 1.0.31 wrote the file that is committed); float64. The weight is 0 at first. Torchvision's
average is torch's AveragedModel with the lines of references/classification/{utils,train}.py: batch 8, 10 steps an epoch,
4 epochs, an update every 4 steps, the first epoch a warm-up.
"""

import contextlib
import sys
from pathlib import Path

import numpy as np

with contextlib.suppress(ImportError):
    import torchvision_cpu_ops  # noqa: F401  lets a CUDA build of torchvision load beside a CPU build of torch
import torch
from timm.utils import ModelEmaV3
from torch.optim.swa_utils import AveragedModel, get_ema_avg_fn

STEPS, STEPS_PER_EPOCH, EPOCHS, BATCH, EVERY = 40, 10, 4, 8, 4


def model() -> torch.nn.Module:
    """One weight, 0."""
    made = torch.nn.Linear(1, 1, bias=False).double()
    torch.nn.init.zeros_(made.weight)
    return made


def timm(values: np.ndarray, **options) -> list[float]:
    """After each step."""
    weights, found = model(), []
    average = ModelEmaV3(weights, decay=0.8, foreach=False, **options)
    for number, value in enumerate(values):
        weights.weight.data.fill_(value)
        average.update(weights, step=number + 1)
        found.append(average.module.weight.item())
    return found


def torchvision(values: np.ndarray, decay: float) -> list[float]:
    """After each step."""
    weights, found = model(), []
    alpha = min(1.0, (1.0 - decay) * BATCH * EVERY / EPOCHS)
    average = AveragedModel(weights, avg_fn=get_ema_avg_fn(1.0 - alpha))
    for number, value in enumerate(values):
        weights.weight.data.fill_(value)
        if number % STEPS_PER_EPOCH % EVERY == 0:
            average.update_parameters(weights)
            if number // STEPS_PER_EPOCH < 1:
                average.n_averaged.fill_(0)
        found.append(average.module.weight.item())
    return found


def swa(values: np.ndarray, first: int) -> list[float]:
    """At the end of each epoch from the first on, counted from 1."""
    weights, found = model(), []
    average = AveragedModel(weights)
    for epoch in range(first, EPOCHS + 1):
        weights.weight.data.fill_(values[epoch * STEPS_PER_EPOCH - 1])
        average.update_parameters(weights)
        found.append(average.module.weight.item())
    return found


def main(file: Path) -> None:
    """values [40] of the weight after each step, and averages."""
    values = np.cumsum(np.random.default_rng(0).normal(0.3, 1, STEPS))
    arrays = {
        "values": values,
        "timm": timm(values, use_warmup=True),
        "timm late": timm(values, use_warmup=True, warmup_gamma=2.0, warmup_power=0.75, update_after_step=5),
        "constant": timm(values),
        "torchvision": torchvision(values, 0.96),
        "swa": swa(values, 2),
    }
    np.savez_compressed(file, **arrays)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
