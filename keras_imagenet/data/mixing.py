"""MixUp (arXiv:1710.09412), CutMix (arXiv:1905.04899) and erasing of batches: drawn on the host, done on the device.

Examples are paired within fixed groups of consecutive ones, first with last, and what is drawn comes from the run's seed and
the step or from examples' own seeds. So the result does not depend on replicas, workers or micro-batches.
"""

from collections.abc import Callable, Mapping
from functools import cache

import numpy as np
import tensorflow as tf

from keras_imagenet.data import order
from keras_imagenet.data.augment import erasing
from keras_imagenet.data.augment.rectangles import replaced
from keras_imagenet.data.batches import MIXED_TOGETHER
from keras_imagenet.settings import AugmentSettings
from keras_imagenet.settings.augment import Mixing

Draw = Callable[[int, order.Plan], dict[str, np.ndarray]]
Act = Callable[[tf.Tensor, tf.Tensor, Mapping[str, tf.Tensor]], tuple[tf.Tensor, tf.Tensor]]

_QUANTILES = 4096


def on_host(settings: AugmentSettings, size: tuple[int, int], run_seed: int) -> Draw:
    """What draws for `on_device`: (step, plan of k rows of that step's batch) -> arrays by name, for images of that size.

    shares: float32 [k], for MixUp. cuts: int32 [k, 4], for CutMix. erasures: int32 [k, count, 4]. Each is there only if the
    settings ask for it. Rectangles are top, left, bottom and right in pixels; bottom and right lie outside.
    """
    mixing, random_erasing = settings.mixing, settings.random_erasing

    def draw(step: int, plan: order.Plan) -> dict[str, np.ndarray]:
        drawn = {} if mixing is None else draw_mixing(mixing, step, plan, size, run_seed)
        if random_erasing is not None:
            drawn["erasures"] = erasing.draw(random_erasing, plan.seeds, size)
        return drawn

    return draw


