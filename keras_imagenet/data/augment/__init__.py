"""Random operations on training images after the crop: functions of image and seed, wrapped as KerasCV layers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from keras_cv.layers import BaseImageAugmentationLayer

    from keras_imagenet.data.preset import Preset
    from keras_imagenet.settings.augment import AugmentSettings, RandAugment


def build(settings: AugmentSettings, preset: Preset) -> list[BaseImageAugmentationLayer]:
    """The layers that act on cropped images, in their order; empty, and KerasCV unloaded, where nothing is asked for.

    Each is called on one example, a dict with at least images uint8 [h, w, c] and seeds int32 [2], or on a batch of
    them, and draws from `seeds` alone. Stock KerasCV layers are not among them.

    Args:
        settings: what is asked for.
        preset: what the images are made for: channels, and the mean's colour, which fills what has no pixels.
    """
    steps = _steps(settings, preset)
    if not steps:
        return []
    from keras_imagenet.data.augment.layer import Augmentation

    return [Augmentation(function, name=name) for name, function in steps.items()]


def _steps(settings: AugmentSettings, preset: Preset) -> dict:
    from keras_imagenet.data.augment import policies
    from keras_imagenet.data.augment.color_jitter import color_jitter
    from keras_imagenet.data.augment.flip import flip
    from keras_imagenet.data.augment.pad_crop import pad_crop
    from keras_imagenet.data.augment.rotation import rotation

    steps = {}
    if settings.pad_crop:
        steps["pad_crop"] = partial(pad_crop, padding=settings.pad_crop)
    if settings.flip != "none":
        steps["flip"] = partial(
            flip,
            horizontally=settings.flip in ("horizontal", "both"),
            vertically=settings.flip in ("vertical", "both"),
        )
    if settings.rotation:
        steps["rotation"] = partial(rotation, degrees=settings.rotation)
    if settings.color_jitter is not None:
        jitter = settings.color_jitter
        steps["color_jitter"] = partial(
            color_jitter,
            brightness=jitter.brightness,
            contrast=jitter.contrast,
            saturation=jitter.saturation if preset.channels == 3 else 0.0,
            hue=jitter.hue if preset.channels == 3 else 0.0,
        )
    if settings.rand_augment is not None:
        steps["rand_augment"] = _rand_augment(settings.rand_augment, preset)
    if settings.trivial_augment:
        steps["trivial_augment"] = partial(policies.trivial_augment_wide, fill=(0,) * preset.channels)
    return steps


def _rand_augment(settings: RandAugment, preset: Preset) -> Callable:
    from keras_imagenet.data.augment import policies

    if settings.form == "torchvision":
        black = (0,) * preset.channels
        return partial(
            policies.rand_augment_torchvision, fill=black, count=settings.count, magnitude=int(settings.magnitude)
        )
    return partial(
        policies.rand_augment_timm,
        fill=tuple(round(255 * mean) for mean in preset.mean),
        count=settings.count,
        magnitude=settings.magnitude,
        deviation=settings.deviation,
        increasing=settings.increasing,
        probability=settings.probability,
    )
