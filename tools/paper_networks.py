"""Networks that neither torchvision nor timm has, written in torch from their papers; references for ours.

They share nothing with keras_imagenet: parameters, multiply-accumulates and outputs are compared with them.
"""

from __future__ import annotations

import torch
from plain_vit import vit_base_patch16_plain, vit_small_patch16_plain, vit_tiny_patch16_plain  # noqa: F401
from torch import nn
from torch.nn import functional


def simple_cnn(channels: int, classes: int) -> nn.Module:
    """Two 3x3 convolutions of 32 and 64 with 2x2 max pooling on 28x28 images, 1024 hidden units."""
    return nn.Sequential(
        nn.Conv2d(channels, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(64 * 7 * 7, 1024),
        nn.ReLU(),
        nn.Linear(1024, classes),
    )


def cifar_net(channels: int, classes: int) -> nn.Module:
    """Stem of 24, then 64, 128 and 256 filters at half, a quarter and an eighth, each with a residual layer."""

    class Stage(nn.Module):
        def __init__(self, inputs: int, outputs: int) -> None:
            super().__init__()
            self.down, self.residual = _norm_relu(inputs, outputs, 2), _norm_relu(outputs, outputs, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.down(x)
            return x + self.residual(x)

    stages = [Stage(inputs, outputs) for inputs, outputs in ((24, 64), (64, 128), (128, 256))]
    head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(256, classes))
    return nn.Sequential(_norm_relu(channels, 24, 1), *stages, *head)


def airbench94(channels: int, classes: int) -> nn.Module:
    """A 2x2 convolution to whiten patches, then 64, 256 and 256 filters in pairs of convolutions (arXiv:2404.00498, section 3)."""

    def norm(filters: int) -> nn.Module:
        layer = nn.BatchNorm2d(filters)
        layer.weight = None
        return layer

    def group(inputs: int, outputs: int) -> list[nn.Module]:
        first = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        second = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        return [first, nn.MaxPool2d(2), norm(outputs), nn.GELU(), second, norm(outputs), nn.GELU()]

    whitened = 2 * 4 * channels
    groups = [*group(whitened, 64), *group(64, 256), *group(256, 256)]
    head = (nn.MaxPool2d(3), nn.Flatten(), nn.Linear(256, classes, bias=False))
    return nn.Sequential(nn.Conv2d(channels, whitened, 2), nn.GELU(), *groups, *head)


def _norm_relu(inputs: int, outputs: int, stride: int) -> nn.Module:
    convolution = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU())


def resnet20_cifar(channels: int, classes: int) -> nn.Module:
    """ResNet of 6n + 2 layers, n = 3 (arXiv:1512.03385, section 4.2)."""
    return CifarResNet(3, channels, classes)


def resnet56_cifar(channels: int, classes: int) -> nn.Module:
    """ResNet of 6n + 2 layers, n = 9 (arXiv:1512.03385, section 4.2)."""
    return CifarResNet(9, channels, classes)


def wide_resnet28_10(channels: int, classes: int) -> nn.Module:
    """WRN-28-10 (arXiv:1605.07146, table 1: N = (28 - 4) / 6, k = 10)."""
    return WideResNet((28 - 4) // 6, 10, channels, classes)


class CifarResNet(nn.Module):
    """3 x n blocks of 16, 32, 64 filters on maps of 32, 16, 8; shortcuts of option A."""

    def __init__(self, n: int, channels: int, classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layers = nn.ModuleList()
        before = 16
        for filters in (16, 32, 64):
            for _ in range(n):
                self.layers.append(CifarBlock(before, filters))
                before = filters
        self.fc = nn.Linear(64, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Images [n, channels, 32, 32] to logits [n, classes]."""
        x = functional.relu(self.bn1(self.conv1(x)))
        for layer in self.layers:
            x = layer(x)
        return self.fc(x.mean((2, 3)))


class CifarBlock(nn.Module):
    """Two 3x3 convolutions around an identity that is subsampled and filled up with zero channels."""

    def __init__(self, before: int, filters: int) -> None:
        super().__init__()
        self.added = filters - before
        self.stride = 2 if self.added else 1
        self.conv1 = nn.Conv2d(before, filters, 3, stride=self.stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(filters)
        self.conv2 = nn.Conv2d(filters, filters, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(filters)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[n, before, h, w] to [n, filters, h / stride, w / stride]."""
        identity = functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.added))
        x = functional.relu(self.bn1(self.conv1(x)))
        return functional.relu(identity + self.bn2(self.conv2(x)))


class WideResNet(nn.Module):
    """3 x n pre-activated blocks of 16 k, 32 k, 64 k filters."""

    def __init__(self, n: int, k: int, channels: int, classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 16, 3, padding=1, bias=False)
        self.layers = nn.ModuleList()
        before = 16
        for stage, filters in enumerate((16 * k, 32 * k, 64 * k)):
            for index in range(n):
                self.layers.append(WideBlock(before, filters, 2 if stage and not index else 1))
                before = filters
        self.bn = nn.BatchNorm2d(before)
        self.fc = nn.Linear(before, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Images [n, channels, 32, 32] to logits [n, classes]."""
        x = self.conv1(x)
        for layer in self.layers:
            x = layer(x)
        return self.fc(functional.relu(self.bn(x)).mean((2, 3)))


class WideBlock(nn.Module):
    """BN-ReLU-conv twice; the shortcut is a 1x1 convolution of the activated input where the width changes."""

    def __init__(self, before: int, filters: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(before)
        self.conv1 = nn.Conv2d(before, filters, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(filters)
        self.conv2 = nn.Conv2d(filters, filters, 3, padding=1, bias=False)
        self.project = nn.Conv2d(before, filters, 1, stride=stride, bias=False) if before != filters else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[n, before, h, w] to [n, filters, h / stride, w / stride]."""
        active = functional.relu(self.bn1(x))
        shortcut = x if self.project is None else self.project(active)
        return shortcut + self.conv2(functional.relu(self.bn2(self.conv1(active))))
