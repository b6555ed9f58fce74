"""A recipe's settings in the columns and words of published.csv. An empty cell is None."""

from __future__ import annotations

import itertools
import math
from typing import Any

from keras_imagenet.models import registry
from keras_imagenet.settings import Settings
from keras_imagenet.settings.about import About
from keras_imagenet.settings.augment import AugmentSettings, Mixing
from keras_imagenet.settings.phases import augments
from keras_imagenet.training.schedules import scaled

KINDS = {
    "vit": {"norms", "biases", "embeddings"},
    "swin": {"norms", "biases", "embeddings"},
    "swin_v2": {"norms", "biases", "embeddings", "layer_scales"},
    "convnext": {"norms", "biases", "layer_scales"},
}
"""Kinds of weights, other than kernels, of a family's networks; norms and biases of every other."""

FAMILY_RATES = {
    "dropout": {"alexnet", "vgg", "mobilenet_v2", "mobilenet_v3", "mobilenet_v4", "efficientnet", "efficientnet_v2"},
    "stochastic_depth": {"convnext", "swin", "swin_v2", "efficientnet", "efficientnet_v2"},
}
"""Families with rates of their own, which a recipe must not leave open; those of all others are 0."""


def of(settings: Settings, about: About, line: dict[str, str | None]) -> dict[str, Any]:
    """What the recipe's line would say, but for its names and notes.

    line: the table's; of two ways to write one thing, the one that it has is taken.
    """
    return {
        **_length(settings, line),
        **_rule(settings, line),
        **_schedule(settings, line),
        **_loss_and_mixing(settings),
        **_augmentation(settings),
        **_sizes(settings),
        **_average(settings),
        **_network(settings),
        "phases": _phases(settings, line["phases"]),
        "published_top1": about.published.top1,
    }


def _length(settings: Settings, line: dict[str, str | None]) -> dict[str, Any]:
    """Epochs and steps, of which a recipe gives one."""
    train = settings.train
    given = {"epochs": train.epochs, "steps": train.steps}
    return {
        **{key: line[key] if value is None else value for key, value in given.items()},
        "batch_size": train.batch_size,
        "repeats": None if train.repeats == 1 else train.repeats,
    }


def _rule(settings: Settings, line: dict[str, str | None]) -> dict[str, Any]:
    optimizer = settings.optimizer
    absolute = getattr(optimizer, "decay", None) == "by_schedule"
    coupled = optimizer.name in ("sgd", "rmsprop")
    names = ("momentum", "beta_1", "beta_2", "rho", "epsilon")
    nesterov = getattr(optimizer, "nesterov", None)
    return {
        "optimizer": "adam" if absolute else optimizer.name,
        "form": getattr(optimizer, "form", "torch"),
        "learning_rate": _scaled(settings, optimizer.learning_rate),
        **{name: getattr(optimizer, name, None) for name in names},
        "nesterov": None if nesterov is None else ("no", "yes")[nesterov],
        "weight_decay": optimizer.weight_decay or None,
        "decay": "absolute" if absolute else "coupled" if coupled else "decoupled",
        "spared": _spared(settings, line["spared"]),
        "clip_norm": getattr(optimizer, "clip_norm", None) or settings.train.clip_norm,
    }


def _scaled(settings: Settings, rate: float) -> float:
    return scaled(rate, settings.train.batch_size, settings.schedule.reference_batch)


def _spared(settings: Settings, cell: str | None) -> str | None:
    """Kinds of weights in the table's order; /bn/ for what bears that name at the source."""
    kinds = KINDS.get(registry.family(settings.model.name), {"norms", "biases"})
    kinds = kinds | {"layer_scales"} if settings.model.layer_scale else kinds
    spared = set(settings.optimizer.spare)
    if cell == "/bn/" and spared in ({"stem_norm", "*_norm[0-9]"}, {"norms"}):
        return cell  # torchvision calls the shortcuts' norms downsample.1; others call every norm bn.
    words = {"*depthwise*": "depthwise_kernels"}
    order = ("norms", "biases", "embeddings", "layer_scales", "depthwise_kernels")
    named = {words.get(pattern, pattern) for pattern in spared if pattern in kinds or pattern not in order}
    return " ".join(sorted(named, key=lambda word: (*order, word).index(word))) or None


