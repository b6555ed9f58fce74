"""What `fit` prints before the first step: the values that will act."""

import numpy as np
import tensorflow as tf

from keras_imagenet import runtime
from keras_imagenet.data import pipeline
from keras_imagenet.data.balance import slots
from keras_imagenet.training import optimizers, phases, recomputation, schedules, workers
from keras_imagenet.training.assembly import Run

KINDS = {
    "norms": "norms",
    "biases": "biases",
    "embeddings": "positions, class tokens",
    "layer_scales": "layer scales",
    "kernels": "kernels",
}


def announcement(run: Run) -> list[str]:
    """The values that will act, in a few lines."""
    settings, network, batches, n = run.settings, run.state.network, run.course.batches, len(run.training)
    batch_size = batches.size
    reference = settings.schedule.reference_batch
    peak = schedules.scaled(settings.optimizer.learning_rate, batch_size, reference)
    scaling = f" ({settings.optimizer.learning_rate:g} for a batch of {reference})" if reference else ""
    variables = network.trainable_variables
    segments = len(recomputation.segments(network)) if settings.train.gradient_checkpointing else 0
    recomputed = f"; activations of {segments} segments are computed twice" if segments else ""
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    device_names = ", ".join(device.name.rpartition("/device:")[2] for device in devices)
    validation = f"{len(run.validation.labels):,} to validate on" if run.validation else "none to validate on"
    validation += "".join(f", {len(source):,} of {name} besides" for name, source in run.also.items())
    repeats = settings.train.repeats
    about = "about " if batches.size % repeats else ""
    repeated = f", {about}{batches.different} different ones {repeats} times each" if repeats > 1 else ""
    parts = f" in {batches.accumulate} parts of {batches.micro_rows}" if batches.accumulate > 1 else ""
    beginnings = [
        f"data: {settings.data.source.name}, {n:,} examples to train on, {validation}, {len(run.training.classes):,} classes",
        f"model: {settings.model.name}, input {_input(run)}, {network.count_params():,} parameters, {run.started_from}",
    ]
    acting = (
        f"runtime: {settings.runtime.precision} on {device_names}, {runtime.threads(settings.runtime)} reading threads, "
        f"seed {settings.runtime.seed}; {run.compiled.why}; {pipeline.describe_exactness(settings.augment)}{recomputed}"
    )
    if not run.course.steps:
        return [*beginnings, "length: no epoch; the head that is solved is all that is learned", acting]
    return [
        *beginnings,
        f"batches: {batch_size} examples{repeated}, {batches.rows} on each of {batches.replicas} replica(s){parts}; "
        f"{n / batch_size:.1f} steps an epoch, {run.course.steps:,} in all",
        *_team(run),
        *_favours(run),
        f"learning rate: {settings.optimizer.name}, peak {peak:g}{scaling}, {settings.schedule.name}{_warmup(run)}",
        *_beyond(run),
        f"weight decay: {settings.optimizer.weight_decay:g} on {sum(decay > 0 for decay in run.optimizer.decays)} "
        f"of {len(variables)} weights{_sparing(run)}",
        *_sam(run),
        *_teacher(run),
        *_average(run),
        acting,
        *phases.lines(settings, run.course),
    ]


def _input(run: Run) -> str:
    """What the network looks at: in training, and where that is another size in evaluation; without a step in the latter."""
    trained, evaluated = ("x".join(map(str, preset.input_shape)) for preset in (run.preset, run.preset.evaluation))
    if not run.course.steps or trained == evaluated:
        return evaluated
    return f"{trained} (evaluated at {evaluated})"


def _team(run: Run) -> list[str]:
    """A line that names the workers, where there are several."""
    addresses = workers.addresses(run.strategy)
    return [f"workers: {len(addresses)}, {', '.join(addresses)}; worker 0 writes the run folder"] if addresses else []


def _warmup(run: Run) -> str:
    """What becomes of the rate at first, in words."""
    settings = run.settings.schedule
    steps = schedules.warmup_steps(settings, run.course.steps_per_epoch)
    if not steps:
        return ""
    relation = "after" if settings.warmup == "before" else "from the start, with"
    late = ", which end after the run does" if steps > run.course.steps else ""
    return f" {relation} {steps} steps of warm-up{late}"


