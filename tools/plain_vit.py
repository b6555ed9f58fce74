"""The 'better plain ViT' (arXiv:2205.01580) in torch; a reference that shares nothing with keras_imagenet."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


def sine_positions(height: int, width: int, channels: int) -> torch.Tensor:
    """[height * width, channels]: sines and cosines of columns, then of rows, of `channels` / 4 frequencies."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    frequencies = 10_000.0 ** -(torch.arange(channels // 4) / (channels // 4 - 1))
    columns, rows = columns.flatten()[:, None] * frequencies, rows.flatten()[:, None] * frequencies
    return torch.cat([columns.sin(), columns.cos(), rows.sin(), rows.cos()], dim=1)


class PlainViT(nn.Module):
    """Pre-norm blocks with tanh-approximated GELU, mean over tokens, a hidden tanh layer, logits."""

    def __init__(self, width: int, depth: int, heads: int, channels: int, classes: int) -> None:
        super().__init__()
        self.embedding = nn.Conv2d(channels, width, 16, stride=16)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.pre_logits = nn.Linear(width, width)
        self.head = nn.Linear(width, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Images [n, channels, height, width], sides divisible by 16, to logits [n, classes]."""
        x = self.embedding(x)
        height, width = x.shape[2:]
        x = x.flatten(2).transpose(1, 2)
        x = x + sine_positions(height, width, x.shape[-1]).to(x)
        for block in self.blocks:
            x = block(x)
        return self.head(torch.tanh(self.pre_logits(self.norm(x).mean(1))))


class Block(nn.Module):
    """Attention and a hidden layer of four times the width, each after a norm and added."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Tokens [n, tokens, width] to the same shape."""
        batch, tokens, width = x.shape
        q, k, v = self.qkv(self.norm1(x)).reshape(batch, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        attended = functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(batch, tokens, width)
        x = x + self.proj(attended)
        return x + self.fc2(functional.gelu(self.fc1(self.norm2(x)), approximate="tanh"))


def vit_tiny_patch16_plain(channels: int, classes: int) -> nn.Module:
    """Ti/16."""
    return PlainViT(192, 12, 3, channels, classes)


def vit_small_patch16_plain(channels: int, classes: int) -> nn.Module:
    """S/16."""
    return PlainViT(384, 12, 6, channels, classes)


def vit_base_patch16_plain(channels: int, classes: int) -> nn.Module:
    """B/16."""
    return PlainViT(768, 12, 12, channels, classes)
