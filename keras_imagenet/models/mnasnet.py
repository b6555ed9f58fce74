"""MNASNet-A1 (arXiv:1807.11626, figure 7)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from keras import KerasTensor

from keras_imagenet.models import blocks
from keras_imagenet.models.inverted_residuals import SqueezeExcite, inverted_residual


@dataclass(frozen=True)
class Stage:
    """Blocks of a stage; squeeze_excite with a quarter of a block's input channels between."""

    expansion: int
    kernel_size: int
    strides: int
    filters: int
    depth: int
    squeeze_excite: bool = False


@dataclass(frozen=True)
class MNASNet:
    """Stages, filters of the stem and of the head."""

    stages: tuple[Stage, ...]
    stem: int = 32
    head: int = 1280


NORM = {"momentum": 0.99, "epsilon": 1e-3}

VARIANTS = {
    "mnasnet_a1": MNASNet(
        (
            Stage(1, 3, 1, 16, 1),
            Stage(6, 3, 2, 24, 2),
            Stage(3, 5, 2, 40, 3, squeeze_excite=True),
            Stage(6, 3, 2, 80, 4),
            Stage(6, 3, 1, 112, 2, squeeze_excite=True),
            Stage(6, 5, 2, 160, 3, squeeze_excite=True),
            Stage(6, 3, 1, 320, 1),
        )
    )
}


def features(
    images: KerasTensor,
    network: MNASNet,
    *,
    stochastic_depth: float = 0.0,
    stochastic_depth_form: blocks.DropRates = "linear_below",
    batch_norm: blocks.Options | None = None,
    padding: blocks.Padding = "same",
) -> KerasTensor:
    """Maps of the head's convolution."""
    convolve = partial(blocks.conv_norm, norm={**NORM, **(batch_norm or {})}, padding=padding)
    depth = sum(stage.depth for stage in network.stages)
    rates = iter(blocks.drop_rates(stochastic_depth, depth, stochastic_depth_form))

    x = convolve(images, network.stem, 3, 2, activation="relu", name="stem")
    for number, stage in enumerate(network.stages, start=1):
        for block in range(1, stage.depth + 1):
            channels = x.shape[-1]
            x = inverted_residual(
                x,
                stage.filters,
                convolve,
                expanded=stage.expansion * channels,
                kernel_size=stage.kernel_size,
                strides=stage.strides if block == 1 else 1,
                activation="relu",
                squeeze_excite=SqueezeExcite(channels // 4, "relu") if stage.squeeze_excite else None,
                drop_rate=next(rates),
                name=f"stage{number}_block{block}",
            )
    return convolve(x, network.head, 1, activation="relu", name="head")


build = blocks.builder(features, VARIANTS, dropout=0.2)