def _schedule(settings: Settings, line: dict[str, str | None]) -> dict[str, Any]:
    schedule = settings.schedule
    peak = _scaled(settings, settings.optimizer.learning_rate)
    warms = bool(getattr(schedule, "warmup_epochs", 0) or getattr(schedule, "warmup_steps", None))
    words = {"before": "before", "over": "over", "joins": "into", "multiplies": "times"}
    warmup = words[schedule.warmup] if warms else None
    if warms and schedule.warmup_inclusive and schedule.warmup_by == "epoch":
        warmup += ", e + 1"
    start = _end(settings, "warmup_from", "warmup_from_rate", peak) if warms else None
    as_rate = line["warmup_from_rate"] is not None
    floor = hasattr(schedule, "final_factor")
    points = getattr(schedule, "points", ())
    return {
        "schedule": schedule.name,
        "by": schedule.by,
        "every": getattr(schedule, "every", None),
        "factor": getattr(schedule, "factor", None),
        "milestones": " ".join(f"{epoch:g}" for epoch in getattr(schedule, "milestones", ())) or None,
        "points": line["points"] if points == _points(line["points"]) and points else points or None,
        "warmup": warmup,
        "warmup_by": schedule.warmup_by if warms else None,
        "warmup_epochs": (schedule.warmup_epochs or None) if warms else None,
        "warmup_steps": schedule.warmup_steps if warms else None,
        "warmup_from": None if start is None or as_rate else start / peak,
        "warmup_from_rate": start if as_rate else None,
        "final_rate": _end(settings, "final_factor", "final_rate", peak) if floor else None,
    }


def _end(settings: Settings, share: str, rate: str, peak: float) -> float:
    """A rate that is given as a share of the peak, or as it is, or as it is for the reference batch."""
    schedule = settings.schedule
    absolute = getattr(schedule, rate)
    if absolute is None:
        return getattr(schedule, share) * peak
    return _scaled(settings, absolute) if schedule.scale_ends else absolute


def _points(cell: str | None) -> tuple[tuple[float, float], ...]:
    knots = (knot.split(":") for knot in (cell or "").split())
    return tuple((float(epoch), float(share)) for epoch, share in knots)


def _loss_and_mixing(settings: Settings) -> dict[str, Any]:
    loss = settings.loss
    reduction = f" {loss.reduction}" if hasattr(loss, "reduction") else ""
    mixing = _last_augment(settings).mixing
    return {
        "loss": f"{loss.name}{reduction}",
        "label_smoothing": loss.label_smoothing or None,
        "target_threshold": getattr(loss, "target_threshold", None),
        "mixup_alpha": mixing and (mixing.mixup or None),
        "cutmix_alpha": mixing and (mixing.cutmix or None),
        "mix_probability": mixing and mixing.probability,
        "mix_form": mixing and _mix_form(mixing),
    }


def _mix_form(mixing: Mixing) -> str:
    words = ["example" if mixing.mode == "element" else mixing.mode, mixing.partner]
    words += ["folded"] if mixing.fold else []
    words += [("uncorrected", "corrected")[mixing.corrected]] if mixing.cutmix else []
    return " ".join([*words, *(["halves"] if mixing.choice == "halves" else [])])


def _last_augment(settings: Settings) -> AugmentSettings:
    """As it is in the last phase."""
    return [settings.augment, *augments(settings.augment, settings.phases)][-1]


def _augmentation(settings: Settings) -> dict[str, Any]:
    augment = _last_augment(settings)
    erasing, jitter = augment.random_erasing, augment.color_jitter
    return {
        "erase_probability": erasing and erasing.probability,
        "erase_mode": erasing and erasing.mode,
        "erase_area_max": erasing and round(erasing.area[1], 4),
        "policy": _policy(augment),
        "color_jitter": jitter and jitter.brightness,
        "crop_area_min": augment.random_resized_crop.scale[0],
    }


