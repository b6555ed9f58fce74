"""Writes tests/golden/schedules.npz: learning rates of whole runs by torch's, timm's and Keras' schedulers and by sources' own lines.

    python tools/make_schedule_golden.py tests/golden/schedules.npz

Needs torch and timm (2.13 and 1.0.31 wrote the file that is committed). Runs have 10 steps an epoch. A scheduler of torch or
timm that steps once an epoch gives an epoch's ten steps one rate. Where a source has a function of its own, its formula
is written out here, named with its file.
"""

import contextlib
import math
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np

with contextlib.suppress(ImportError):
    import torchvision_cpu_ops  # noqa: F401  lets a CUDA build of torchvision load beside a CPU build of torch
import torch
from timm.scheduler import CosineLRScheduler
from torch.optim import lr_scheduler as of_torch

STEPS = 10
LOSSES = (1.0, 0.9, 0.9, 0.89999, 0.95, 0.5, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 0.4, 0.45, 0.45, 0.45)


def optimizer(rate: float = 0.4) -> torch.optim.Optimizer:
    """One weight at a peak rate."""
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], rate)


def by_epoch(rates: Iterable[float]) -> np.ndarray:
    """An epoch's rate at each of its steps."""
    return np.repeat(list(rates), STEPS)


def stepped(made: torch.optim.Optimizer, scheduler: of_torch.LRScheduler, times: int) -> list[float]:
    """Rates at times 0, 1, ..."""
    found = []
    for _ in range(times):
        found.append(made.param_groups[0]["lr"])
        made.step()
        scheduler.step()
    return found


def torchvision(epochs: int, warmup: int, final: float) -> np.ndarray:
    """references/classification/train.py: LinearLR and CosineAnnealingLR in turn, once an epoch."""
    made = optimizer()
    first = of_torch.LinearLR(made, start_factor=0.01, total_iters=warmup)
    second = of_torch.CosineAnnealingLR(made, T_max=epochs - warmup, eta_min=final)
    return by_epoch(stepped(made, of_torch.SequentialLR(made, [first, second], milestones=[warmup]), epochs))


def deit(epochs: int) -> np.ndarray:
    """timm's cosine over the whole run, its warm-up from an absolute rate over the start."""
    scheduler = CosineLRScheduler(optimizer(), t_initial=epochs, lr_min=1e-3, warmup_t=5, warmup_lr_init=1e-4)
    return by_epoch(scheduler._get_lr(epoch)[0] for epoch in range(epochs))


def restarts() -> np.ndarray:
    """timm's cosine with restarts every four epochs."""
    scheduler = CosineLRScheduler(optimizer(), t_initial=4, cycle_limit=3, lr_min=0.04)
    return by_epoch(scheduler._get_lr(epoch)[0] for epoch in range(12))


def nvidia(epochs: int, warmup: int) -> np.ndarray:
    """DeepLearningExamples, image_classification/optimizers.py, lr_cosine_policy."""
    rates = [
        0.4 * (epoch + 1) / warmup
        if epoch < warmup
        else 0.5 * (1 + np.cos(np.pi * (epoch - warmup) / (epochs - warmup))) * 0.4
        for epoch in range(epochs)
    ]
    return by_epoch(rates)


def pycls(epochs: int, warmup: int) -> np.ndarray:
    """pycls/core/optimizer.py, get_epoch_lr: the cosine times the warm-up's factor, from 0.1."""
    rates = []
    for epoch in range(epochs):
        rate = 0.4 * 0.5 * (1 + np.cos(np.pi * epoch / epochs))
        rates.append(rate * (0.1 * (1 - epoch / warmup) + epoch / warmup) if epoch < warmup else rate)
    return by_epoch(rates)


def convnext(epochs: int, warmup: int) -> np.ndarray:
    """ConvNeXt's utils.py, cosine_scheduler: numpy.linspace to the peak, then the cosine over the other steps."""
    steps = np.arange(STEPS * (epochs - warmup))
    cosine = [0.01 + 0.5 * (0.4 - 0.01) * (1 + math.cos(math.pi * i / len(steps))) for i in steps]
    return np.concatenate((np.linspace(0, 0.4, STEPS * warmup), cosine))


