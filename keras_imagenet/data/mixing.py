"""Lighting, erasing, MixUp (arXiv:1710.09412) and CutMix (arXiv:1905.04899) of batches: drawn on the host, done on the device.

Examples are paired within fixed groups of consecutive ones, and what is drawn comes from the run's seed and the step or from
examples' own seeds. So the result does not depend on replicas, workers or micro-batches.
"""

from collections.abc import Callable, Mapping
from functools import cache

import numpy as np
import tensorflow as tf

from keras_imagenet.data import order
from keras_imagenet.data.augment import erasing, lighting
from keras_imagenet.data.augment.rectangles import replaced
from keras_imagenet.data.batches import MIXED_TOGETHER
from keras_imagenet.preset import Preset
from keras_imagenet.settings import AugmentSettings
from keras_imagenet.settings.augment import Mixing

Draw = Callable[[int, order.Plan], dict[str, np.ndarray]]
Act = Callable[[tf.Tensor, tf.Tensor, Mapping[str, tf.Tensor]], tuple[tf.Tensor, tf.Tensor]]

_QUANTILES = 4096
_MIXED = ("shares", "cuts", "kept", "places")
"""What `draw_mixing` draws and `mix` takes."""


def on_host(settings: AugmentSettings, preset: Preset, run_seed: int) -> Draw:
    """What draws for `on_device`: (step, plan of k rows of that step's batch) -> arrays by name, for the preset's images.

    lighting: float32 [k, 3]. erasures: int32 [k, count, 4]. And what `draw_mixing` draws. Each is there only if the settings ask
    for it. Rectangles are top, left, bottom and right in pixels; bottom and right lie outside. Raises SettingsError for
    lighting of greyscale images.
    """
    mixing, random_erasing = settings.mixing, settings.random_erasing
    light = lighting.drawer(settings.lighting, preset) if settings.lighting else None

    def draw(step: int, plan: order.Plan) -> dict[str, np.ndarray]:
        drawn = {} if mixing is None else draw_mixing(mixing, step, plan, preset.size, run_seed)
        if random_erasing is not None:
            drawn["erasures"] = erasing.draw(random_erasing, plan.seeds, preset.size)
        if light is not None:
            drawn["lighting"] = light(plan.seeds)
        return drawn

    return draw