def _policy(augment: AugmentSettings) -> str | None:
    if augment.trivial_augment:
        return "trivialaugment"
    if augment.three_augment:
        return "3-augment"
    if augment.auto_augment:
        return f"autoaugment-{augment.auto_augment}"
    if augment.lighting:
        return f"pca-lighting {augment.lighting:g}"
    rand = augment.rand_augment
    if rand is None:
        return None
    garden = rand.form == "garden"
    words = [f"randaugment-{'google' if garden else rand.form} {rand.count} {rand.magnitude:g}"]
    words += [f"std {rand.deviation:g}"] if rand.deviation else []
    words += ["inc"] if rand.increasing else []
    if garden:
        words += [f"p {rand.probability:g}"] if rand.probability not in (None, 1) else []
        words += ["no-cutout"] if rand.exclude else []
        words += [f"translate {rand.translate:g}"] if rand.translate not in (None, 100) else []
    return " ".join(words)


def _sizes(settings: Settings) -> dict[str, Any]:
    data = settings.data
    train_size = [data.size, *(phase.size for phase in settings.phases if phase.size)][-1]
    evaluation_size = data.evaluation_size or data.size
    centre = data.fit == "centre"
    crops = data.fit in (None, "crop")
    kernel = data.kernel
    return {
        "train_size": train_size,
        "evaluation_size": evaluation_size,
        "evaluation_resize": int(evaluation_size / data.crop_fraction) if crops else None,
        "crop_fraction": data.crop_fraction if centre else None,
        "kernel_train": kernel,
        "kernel_evaluation": data.evaluation_kernel or kernel,
        "antialias": None if kernel == "area" else ("no", "yes")[data.antialias],
        "flip_average": "yes" if data.flip_average else None,
    }


def _average(settings: Settings) -> dict[str, Any]:
    average = settings.average
    if average is None:
        return dict.fromkeys(("average", "average_decay", "average_decay_acting"))
    words = {"torchvision": "torchvision every 32 steps", "tensorflow": "tensorflow dynamic", "constant": "constant"}
    said, acting = words[average.name], None
    if average.name == "torchvision":
        train = settings.train
        acting = round(1 - min(1.0, (1 - average.decay) * train.batch_size * average.every / train.epochs), 9)
    elif average.from_step:
        said += f" from step {average.from_step}"
    said += "" if average.statistics else ", weights only"
    return {"average": said, "average_decay": average.decay, "average_decay_acting": acting}


def _network(settings: Settings) -> dict[str, Any]:
    model = settings.model
    family = registry.family(model.name)

    def rate(option: str) -> float | str:
        """A rate that the recipe gives, or 0; the table's words are numbers, so that this one fits none."""
        given = getattr(model, option)
        return "left to the family" if given is None and family in FAMILY_RATES[option] else given or 0

    return {
        "model": model.name,
        "dropout": rate("dropout"),
        "stochastic_depth": rate("stochastic_depth"),
        "layer_scale": model.layer_scale,
        "head_bias": model.head_bias,
        "bn_momentum": model.batch_norm.momentum,
        "bn_epsilon": model.batch_norm.epsilon,
        "blur_pool": "yes" if model.blur_pool else None,
    }


PHASED = {
    "size": (("size",), ("data", "size")),
    "magnitude": (("augment", "rand_augment", "magnitude"),) * 2,
    "mixup_alpha": (("augment", "mixing", "mixup"),) * 2,
    "cutmix_alpha": (("augment", "mixing", "cutmix"),) * 2,
}
"""By the table's word where a phase has a number, and where the settings have that of the first stretch."""


def _phases(settings: Settings, cell: str | None) -> Any:
    """The cell where the phases say the same, to four digits; else what they say."""
    said = {}
    for word, (where, first) in PHASED.items():
        given = [(_at(phase.model_dump(), where), phase.from_epoch) for phase in settings.phases]
        changes = [(value, epoch) for value, epoch in given if value is not None]
        if changes:
            said[word] = [(_at(settings.model_dump(), first) or 0, 0.0), *changes]
    wanted = {}
    for part in cell.split("; ") if cell else ():
        word, *values = part.split()
        wanted[word] = [tuple(map(float, value.split("@"))) for value in values]
    return cell if said.keys() == wanted.keys() and all(map(_near, said.values(), wanted.values())) else said


def _near(said: list[tuple[float, float]], wanted: list[tuple[float, float]]) -> bool:
    numbers = zip(itertools.chain(*said), itertools.chain(*wanted), strict=False)
    return len(said) == len(wanted) and all(math.isclose(one, other, rel_tol=1e-3) for one, other in numbers)


def _at(tree: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        tree = tree.get(key) if isinstance(tree, dict) else None
    return tree