def model_garden(epochs: int, warmup: int) -> np.ndarray:
    """tf-models-official, optimization/lr_schedule.py: LinearWarmup to the staircase's value at its last step."""
    total, ramp = STEPS * epochs, STEPS * warmup
    rates = 0.4 * 0.96 ** np.floor(np.arange(total + 1) / 25)
    return np.where(np.arange(total) < ramp, rates[ramp] * np.arange(total) / ramp, rates[:total])


def efficientnet(epochs: int, warmup: int) -> np.ndarray:
    """tensorflow/tpu, efficientnet/utils.py, build_learning_rate: a staircase every 2.4 epochs, warmed up to the peak."""
    steps = np.arange(STEPS * epochs)
    return np.where(steps < STEPS * warmup, 0.4 * steps / (STEPS * warmup), 0.4 * 0.97 ** (steps // 24))


def ffcv(epochs: int) -> np.ndarray:
    """rn50 training script: numpy.interp over epochs, then over an epoch's steps."""
    found = []
    for epoch in range(epochs):
        ends = np.interp([epoch, epoch + 1], [0, 2, epochs], [1e-4 * 0.4, 0.4, 0])
        found.append(np.interp(np.arange(STEPS), [0, STEPS], ends))
    return np.concatenate(found)


def big_vision(total: int, warmup: int) -> dict[str, np.ndarray]:
    """big_vision/utils.py, create_learning_rate_schedule: cosine, and linear to 1e-5 of the peak."""
    steps = np.arange(total)
    progress = np.clip((steps - warmup) / (total - warmup), 0, 1)
    warm = np.minimum(1, steps / warmup)
    return {
        "big_vision cosine": 0.4 * 0.5 * (1 + np.cos(np.pi * progress)) * warm,
        "big_vision linear": 0.4 * (1e-5 + (1 - 1e-5) * (1 - progress)) * warm,
    }


def plateau() -> np.ndarray:
    """The rate of each epoch, the first before any loss."""
    made = optimizer()
    options = {"factor": 0.5, "patience": 1, "threshold": 1e-4, "cooldown": 1, "min_lr": 0.06, "eps": 0}
    scheduler, found = of_torch.ReduceLROnPlateau(made, **options), []
    for loss in (*LOSSES, None):
        found.append(made.param_groups[0]["lr"])
        if loss is not None:
            scheduler.step(loss)
    return np.array(found)


def one_cycle(**options) -> np.ndarray:
    """At each of 100 steps."""
    made = optimizer()
    return np.array(stepped(made, of_torch.OneCycleLR(made, 0.4, total_steps=100, **options), 99))


def main(file: Path) -> None:
    """A curve a name, float64."""
    made = optimizer()
    swin = np.concatenate((0.4 * np.arange(30) / 30, 0.01 + 0.39 * (1 + np.cos(np.pi * np.arange(70) / 70)) / 2))
    curves = {
        "torchvision v1": by_epoch(stepped(made, of_torch.StepLR(made, 3, 0.1), 10)),
        "torchvision v2": torchvision(20, 5, 0.0),
        "torchvision swin": torchvision(20, 5, 0.01),
        "deit": deit(20),
        "restarts": restarts(),
        "nvidia": nvidia(20, 8),
        "pycls": pycls(20, 5),
        "convnext": convnext(10, 3),
        "swin": swin,
        "model garden": model_garden(10, 2),
        "efficientnet": efficientnet(10, 3),
        "ffcv": ffcv(8),
        "plateau losses": np.array(LOSSES),
        "plateau": plateau(),
        "one cycle": one_cycle(),
        "one cycle linear": one_cycle(pct_start=0.23, anneal_strategy="linear", div_factor=5, final_div_factor=4),
        **big_vision(100, 25),
    }
    np.savez_compressed(file, **curves)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
