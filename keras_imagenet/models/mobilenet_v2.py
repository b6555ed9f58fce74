"""MobileNetV2 (arXiv:1801.04381, table 2)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from keras import KerasTensor

from keras_imagenet.models import blocks
from keras_imagenet.models.inverted_residuals import inverted_residual


@dataclass(frozen=True)
class MobileNetV2:
    """stages: expansion, filters, depth and strides of each; filters of the stem and of the head."""

    stages: tuple[tuple[int, int, int, int], ...]
    stem: int = 32
    head: int = 1280


VARIANTS = {
    "mobilenet_v2": MobileNetV2(
        (
            (1, 16, 1, 1),
            (6, 24, 2, 2),
            (6, 32, 3, 2),
            (6, 64, 4, 2),
            (6, 96, 3, 1),
            (6, 160, 3, 2),
            (6, 320, 1, 1),
        )
    )
}


def features(
    images: KerasTensor,
    network: MobileNetV2,
    *,
    stochastic_depth: float = 0.0,
    stochastic_depth_form: blocks.DropRates = "linear_below",
    batch_norm: blocks.Options | None = None,
    padding: blocks.Padding = "symmetric",
) -> KerasTensor:
    """Maps of the head's convolution. keras.applications' weights want padding same and epsilon 1e-3."""
    convolve = partial(blocks.conv_norm, norm={**blocks.TORCH_NORM, **(batch_norm or {})}, padding=padding)
    rates = iter(
        blocks.drop_rates(stochastic_depth, sum(depth for *_, depth, _ in network.stages), stochastic_depth_form)
    )

    x = convolve(images, network.stem, 3, 2, activation="relu6", name="stem")
    for stage, (expansion, filters, depth, strides) in enumerate(network.stages, start=1):
        for block in range(1, depth + 1):
            x = inverted_residual(
                x,
                filters,
                convolve,
                expanded=expansion * x.shape[-1],
                kernel_size=3,
                strides=strides if block == 1 else 1,
                activation="relu6",
                drop_rate=next(rates),
                name=f"stage{stage}_block{block}",
            )
    return convolve(x, network.head, 1, activation="relu6", name="head")


build = blocks.builder(features, VARIANTS, dropout=0.2)
