"""AugMix (arXiv:1912.02781): chains of operations, blended with each other and with the image; torchvision's parameters."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from keras_imagenet.data.augment import operations, policies
from keras_imagenet.data.augment.pixels import changed
from keras_imagenet.data.machine_code import aligned, compiled
from keras_imagenet.data.seeds import fold, fold_in, uniform

STRENGTHS = 10


def augmix(
    images: tf.Tensor,
    seeds: tf.Tensor,
    fill: operations.Fill,
    *,
    severity: int = 3,
    width: int = 3,
    depth: int | None = None,
    alpha: float = 1.0,
) -> tf.Tensor:
    """Blend images uint8 [n, h, w, c] with `width` chains of operations on each; seeds int32 [n, 2].

    A chain has `depth` operations, or 1 to 3 drawn evenly; each is drawn evenly from 13, its strength from the `severity`
    lowest of ten. The chains' weights are Dirichlet(alpha, ...), the image's share of the whole is Beta(alpha, alpha).
    Results are cut off to whole numbers.
    """
    choices = augmix_choices(images.shape[1:3])

    def act(pixels: np.ndarray, weights: np.ndarray, *drawn: np.ndarray) -> np.ndarray:
        varied = operations.operate(pixels, *policies.chosen(choices, policies.Draws(*drawn)), fill)
        return blend(pixels, varied, weights)

    draws = augmix_draws(seeds, len(choices), severity, width, depth)
    return changed(images, act, augmix_weights(seeds, width, alpha), *draws[:3])


@tf.autograph.experimental.do_not_convert
def with_views(
    example: dict[str, tf.Tensor], mixed: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
) -> dict[str, tf.Tensor]:
    """Examples of images uint8 [n, h, w, c] and seeds int32 [n, 2], and beside them two AugMixes of each for a consistency loss.

    mixed: augmix of images and seeds. views: uint8 [n, 2, h, w, c], of which the first is what augmix alone would give. One
    example, without the dimension n, has its views without it.
    """
    images, seeds = example["images"], fold(example["seeds"], "augmix")
    if images.shape.rank == 3:
        group = {"images": images[tf.newaxis], "seeds": example["seeds"][tf.newaxis]}
        return {**example, "views": with_views(group, mixed)["views"][0]}
    return {**example, "views": tf.stack([mixed(images, own) for own in (seeds, fold_in(seeds, (1,)))], axis=1)}


def augmix_draws(seeds: tf.Tensor, choices: int, severity: int, width: int, depth: int | None) -> policies.Draws:
    """The steps of each chain for seeds int32 [n, 2], of so many choices: [n width, depth or 3]."""
    chains = fold_in(seeds, range(1, width + 1))
    steps = depth or 3
    draws = tf.reshape(uniform(fold_in(chains, range(1, steps + 1)), 3), (-1, steps, 3))
    index = tf.cast(draws[..., 0] * choices, tf.int32)
    if depth is None:
        length = 1 + tf.cast(3 * uniform(chains, 1), tf.int32)
        index = tf.where(tf.range(steps) < length, index, choices)
    level = tf.floor(draws[..., 1] * severity) / (STRENGTHS - 1)
    return policies.Draws(index, level, policies.signs(draws[..., 2]))


def augmix_weights(seeds: tf.Tensor, width: int, alpha: float) -> tf.Tensor:
    """The weights of the image and of each chain, float32 [n, 1 + width], of sum 1; seeds int32 [n, 2]."""
    rows = [tf.raw_ops.StatelessRandomGammaV2(shape=(2 + width,), seed=seed, alpha=alpha) for seed in tf.unstack(seeds)]
    draws = tf.stack(rows)
    share = draws[:, :1] / (draws[:, :1] + draws[:, 1:2])
    # Added one by one: a reduction's order may depend on how many rows there are.
    whole = tf.add_n([draws[:, place : place + 1] for place in range(2, 2 + width)])
    return tf.concat((share, (1 - share) * draws[:, 2:] / whole), axis=1)


def augmix_choices(size: Sequence[int]) -> list[policies.Choice]:
    """torchvision's thirteen operations for AugMix; size: the images' height and width."""
    height, width = size
    other = {
        "translate_x": lambda level, sign: -sign * math.floor(round(width / 3 * level, policies.DIGITS)),
        "translate_y": lambda level, sign: -sign * math.floor(round(height / 3 * level, policies.DIGITS)),
        "posterize": lambda level, sign: 4 - round(4 * level),
    }
    shared = [choice for choice in policies.torchvision_choices(wide=False, size=size) if choice.name != "identity"]
    return [choice._replace(argument=other.get(choice.name, choice.argument)) for choice in shared]


def blend(images: np.ndarray, varied: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Images uint8 [n, h, w, c] with m variants of each, uint8 [n m, h, w, c], by weights float32 [n, 1 + m] of sum 1."""
    results = aligned(images.shape)
    rows = (images.reshape(len(images), -1), varied.reshape(len(varied), -1), results.reshape(len(images), -1))
    _blend(*rows, weights)
    return results


@compiled
def _blend(images: np.ndarray, varied: np.ndarray, results: np.ndarray, weights: np.ndarray) -> None:
    count = len(varied) // len(images)
    mixed = np.empty(images.shape[1], np.float32)
    for index in range(len(images)):
        image, result = images[index], results[index]
        for place in range(len(mixed)):
            mixed[place] = weights[index, 0] * np.float32(image[place])
        for chain in range(count):
            variant, weight = varied[count * index + chain], weights[index, 1 + chain]
            for place in range(len(mixed)):
                mixed[place] += weight * np.float32(variant[place])
        for place in range(len(mixed)):
            # The summand outweighs rounding errors: equal pixels stay what they are.
            value = min(max(mixed[place] + np.float32(1e-3), np.float32(0)), np.float32(255))
            result[place] = np.uint8(np.int32(value))