def _beyond(run: Run) -> list[str]:
    """A line on what the settings have for later than the end of a run in steps; one in epochs is refused."""
    settings, epochs = run.settings, float(run.course.epochs)
    times = {
        "schedule.milestones": getattr(settings.schedule, "milestones", ()),
        "schedule.patience": [getattr(settings.schedule, "patience", 0)],
        "train.patience": [settings.train.patience or 0],
        "phases.from_epoch": [phase.from_epoch for phase in settings.phases],
    }
    late = [f"{name} {time:g}" for name, found in times.items() for time in found if time >= epochs]
    if (begins := getattr(settings.average, "from_epoch", 0)) > epochs:  # counted from the end of that epoch on
        late.append(f"average.from_epoch {begins:g}")
    return [f"not reached in {epochs:.4g} epochs: {', '.join(late)}"] if late else []


def _sparing(run: Run) -> str:
    """What is not decayed, in words, how far rates differ, and what stands still later."""
    treated = optimizers.table(run.optimizer, run.state.weights)
    decayed = {group.kind for group in treated if group.decay}
    words = [
        word if kind not in decayed else f"some {word}"
        for kind, word in KINDS.items()
        if run.settings.optimizer.weight_decay and any(group.kind == kind and not group.decay for group in treated)
    ]
    spared = "; " + " and ".join(", ".join(words).rsplit(", ", 1)) + " are spared" if words else ""
    factors = {group.factor for group in treated}
    differ = f"; rates differ by factors of {min(factors):.3g} to {max(factors):.3g}" if len(factors) > 1 else ""
    ends = [f"; {group.first} stands still after step {group.end:,}" for group in treated if group.end is not None]
    return "".join([spared, differ, *ends])


def _sam(run: Run) -> list[str]:
    """A line where gradients are taken beside the weights."""
    rho = run.settings.train.sam
    return (
        [f"SAM: gradients are taken {rho:g} uphill of the weights; two passes a step, figures of the first"]
        if rho
        else []
    )


def _teacher(run: Run) -> list[str]:
    """A line on who teaches, where somebody does."""
    if (teacher := run.objective.teacher) is None:
        return []
    settings, (height, width) = run.settings.teacher, teacher.size
    how = f"soft at temperature {settings.temperature:g}" if settings.name == "soft" else "hard"
    resized = "" if {stretch.preset.size for stretch in run.stretches} == {teacher.size} else ", resized on the device"
    head = ", by the distillation token's head alone" if teacher.token else ""
    return [
        f"teacher: {teacher.whence}, sees the same images at {height} x {width}{resized}; {how}, weighs {teacher.weight:g} and the "
        f"labels {1 - teacher.weight:g}{head}; it is needed again to go on, and not to use what is trained"
    ]


def _average(run: Run) -> list[str]:
    """A line on the average of the weights, where there is one."""
    if (settings := run.settings.average) is None:
        return []
    kept = run.settings.train.keep.replace("_", " ")
    statistics = "with" if settings.statistics else "without"
    return [
        f"average: {settings.name}, {len(run.state.average)} variables, {statistics} batch norm's statistics; measured after "
        f"each epoch beside the weights; model.keras will hold: {kept}"
    ]


def _favours(run: Run) -> list[str]:
    """A line each for classes drawn otherwise than they come, weighed in the loss, and for a loss of consistency; else none."""
    settings, names, lines = run.settings, run.training.class_names, []
    counts = np.bincount(run.training.labels, minlength=len(names))
    if balance := settings.train.balance:
        drawn, (least, most) = slots(counts, balance), (int(counts.argmin()), int(counts.argmax()))
        lines.append(
            f"draws: balance {balance:g}; an epoch has {drawn[least]:,} of {names[least]} ({counts[least]:,} images) "
            f"and {drawn[most]:,} of {names[most]} ({counts[most]:,} images)"
        )
    if (weights := run.objective.class_weights) is not None:
        asked, (low, high) = settings.loss.class_weights, (int(weights.argmin()), int(weights.argmax()))
        how = asked if isinstance(asked, str) else "as given"
        lines.append(
            f"loss: class weights {how}, {weights[low]:.4g} ({names[low]}) to {weights[high]:.4g} ({names[high]}); "
            "validation's loss has none"
        )
    if run.objective.consistency:
        lines.append(
            f"loss: and {run.objective.consistency:g} times the Jensen-Shannon divergence of the answers to each image and to two "
            "AugMixes of it: three images an example go through the network"
        )
    return lines
