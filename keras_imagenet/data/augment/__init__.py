"""Random operations on training images after the crop: functions of images and seeds, wrapped as KerasCV layers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from keras_imagenet.errors import SettingsError

if TYPE_CHECKING:
    from keras_cv.layers import BaseImageAugmentationLayer

    from keras_imagenet.data.augment import operations
    from keras_imagenet.preset import Preset
    from keras_imagenet.settings.augment import AugmentSettings, ColorJitter, RandAugment


def build(settings: AugmentSettings, preset: Preset) -> list[BaseImageAugmentationLayer]:
    """The layers that act on cropped images, in their order; empty, and KerasCV unloaded, where nothing is asked for.

    Each is called on one example, a dict with at least images uint8 [h, w, c] and seeds int32 [2], or on n of them, n known
    before it runs, and draws from `seeds` alone. Stock KerasCV layers are not among them. With augmix.consistency the last
    one adds views, as augmix.with_views says.

    Args:
        settings: what is asked for.
        preset: what the images are made for: channels, and the mean's colour, which fills what has no pixels.

    Raises SettingsError for colours jittered in grey images.
    """
    steps = _steps(settings, preset)
    if not steps:
        return []
    from keras_imagenet.data.augment.augmix import with_views
    from keras_imagenet.data.augment.layer import Augmentation

    views = []
    if settings.augmix is not None and settings.augmix.consistency:
        views = [partial(with_views, mixed=steps.pop("augmix"))]
    return [*(Augmentation(function, name=name) for name, function in steps.items()), *views]


def _steps(settings: AugmentSettings, preset: Preset) -> dict:
    from keras_imagenet.data.augment.color_jitter import color_jitter
    from keras_imagenet.data.augment.flip import flip
    from keras_imagenet.data.augment.pad_crop import pad_crop
    from keras_imagenet.data.augment.rotation import rotation
    from keras_imagenet.data.augment.three_augment import three_augment

    steps = {}
    if settings.pad_crop:
        steps["pad_crop"] = partial(pad_crop, padding=settings.pad_crop, border=settings.pad_crop_border)
    if settings.flip in ("horizontal", "vertical", "both"):
        steps["flip"] = partial(
            flip,
            horizontally=settings.flip in ("horizontal", "both"),
            vertically=settings.flip in ("vertical", "both"),
        )
    if settings.rotation:
        steps["rotation"] = partial(rotation, degrees=settings.rotation)
    if settings.three_augment:
        steps["three_augment"] = three_augment
    if settings.color_jitter is not None:
        jitter = settings.color_jitter
        _require_colours(jitter, preset)
        steps["color_jitter"] = partial(
            color_jitter,
            brightness=jitter.brightness,
            contrast=jitter.contrast,
            saturation=jitter.saturation,
            hue=jitter.hue,
        )
    steps |= _policies(settings, preset)
    return steps


def _require_colours(jitter: ColorJitter, preset: Preset) -> None:
    for name in ("saturation", "hue"):
        if preset.channels == 1 and getattr(jitter, name):
            raise SettingsError(
                f"augment.color_jitter.{name} = {getattr(jitter, name):g}: does nothing to grey images (data.channels 1); leave it out"
            )


def _policies(settings: AugmentSettings, preset: Preset) -> dict:
    from keras_imagenet.data.augment import google_policies, policies
    from keras_imagenet.data.augment.augmix import augmix
    from keras_imagenet.data.augment.auto_augment import auto_augment
    from keras_imagenet.data.augment.grid_mask import grid_mask

    black, policy = (0,) * preset.channels, {}
    sampling = _sampling(preset)
    if settings.rand_augment is not None:
        policy["rand_augment"] = _rand_augment(settings.rand_augment, preset)
    if settings.trivial_augment:
        policy["trivial_augment"] = partial(policies.trivial_augment_wide, fill=black, sampling=sampling)
    if settings.auto_augment == "imagenet":
        policy["auto_augment"] = partial(auto_augment, fill=black, sampling=sampling)
    if settings.auto_augment == "v0":
        policy["auto_augment"] = google_policies.auto_augment_v0
    if settings.augmix is not None:
        policy["augmix"] = partial(augmix, fill=black, **settings.augmix.model_dump(exclude={"consistency"}))
    if settings.grid_mask is not None:
        policy["grid_mask"] = partial(grid_mask, fill=_mean_colour(preset), **settings.grid_mask.model_dump())
    return policy


def _mean_colour(preset: Preset) -> tuple[int, ...]:
    return tuple(round(255 * mean) for mean in preset.mean)


def _sampling(preset: Preset) -> operations.Sampling:
    """torchvision and timm give their policies the crop's interpolation."""
    return "bicubic" if preset.kernel == "bicubic" else "bilinear"


def _rand_augment(settings: RandAugment, preset: Preset) -> Callable:
    from keras_imagenet.data.augment import google_policies, policies

    if settings.form in ("google", "garden"):
        given = settings.model_dump(include={"count", "magnitude", "exclude", "translate", "cutout"}, exclude_none=True)
        probability = 1.0 if settings.probability is None else settings.probability
        or_nothing = settings.form == "garden"
        return partial(google_policies.rand_augment_google, **given, probability=probability, or_nothing=or_nothing)
    if settings.form == "torchvision":
        black = (0,) * preset.channels
        return partial(
            policies.rand_augment_torchvision,
            fill=black,
            sampling=_sampling(preset),
            count=settings.count,
            magnitude=int(settings.magnitude),
        )
    return partial(
        policies.rand_augment_timm,
        fill=_mean_colour(preset),
        sampling=_sampling(preset),
        count=settings.count,
        magnitude=settings.magnitude,
        deviation=settings.deviation,
        increasing=settings.increasing,
        probability=0.5 if settings.probability is None else settings.probability,
    )