def on_device(settings: AugmentSettings, *, xla: bool = True) -> Act | None:
    """What acts on normalised batches: (images, targets, rows) -> (images, targets), mixing first, then erasing.

    rows holds what `on_host` drew and seeds, int32 [b, 2]. A batch may be cut up between groups of MIXED_TOGETHER. None if
    neither mixing nor erasing is asked for. XLA compiles the function also where it compiles nothing else: it is arithmetic
    on whole batches, of which TensorFlow's own operations would each write one to memory.
    """
    mixing, random_erasing = settings.mixing, settings.random_erasing
    if mixing is None and random_erasing is None:
        return None

    @tf.function(jit_compile=xla)
    def compiled(images: tf.Tensor, targets: tf.Tensor, drawn: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        images, targets = mix(images, targets, drawn.get("shares"), drawn.get("cuts"))
        if random_erasing is not None:
            images = erasing.erase(images, drawn["erasures"], drawn["seeds"], random_erasing.mode)
        return images, targets

    def act(images: tf.Tensor, targets: tf.Tensor, rows: Mapping[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        drawn = {name: rows[name] for name in ("seeds", "shares", "cuts", "erasures") if name in rows}
        return compiled(images, targets, drawn)

    return act


def draw_mixing(
    settings: Mixing, step: int, plan: order.Plan, size: tuple[int, int], run_seed: int
) -> dict[str, np.ndarray]:
    """Each row's own share in MixUp, float32 [k], and the rectangle that CutMix takes from its partner, int32 [k, 4].

    Shares are drawn from Beta(alpha, alpha). A row that MixUp leaves alone has the share 1, one that CutMix leaves alone an
    empty rectangle; no row has both. Rows of weight 0, and of epochs after which mixing is off, are left alone, and so are
    their partners.
    """
    uniform = order.uniform(_keys(settings.mode, step, plan, run_seed), "mixing", 5)
    uniform = np.repeat(uniform, len(plan.seeds) // len(uniform), axis=0)
    takes_part = plan.weights > 0
    if settings.off_after_epoch is not None:
        takes_part &= plan.epochs < settings.off_after_epoch
    takes_part &= takes_part.reshape(-1, MIXED_TOGETHER)[:, ::-1].ravel()  # their partners'
    active = takes_part & (uniform[:, 1] < settings.probability)
    both = settings.mixup and settings.cutmix
    cut = uniform[:, 0] < (settings.switch_probability if both else bool(settings.cutmix))
    drawn = {}
    if settings.mixup:
        drawn["shares"] = np.where(active & ~cut, _beta(uniform[:, 2], settings.mixup), 1).astype(np.float32)
    if settings.cutmix:
        rectangles = _rectangles(1 - _beta(uniform[:, 2], settings.cutmix), uniform[:, 3:], size)
        drawn["cuts"] = np.where((active & cut)[:, None], rectangles, 0).astype(np.int32)
    return drawn


def mix(
    images: tf.Tensor, targets: tf.Tensor, shares: tf.Tensor | None = None, cuts: tf.Tensor | None = None
) -> tuple[tf.Tensor, tf.Tensor]:
    """Mix each example with its partner, as `draw_mixing` drew.

    MixUp: image = share * own + (1 - share) * partner's. CutMix: a rectangle of the partner's image. The targets mix by the
    share of the pixels, so CutMix' is that of the rectangle after the border has cut it off.

    Args:
        images: float [b, h, w, c]; b is a multiple of MIXED_TOGETHER.
        targets: float [b, classes], one-hot or smoothed.
        shares: float32 [b]; no MixUp without them.
        cuts: int32 [b, 4], top, left, bottom and right; no CutMix without them.

    Returns:
        Images and targets of the same shapes.
    """
    if shares is None and cuts is None:
        return images, targets
    height, width = images.shape[1:3]
    other = _partners(images)
    own = tf.ones(tf.shape(targets)[:1])
    if shares is not None:
        own *= shares
        share = tf.cast(shares, images.dtype)[:, tf.newaxis, tf.newaxis, tf.newaxis]
        images = share * images + (1 - share) * other
    if cuts is not None:
        sides = tf.cast(cuts[:, 2:] - cuts[:, :2], tf.float32)
        own *= 1 - tf.reduce_prod(sides, axis=1) / (height * width)
        images = replaced(images, cuts[:, tf.newaxis], other)
    own = tf.cast(own, targets.dtype)[:, tf.newaxis]
    return images, own * targets + (1 - own) * _partners(targets)


def _keys(mode: str, step: int, plan: order.Plan, run_seed: int) -> np.ndarray:
    """What is drawn from: a key for the whole global batch, for each group of the plan's rows, or for each row; uint64."""
    if mode == "batch":
        return order.fold(order.fold(order.key_of(run_seed), 4), step)
    return order.keys_of(plan.seeds[::MIXED_TOGETHER] if mode == "group" else plan.seeds)


def _partners(values: tf.Tensor) -> tf.Tensor:
    """Each row's partner's value: the order within every group turned round, [b, ...]."""
    groups = tf.reshape(values, (-1, MIXED_TOGETHER, *values.shape[1:]))
    return tf.reshape(tf.reverse(groups, (1,)), tf.shape(values))


def _rectangles(areas: np.ndarray, middles: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Rectangles of shares of the area, [k], about middles, [k, 2], cut off at the border: [k, 4] in pixels."""
    half = np.floor(np.floor(np.sqrt(areas)[:, None] * size) / 2)
    middle = np.floor(middles * size)
    return np.clip(np.concatenate((middle - half, middle + half), axis=1), 0, (*size, *size))


def _beta(uniform: np.ndarray, alpha: float) -> np.ndarray:
    """Numbers distributed as Beta(alpha, alpha), by its quantiles, between which it goes straight."""
    return np.interp(uniform, np.linspace(0, 1, _QUANTILES + 1), _beta_quantiles(alpha))


@cache
def _beta_quantiles(alpha: float) -> np.ndarray:
    from scipy.special import betaincinv

    return betaincinv(alpha, alpha, np.linspace(0, 1, _QUANTILES + 1))
