"""Writes tests/golden/rules.npz: a kernel and a bias after 100 steps of torch's and timm's optimizers, gradients clipped by timm.

    python tools/make_rule_golden.py tests/golden/rules.npz

Needs torch and timm (2.13 and 1.0.31 wrote the file that is committed); all in float64. The kernel is [inputs, outputs] as
in Keras, and decayed; the bias is not. Rates change at every step.
"""

import contextlib
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

with contextlib.suppress(ImportError):
    import torchvision_cpu_ops  # noqa: F401  lets a CUDA build of torchvision load beside a CPU build of torch
import torch
from timm.optim import Lamb, Lars, Lion, RMSpropTF
from timm.utils.agc import adaptive_clip_grad

STEPS, DECAY = 100, 0.02
OPTIMIZERS: dict[str, Callable] = {
    "sgd": lambda groups: torch.optim.SGD(groups, 0.1, momentum=0.9),
    "nesterov": lambda groups: torch.optim.SGD(groups, 0.1, momentum=0.9, nesterov=True),
    "rmsprop torch": lambda groups: torch.optim.RMSprop(groups, 0.1, alpha=0.9, momentum=0.9, eps=0.0316),
    "rmsprop tensorflow": lambda groups: RMSpropTF(groups, 0.1, alpha=0.9, momentum=0.9, eps=0.001),
    "adamw torch": lambda groups: torch.optim.AdamW(groups, 0.1, betas=(0.8, 0.95), eps=0.01),
    "lamb": lambda groups: Lamb(groups, 0.1, betas=(0.9, 0.99), eps=1e-6),
    "lars torch": lambda groups: Lars(groups, 0.1, momentum=0.9, trust_coeff=0.02, eps=0),
    "lion": lambda groups: Lion(groups, 0.1, betas=(0.9, 0.99)),
}


def trained(make: Callable, kernel: np.ndarray, bias: np.ndarray, gradients: np.ndarray, rates: np.ndarray) -> list:
    """Kernel and bias after a step at each rate."""
    weights = [torch.nn.Parameter(torch.from_numpy(value.copy())) for value in (kernel, bias)]
    groups = [{"params": [weights[0]], "weight_decay": DECAY}, {"params": [weights[1]], "weight_decay": 0.0}]
    optimizer = make(groups)
    for gradient, rate in zip(gradients, rates, strict=True):
        weights[0].grad = torch.from_numpy(gradient[: kernel.size].reshape(kernel.shape).copy())
        weights[1].grad = torch.from_numpy(gradient[kernel.size :].copy())
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
    return [weight.detach().numpy() for weight in weights]


def lars(kernel: np.ndarray, gradients: np.ndarray, rates: np.ndarray, *, nesterov: bool) -> np.ndarray:
    """timm's Lars with the rate inside the momentum, as the paper has it: at a rate of 1 the trust coefficient carries it."""
    weight = torch.nn.Parameter(torch.from_numpy(kernel.copy()))
    optimizer = Lars([weight], 1.0, momentum=0.9, weight_decay=DECAY, nesterov=nesterov, eps=0)
    for gradient, rate in zip(gradients, rates, strict=True):
        weight.grad = torch.from_numpy(gradient[: kernel.size].reshape(kernel.shape).copy())
        optimizer.param_groups[0]["trust_coeff"] = 0.02 * rate
        optimizer.step()
    return weight.detach().numpy()


def muon(kernel: np.ndarray, gradients: np.ndarray, rates: np.ndarray, *, nesterov: bool) -> np.ndarray:
    """torch.optim.Muon, whose matrices are [outputs, inputs]; its rounding to bfloat16 is left out."""
    torch.Tensor.bfloat16 = torch.Tensor.clone
    weight = torch.nn.Parameter(torch.from_numpy(kernel.T.copy()))
    optimizer = torch.optim.Muon([weight], 0.1, weight_decay=DECAY, momentum=0.95, nesterov=nesterov, ns_steps=5)
    for gradient, rate in zip(gradients, rates, strict=True):
        weight.grad = torch.from_numpy(gradient[: kernel.size].reshape(kernel.shape).T.copy())
        optimizer.param_groups[0]["lr"] = rate
        optimizer.step()
    return weight.detach().numpy().T


def clipped(random: np.random.Generator) -> dict[str, np.ndarray]:
    """Weights, gradients and clipped gradients in Keras' layouts: convolution, depthwise convolution, dense, bias."""
    layouts = {"conv": (2, 3, 1, 0), "depthwise": (2, 3, 0, 1), "dense": (1, 0), "bias": (0,)}
    shapes = {"conv": (5, 3, 2, 2), "depthwise": (6, 1, 3, 3), "dense": (4, 6), "bias": (7,)}
    found = {}
    for name, shape in shapes.items():
        weight = torch.nn.Parameter(torch.from_numpy(random.normal(size=shape)))
        with torch.no_grad():
            weight[0] = 0  # a unit that has not learned yet
        weight.grad = torch.from_numpy(random.normal(size=shape) * random.choice([0.001, 0.1], size=shape))
        arrays = {"weight": weight.detach().numpy().copy(), "gradient": weight.grad.numpy().copy()}
        adaptive_clip_grad([weight], clip_factor=0.02)
        arrays["clipped"] = weight.grad.numpy()
        found |= {f"clip {name} {of}": value.transpose(layouts[name]) for of, value in arrays.items()}
    return found


def main(file: Path) -> None:
    """kernel [6, 4], bias [4], gradients [100, 28] of both, rates [100], and what each optimizer makes of them."""
    random = np.random.default_rng(0)
    kernel, bias = random.normal(size=(6, 4)), random.normal(size=4)
    gradients = random.normal(0.2, 1, size=(STEPS, 28)) * random.choice([0.1, 1, 3], size=(STEPS, 1))
    rates = 0.05 * (1 + np.cos(np.arange(STEPS) / 9)) + 0.001
    arrays = {"kernel": kernel, "bias": bias, "gradients": gradients, "rates": rates}
    for name, make in OPTIMIZERS.items():
        arrays[f"{name} kernel"], arrays[f"{name} bias"] = trained(make, kernel, bias, gradients, rates)
    for nesterov in (True, False):
        arrays[f"lars {nesterov}"] = lars(kernel, gradients, rates, nesterov=nesterov)
        # Its epsilon bounds the norm, ours (Jordan's) is added: gradients are large, so that neither can be told.
        arrays[f"muon {nesterov}"] = muon(kernel, gradients * 1e5, rates, nesterov=nesterov)
    np.savez_compressed(file, **arrays, **clipped(random))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
