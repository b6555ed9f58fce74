"""What `fit` prints before the first step: the values that will act."""

import numpy as np
import tensorflow as tf

from keras_imagenet import runtime
from keras_imagenet.data import pipeline
from keras_imagenet.data.balance import slots
from keras_imagenet.training import optimizers, recomputation, schedules, workers
from keras_imagenet.training.assembly import Run


def announcement(run: Run) -> list[str]:
    """The values that will act, in a few lines."""
    settings, network, batches, n = run.settings, run.state.network, run.course.batches, len(run.training)
    batch_size = batches.size
    warmup = round(settings.schedule.warmup_epochs * n / batch_size)
    reference = settings.schedule.reference_batch
    peak = schedules.scaled(settings.optimizer.learning_rate, batch_size, reference)
    scaling = f" ({settings.optimizer.learning_rate:g} for a batch of {reference})" if reference else ""
    variables = network.trainable_variables
    decayed = len(variables) - len(optimizers.spared(variables, settings.optimizer))
    segments = len(recomputation.segments(network)) if settings.train.gradient_checkpointing else 0
    recomputed = f"; activations of {segments} segments are computed twice" if segments else ""
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    device_names = ", ".join(device.name.rpartition("/device:")[2] for device in devices)
    validation = f"{len(run.validation.labels):,} to validate on" if run.validation else "none to validate on"
    repeats = settings.train.repeats
    about = "about " if batches.size % repeats else ""
    repeated = f", {about}{batches.different} different ones {repeats} times each" if repeats > 1 else ""
    parts = f" in {batches.accumulate} parts of {batches.micro_rows}" if batches.accumulate > 1 else ""
    return [
        f"data: {settings.data.source.name}, {n:,} examples to train on, {validation}, {len(run.training.classes):,} classes",
        f"model: {settings.model.name}, input {'x'.join(map(str, run.preset.input_shape))}, "
        f"{network.count_params():,} parameters, {run.started_from}",
        f"batches: {batch_size} examples{repeated}, {batches.rows} on each of {batches.replicas} replica(s){parts}; "
        f"{n / batch_size:.1f} steps an epoch, {run.course.steps:,} in all",
        *_team(run),
        *_favours(run),
        f"learning rate: {settings.optimizer.name}, peak {peak:g}{scaling}, {settings.schedule.name} "
        f"after {warmup} steps of warm-up{', which end after the run does' if warmup > run.course.steps else ''}",
        f"weight decay: {settings.optimizer.weight_decay:g} on {decayed} of {len(variables)} weights{_sparing(run)}",
        f"runtime: {settings.runtime.precision} on {device_names}, {runtime.threads(settings.runtime)} reading threads, "
        f"seed {settings.runtime.seed}; {run.compiled.why}; {pipeline.describe_exactness(settings.augment)}{recomputed}",
    ]


def _team(run: Run) -> list[str]:
    """A line that names the workers, where there are several."""
    addresses = workers.addresses(run.strategy)
    return [f"workers: {len(addresses)}, {', '.join(addresses)}; worker 0 writes the run folder"] if addresses else []


def _sparing(run: Run) -> str:
    """What is not decayed, in words."""
    settings, variables = run.settings.optimizer, run.state.weights
    embeddings = not settings.decay_embeddings and any(map(optimizers.is_embedding, variables))
    kinds = {"biases, norms": not settings.decay_norm_and_bias, "positions, class tokens": embeddings}
    spared = ", ".join(kind for kind, applies in kinds.items() if applies)
    return "; " + " and ".join(spared.rsplit(", ", 1)) + " are spared" if spared else ""


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