def on_device(settings: AugmentSettings, *, xla: bool = True) -> Act | None:
    """What acts on normalised batches: (images, targets, rows) -> (images, targets): lighting, then erasing, then mixing.

    As timm and torchvision have it, an image is erased before it is mixed. rows holds what `on_host` drew and seeds, int32
    [b, 2]. A batch may be cut up between groups of MIXED_TOGETHER. None if nothing is asked for. XLA compiles the function
    also where it compiles nothing else: it is arithmetic on whole batches, of which TensorFlow's own operations would each
    write one to memory.
    """
    mixing, random_erasing = settings.mixing, settings.random_erasing
    if mixing is None and random_erasing is None and not settings.lighting:
        return None

    @tf.function(jit_compile=xla, autograph=False)
    def compiled(images: tf.Tensor, targets: tf.Tensor, drawn: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        if "lighting" in drawn:
            images += tf.cast(drawn["lighting"], images.dtype)[:, tf.newaxis, tf.newaxis]
        if "erasures" in drawn:
            images = erasing.erase(images, drawn["erasures"], drawn["seeds"], random_erasing.mode)
        mixed = {name: drawn[name] for name in _MIXED if name in drawn}
        return mix(images, targets, partner=mixing.partner, **mixed) if mixed else (images, targets)

    def act(images: tf.Tensor, targets: tf.Tensor, rows: Mapping[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        drawn = {name: rows[name] for name in ("seeds", "lighting", "erasures", *_MIXED) if name in rows}
        return compiled(images, targets, drawn)

    return act


def draw_mixing(
    settings: Mixing, step: int, plan: order.Plan, size: tuple[int, int], run_seed: int
) -> dict[str, np.ndarray]:
    """What `mix` mixes k rows by, images of a size (height, width).

    shares: float32 [k], for MixUp, each row's own, drawn from Beta(alpha, alpha). cuts: int32 [k, 4], for CutMix, the rectangle
    taken from the partner. kept: float32 [k], where CutMix' share is not to be corrected, each row's own as it was drawn.
    places: int32 [k], where partners are permuted, each row's partner's place in the group.

    A row that MixUp leaves alone has the share 1, one that CutMix leaves alone an empty rectangle; no row has both. Rows of
    weight 0 are left alone, and so are those whose partners they are.
    """
    uniform = order.uniform(_keys(settings.mode, step, plan, run_seed), "mixing", 5)
    uniform = np.repeat(uniform, len(plan.seeds) // len(uniform), axis=0)
    places = _places(settings.partner, plan)
    counts = plan.weights.reshape(-1, MIXED_TOGETHER) > 0
    active = (counts & np.take_along_axis(counts, places, axis=1)).ravel() & (uniform[:, 1] < settings.probability)
    cut = _cut(settings, step, plan, run_seed, uniform[:, 0])
    drawn = {}
    if settings.mixup:
        shares = _beta(uniform[:, 2], settings.mixup)
        shares = np.maximum(shares, 1 - shares) if settings.fold else shares
        drawn["shares"] = np.where(active & ~cut, shares, 1).astype(np.float32)
    if settings.cutmix:
        sides = np.floor(np.sqrt(1 - _beta(uniform[:, 2], settings.cutmix))[:, None] * size)
        drawn["cuts"] = np.where((active & cut)[:, None], _rectangles(sides, uniform[:, 3:], size), 0).astype(np.int32)
        if not settings.corrected:
            drawn["kept"] = np.where(active & cut, 1 - sides.prod(axis=1) / np.prod(size), 1).astype(np.float32)
    if settings.partner == "permuted":
        drawn["places"] = places.ravel().astype(np.int32)
    return drawn


def mix(
    images: tf.Tensor,
    targets: tf.Tensor,
    shares: tf.Tensor | None = None,
    cuts: tf.Tensor | None = None,
    kept: tf.Tensor | None = None,
    places: tf.Tensor | None = None,
    *,
    partner: str = "reversed",
) -> tuple[tf.Tensor, tf.Tensor]:
    """Mix each example with its partner, as `draw_mixing` drew.

    MixUp: image = share * own + (1 - share) * partner's. CutMix: a rectangle of the partner's image. The targets mix by the
    share of the pixels, so CutMix' is that of the rectangle after the border has cut it off, but where `kept` says another.

    Args:
        images: float [b, h, w, c]; b is a multiple of MIXED_TOGETHER.
        targets: float [b, classes], one-hot or smoothed.
        shares: float32 [b]; no MixUp without them.
        cuts: int32 [b, 4], top, left, bottom and right; no CutMix without them.
        kept: float32 [b], own shares in the targets of what was cut.
        places: int32 [b], for permuted partners.
        partner: of a group, the first with the last and so on (reversed), each with the one before it and the first with the
            last (rolled), or as `places` says (permuted).

    Returns:
        Images and targets of the same shapes.
    """
    if shares is None and cuts is None:
        return images, targets
    height, width = images.shape[1:3]
    other = _partners(images, partner, places)
    own = tf.ones(tf.shape(targets)[:1])
    if shares is not None:
        own *= shares
        share = tf.cast(shares, images.dtype)[:, tf.newaxis, tf.newaxis, tf.newaxis]
        images = share * images + (1 - share) * other
    if cuts is not None:
        sides = tf.cast(cuts[:, 2:] - cuts[:, :2], tf.float32)
        own *= 1 - tf.reduce_prod(sides, axis=1) / (height * width) if kept is None else kept
        images = replaced(images, cuts[:, tf.newaxis], other)
    own = tf.cast(own, targets.dtype)[:, tf.newaxis]
    return images, own * targets + (1 - own) * _partners(targets, partner, places)


def _keys(mode: str, step: int, plan: order.Plan, run_seed: int) -> np.ndarray:
    """What is drawn from: a key for the whole global batch, for each group of the plan's rows, or for each row; uint64."""
    if mode == "batch":
        return order.fold(order.fold(order.key_of(run_seed), 4), step)
    return order.keys_of(plan.seeds[::MIXED_TOGETHER] if mode == "group" else plan.seeds)


def _cut(settings: Mixing, step: int, plan: order.Plan, run_seed: int, drawn: np.ndarray) -> np.ndarray:
    """Whether rows are CutMix' rather than MixUp's, bool [k]; drawn: float64 [k] in 0..1, as often as the mode says."""
    if not (settings.mixup and settings.cutmix):
        return np.full(len(plan.seeds), bool(settings.cutmix))
    if settings.choice == "halves":
        return plan.positions // MIXED_TOGETHER % 2 == 1
    if settings.choice == "batch":
        drawn = np.repeat(order.uniform(_keys("batch", step, plan, run_seed), "mixing", 1), len(plan.seeds))
    return drawn < settings.switch_probability


def _places(partner: str, plan: order.Plan) -> np.ndarray:
    """The place in its group of each row's partner, int64 [groups, MIXED_TOGETHER]."""
    own = np.arange(MIXED_TOGETHER)
    if partner == "permuted":
        return order.uniform(order.keys_of(plan.seeds[::MIXED_TOGETHER]), "partners", MIXED_TOGETHER).argsort(axis=1)
    row = own[::-1] if partner == "reversed" else np.roll(own, 1)
    return np.tile(row, (len(plan.seeds) // MIXED_TOGETHER, 1))


def _partners(values: tf.Tensor, partner: str, places: tf.Tensor | None) -> tf.Tensor:
    """Each row's partner's value, [b, ...]."""
    groups = tf.reshape(values, (-1, MIXED_TOGETHER, *values.shape[1:]))
    if partner == "permuted":
        others = tf.gather(groups, tf.reshape(places, (-1, MIXED_TOGETHER)), axis=1, batch_dims=1)
    else:
        others = tf.reverse(groups, (1,)) if partner == "reversed" else tf.roll(groups, 1, axis=1)
    return tf.reshape(others, tf.shape(values))


def _rectangles(sides: np.ndarray, middles: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Rectangles of sides, [k, 2], about middles, [k, 2] in 0..1, cut off at the border: [k, 4] in pixels."""
    half = np.floor(sides / 2)
    middle = np.floor(middles * size)
    return np.clip(np.concatenate((middle - half, middle + half), axis=1), 0, (*size, *size))


def _beta(uniform: np.ndarray, alpha: float) -> np.ndarray:
    """Numbers distributed as Beta(alpha, alpha), by its quantiles, between which it goes straight."""
    return np.interp(uniform, np.linspace(0, 1, _QUANTILES + 1), _beta_quantiles(alpha))


@cache
def _beta_quantiles(alpha: float) -> np.ndarray:
    from scipy.special import betaincinv

    return betaincinv(alpha, alpha, np.linspace(0, 1, _QUANTILES + 1))
