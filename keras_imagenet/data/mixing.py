"""MixUp (arXiv:1710.09412) and CutMix (arXiv:1905.04899) of normalised batches, on the device.

Examples are paired within fixed groups of consecutive ones, first with last, so that the result depends on nothing but the
group: not on batch size, replicas or workers. Every random number comes from the seed of the group's first example.
"""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Literal

import numpy as np
import tensorflow as tf

from keras_imagenet.data.augment.erasing import erase
from keras_imagenet.data.augment.rectangles import replaced, sides
from keras_imagenet.data.seeds import fold
from keras_imagenet.settings import AugmentSettings

GROUP = 8
"""Consecutive examples that may be mixed with each other; each replica's share of the batch is a multiple of it."""

_QUANTILES = 4096


def on_device(
    settings: AugmentSettings,
) -> Callable[[tf.Tensor, tf.Tensor, Mapping[str, tf.Tensor]], tuple[tf.Tensor, tf.Tensor]] | None:
    """What acts on normalised batches: (images, targets, rows) -> (images, targets), mixing first, then erasing.

    rows: seeds int32 [b, 2], and for mixing weights float32 [b] and epochs int32 [b], from 0. None where neither is
    asked for.
    """
    mixing, erasing = settings.mixing, settings.random_erasing
    if mixing is None and erasing is None:
        return None

    def act(images: tf.Tensor, targets: tf.Tensor, rows: Mapping[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        seeds = rows["seeds"]
        if mixing is not None:
            weights = rows["weights"]
            if mixing.off_after_epoch is not None:
                weights = tf.where(rows["epochs"] < mixing.off_after_epoch, weights, 0)
            images, targets = mix(
                images,
                targets,
                seeds,
                weights,
                mixup_alpha=mixing.mixup,
                cutmix_alpha=mixing.cutmix,
                probability=mixing.probability,
                switch_probability=mixing.switch_probability,
                mode=mixing.mode,
            )
        if erasing is not None:
            images = erase(
                images,
                seeds,
                probability=erasing.probability,
                mode=erasing.mode,
                area=erasing.area,
                aspect=erasing.aspect,
                count=erasing.count,
            )
        return images, targets

    return act


def mix(
    images: tf.Tensor,
    targets: tf.Tensor,
    seeds: tf.Tensor,
    weights: tf.Tensor | None = None,
    *,
    mixup_alpha: float = 0.0,
    cutmix_alpha: float = 0.0,
    probability: float = 1.0,
    switch_probability: float = 0.5,
    mode: Literal["element", "batch"] = "batch",
) -> tuple[tf.Tensor, tf.Tensor]:
    """Mix each example with its partner.

    MixUp: image = share * own + (1 - share) * partner's; CutMix: a rectangle of the partner's image of area 1 - share, cut off
    at the border and the share corrected for that. The targets mix by the same share, drawn from Beta(alpha, alpha).

    Args:
        images: float [b, h, w, c]; b is a multiple of GROUP.
        targets: float [b, classes], one-hot or smoothed.
        seeds: int32 [b, 2], each example's own.
        weights: float [b]; an example of weight 0 takes no part, nor does its partner.
        mixup_alpha, cutmix_alpha: parameters of the two; 0 switches one off.
        probability: how often a group (mode batch) or an example (mode element) is mixed at all.
        switch_probability: where both are on, the share of CutMix.
        mode: one draw for the whole group, or one for each example.

    Returns:
        Images and targets of the same shapes.
    """
    if not mixup_alpha and not cutmix_alpha:
        return images, targets
    height, width = images.shape[1:3]
    draws = _draws(seeds, mode)  # [b, 5]
    cuts = draws[:, 0] < (switch_probability if mixup_alpha and cutmix_alpha else float(bool(cutmix_alpha)))
    active = draws[:, 1] < probability
    if weights is not None:
        active &= (weights > 0) & (_partners(weights) > 0)
    blend_share = _beta(draws[:, 2], mixup_alpha) if mixup_alpha else tf.ones_like(draws[:, 2])
    cut_share = _beta(draws[:, 2], cutmix_alpha) if cutmix_alpha else tf.ones_like(draws[:, 2])
    in_rows, in_columns, cut_share = _rectangles(cut_share, draws[:, 3:], (height, width))
    blend_share = tf.where(active & ~cuts, blend_share, 1.0)
    in_rows &= (active & cuts)[:, tf.newaxis]
    cut_share = tf.where(active & cuts, cut_share, 1.0)

    other = _partners(images)
    share = tf.cast(blend_share, images.dtype)[:, tf.newaxis, tf.newaxis, tf.newaxis]
    images = replaced(share * images + (1 - share) * other, in_rows, in_columns, other)
    share = tf.cast(blend_share * cut_share, targets.dtype)[:, tf.newaxis]  # one of the two is 1
    return images, share * targets + (1 - share) * _partners(targets)


def _partners(values: tf.Tensor) -> tf.Tensor:
    """Each example's partner's value: the order within every group turned round, [b, ...]."""
    groups = tf.reshape(values, (-1, GROUP, *values.shape[1:]))
    return tf.reshape(tf.reverse(groups, (1,)), tf.shape(values))


def _draws(seeds: tf.Tensor, mode: str) -> tf.Tensor:
    """Five uniform numbers for each example, float32 [b, 5], from its group's seed; in mode batch the group's are equal."""

    def of_group(seed: tf.Tensor) -> tf.Tensor:
        rows = GROUP if mode == "element" else 1
        own = tf.random.stateless_uniform((rows, 5), fold(seed, "mixing"))
        return tf.broadcast_to(own, (GROUP, 5))

    groups = tf.map_fn(of_group, seeds[::GROUP], fn_output_signature=tf.TensorSpec((GROUP, 5), tf.float32))
    return tf.reshape(groups, (-1, 5))


def _rectangles(share: tf.Tensor, middles: tf.Tensor, size: tuple[int, int]) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Rectangles of area 1 - share, as rows bool [b, h] and columns [b, w], and the share of what remains after the border
    has cut them off."""
    limits = tf.constant(size, tf.float32)
    half = tf.floor(tf.floor(tf.sqrt(1 - share)[:, tf.newaxis] * limits) / 2)
    middle = tf.floor(middles * limits)
    start = tf.clip_by_value(middle - half, 0.0, limits)
    stop = tf.clip_by_value(middle + half, 0.0, limits)
    return *sides(start, stop, size), 1 - tf.reduce_prod(stop - start, axis=1) / (size[0] * size[1])


def _beta(uniform: tf.Tensor, alpha: float) -> tf.Tensor:
    """Numbers distributed as Beta(alpha, alpha), by its quantiles: no loop of rejections, so any compiler takes it."""
    table = tf.constant(_beta_quantiles(alpha))
    place = uniform * _QUANTILES
    below = tf.cast(place, tf.int32)
    return tf.gather(table, below) + (place - tf.floor(place)) * (tf.gather(table, below + 1) - tf.gather(table, below))


@cache
def _beta_quantiles(alpha: float) -> np.ndarray:
    from scipy.special import betaincinv

    return betaincinv(alpha, alpha, np.linspace(0, 1, _QUANTILES + 1)).astype(np.float32)
