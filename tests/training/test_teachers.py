"""Distillation: the losses by numpy, the teacher's view, who can teach, and runs with a teacher."""

import shutil
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import log_softmax, rel_entr, softmax

from keras_imagenet.data import sources
from keras_imagenet.data.mixing import mix
from keras_imagenet.data.sources import Source
from keras_imagenet.errors import DataError, SettingsError
from keras_imagenet.models import vit
from keras_imagenet.models.weights import imagenet_classes
from keras_imagenet.preset import Preset
from keras_imagenet.recipes import load
from keras_imagenet.run_folder import RunFolder
from keras_imagenet.serving.export import ServedClassifier
from keras_imagenet.settings import SGDSettings
from keras_imagenet.settings.teacher import HardTeacher, SoftTeacher
from keras_imagenet.training import objectives, optimizers, step, teachers
from keras_imagenet.training import state as states

GREY = Preset(size=(8, 8), channels=1, mean=(0.5,), std=(0.5,))
TAUGHT = {
    "teacher.name": "soft",
    "teacher.temperature": "2",
    "teacher.weight": "0.9",
    "data.size": "16",
    "data.mean": "[0.2]",
    "data.std": "[0.3]",
    "augment.mixing": "{mixup: 0.4, cutmix: 1.0}",
    "train.batch_size": "32",
    "train.steps": "4",
}


def logits(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 3, (6, 5))


def test_the_soft_loss_and_its_gradient_are_hintons() -> None:
    """T ** 2 KL(teacher || student) and T (q - p), in float64 to 1e-12."""
    taught, own, temperature = logits(0), logits(1), 3.0
    p, q = (softmax(one / temperature, axis=1) for one in (taught, own))
    student = tf.constant(own)
    with tf.GradientTape() as tape:
        tape.watch(student)
        found = teachers.soft(tf.constant(taught), student, temperature=temperature)
    np.testing.assert_allclose(found, temperature**2 * rel_entr(p, q).sum(axis=1), rtol=1e-12)
    np.testing.assert_allclose(tape.gradient(found, student), temperature * (q - p), rtol=1e-12, atol=1e-14)


def test_the_hard_loss_is_the_cross_entropy_with_what_the_teacher_answers() -> None:
    taught, own = logits(0), logits(1)
    wanted = -log_softmax(own, axis=1)[np.arange(6), taught.argmax(axis=1)]
    np.testing.assert_allclose(teachers.hard(tf.constant(taught), tf.constant(own)), wanted, rtol=1e-12)


def test_the_loss_is_shared_between_labels_and_teacher() -> None:
    teacher = teachers.Teacher("one", (8, 8), lambda values, pixels: tf.constant(logits(0)), (), teachers.hard, 0.3)
    objective = objectives.Objective(GREY, 5, teacher=teacher)
    batch = {"images": tf.zeros((6, 8, 8, 1)), "labels": tf.constant([0, 1, 2, 3, 4, 0]), "weights": tf.ones(6)}
    _, targets, answers = objective.inputs(batch)
    own = logits(1)
    sums, loss = objective.sums(batch, targets, tf.constant(own), answers)
    terms = -log_softmax(own, axis=1)[np.arange(6), [batch["labels"], logits(0).argmax(axis=1)]]
    np.testing.assert_allclose(loss, (0.7 * terms[0] + 0.3 * terms[1]).sum(), rtol=1e-12)
    assert sums[1] == (own.argmax(axis=1) == batch["labels"].numpy()).sum()


def test_the_teacher_sees_the_mixed_images_as_pixels_at_its_size() -> None:
    """arXiv:2106.05237: the same view. The pixels are those that mixing makes of the pixels themselves."""
    seen = []
    teacher = teachers.Teacher("one", (8, 8), lambda values, pixels: seen.append(pixels), (), teachers.hard, 0.5)
    preset = Preset(size=(8, 8))

    def mixed(images: tf.Tensor, targets: tf.Tensor, batch: objectives.Batch) -> tuple[tf.Tensor, tf.Tensor]:
        return mix(images, targets, shares=batch["shares"])

    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 8, 3)).astype(np.float32)
    batch = {"images": tf.constant(pixels), "labels": tf.zeros(8, tf.int32), "shares": tf.linspace(0.1, 0.9, 8)}
    batch["shares"] = tf.cast(batch["shares"], tf.float32)
    objective = objectives.Objective(preset, 5, mix=mixed, teacher=teacher)
    objective.inputs(batch)
    wanted, _ = mix(tf.constant(pixels), tf.zeros((8, 5)), shares=batch["shares"])
    np.testing.assert_allclose(seen[0], wanted, atol=1e-3)
    replace(objective, teacher=replace(teacher, size=(12, 10))).inputs(batch)
    np.testing.assert_allclose(seen[1], tf.image.resize(wanted, (12, 10)), atol=1e-3)


def test_each_token_learns_from_its_own_teacher() -> None:
    """DeiT: cross-entropy of the class token's head with the labels, of the distillation token's with the teacher's answers."""
    network = vit.build(vit.ViT(16, 1, 2, distilled=True), input_shape=(32, 32, 3), classes=3)
    forward = teachers.two_headed(network)
    optimizer = optimizers.build(SGDSettings(momentum=0.0), network.trainable_variables)
    state = states.start(network, optimizer, "float32")
    told = tf.constant([[0.0, 1, 0], [0, 0, 1], [0, 0, 1], [0, 1, 0]])
    teacher = teachers.Teacher("one", (32, 32), lambda values, pixels: told, (), teachers.hard, 0.5, token=True)
    objective = objectives.Objective(Preset(size=(32, 32)), 3, teacher=teacher)
    images = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3)).astype(np.uint8)
    batch = {"images": tf.constant(images), "labels": tf.zeros(4, tf.int32), "weights": tf.ones(4)}
    before, _ = forward(
        *([v.value for v in group] for group in (state.weights, state.rest)), objective.inputs(batch)[0]
    )
    one_step = step.build(
        state, objective, optimizer, tf.distribute.get_strategy(), step.Plan(4), forward, average=None
    )
    one_step(batch, tf.constant(1.0, tf.float64), tf.constant(0, tf.int64))
    wrong = softmax(before.numpy().reshape(2, 4, 3), axis=2) - [np.eye(3)[[0] * 4], told.numpy()]
    for head, gradient in zip(teachers.HEADS, wrong.mean(axis=1) / 2, strict=True):
        np.testing.assert_allclose(network.get_layer(head).bias.numpy(), -gradient, atol=1e-6)
    both = (before[:4] + before[4:]).numpy().argmax(axis=1)
    assert state.sums.numpy()[1] == (both == 0).sum()


def built(settings: SoftTeacher | HardTeacher, source: Source, preset: Preset) -> teachers.Teacher:
    return teachers.build(settings, source, preset, tf.distribute.get_strategy())


@pytest.fixture(scope="module")
def digits() -> Source:
    return sources.open_source(load("digits/simple_cnn").data.source).train


@pytest.fixture(scope="module")
def served(digits_run: Path, tmp_path_factory) -> tuple[ServedClassifier, Path]:
    """The digits' run as `export` saves it."""
    folder = RunFolder(digits_run)
    network = keras.saving.load_model(folder.model_file)
    classifier = ServedClassifier(network, folder.preset.evaluation, folder.classes.names)
    path = tmp_path_factory.mktemp("exported") / "saved"
    tf.saved_model.save(classifier, str(path), signatures={"images": classifier.images})
    return classifier, path


def test_a_run_and_its_saved_model_answer_alike(
    digits_run: Path, digits: Source, served: tuple[ServedClassifier, Path]
) -> None:
    (classifier, path), preset = served, RunFolder(digits_run).preset.evaluation
    shape = (16, *preset.input_shape)
    pixels = tf.constant(np.random.default_rng(0).uniform(0, 255, shape).astype(np.float32))
    run = built(SoftTeacher(name="soft", source=digits_run), digits, preset)
    other = built(HardTeacher(name="hard", source=path), digits, preset)
    known = classifier.images(pixels)
    for xla in (False, True):
        ours, theirs = (
            tf.function(teacher.answers, jit_compile=xla)([v.value for v in teacher.variables], pixels)
            for teacher in (run, other)
        )
        np.testing.assert_array_equal(tf.argmax(ours, axis=1), known["labels"][:, 0])
        np.testing.assert_array_equal(tf.argmax(theirs, axis=1), known["labels"][:, 0])
        np.testing.assert_allclose(tf.reduce_max(tf.nn.softmax(ours), axis=1), known["probabilities"][:, 0], rtol=1e-4)
        np.testing.assert_allclose(tf.exp(tf.reduce_max(theirs, axis=1)), known["probabilities"][:, 0], rtol=1e-4)
    assert other.variables == ()
    with pytest.raises(SettingsError, match=r"teacher: .*saved: a SavedModel answers with its 5 most probable of 10"):
        built(SoftTeacher(name="soft", source=path), digits, preset)
    reversed_ = replace(digits, class_names=digits.class_names[::-1])
    with pytest.raises(DataError, match=r"teacher: .*saved: its 10 classes are not the data's 10, or in another order"):
        built(HardTeacher(name="hard", source=path), reversed_, preset)


def test_a_saved_model_teaches_two_replicas(command, served: tuple[ServedClassifier, Path]) -> None:
    """Its weights belong to no replica."""
    words = ("--teacher.name", "hard", "--teacher.source", served[1], "--runtime.logical_cpus", "2")
    done = command("fit", "--dry_run", *words)
    assert done.returncode == 0, done.stderr
    assert f"teacher: {served[1]}, sees the same images at 8 x 8; hard, weighs 0.5 and the labels 0.5" in done.stdout


def test_a_published_network_teaches_at_its_own_size() -> None:
    identifiers, names = zip(*imagenet_classes(), strict=True)
    photos = Source(identifiers, names, np.zeros(1, np.int32), [], "", lambda index: index)
    teacher = built(HardTeacher(name="hard", network="efficientnet_lite0"), photos, Preset(size=(64, 64)))
    values = [variable.value for variable in teacher.variables]
    assert teacher.size == (224, 224)
    assert teacher.answers(values, tf.zeros((1, 64, 64, 3))).shape == (1, 1000)


@pytest.mark.parametrize(
    ("settings", "wanted", "message"),
    [
        ({"source": "nowhere"}, SettingsError, "teacher: nowhere: neither a run's folder nor a SavedModel's"),
        ({"network": "efficientnet_lit0"}, SettingsError, "teacher: .*no such model; did you mean efficientnet_lite0"),
        ({"network": "efficientnet_lite0"}, DataError, "teacher: .*: its 1000 classes are not the data's 10"),
    ],
)
def test_who_cannot_teach_is_named(settings: dict, wanted: type, message: str, digits: Source) -> None:
    with pytest.raises(wanted, match=message):
        built(HardTeacher(name="hard", **settings), digits, GREY)


def test_a_teacher_in_colour_does_not_teach_on_grey_images(digits_run: Path, digits: Source) -> None:
    with pytest.raises(SettingsError, match=r"looks at images of 1 channels, data.channels is 3"):
        built(HardTeacher(name="hard", source=digits_run), digits, Preset(size=(8, 8)))


def test_a_taught_run_goes_on_to_the_same_bits_and_leaves_the_teacher_out(
    command, digits_run: Path, tmp_path: Path
) -> None:
    """Interrupted with mixing and dropout on, at another size and normalisation than the teacher's."""
    from test_exactness import assert_same_bits

    words = [word for name, value in TAUGHT.items() for word in (f"--{name}", value)]
    words += ["--teacher.source", str(digits_run), "--train.checkpoint_steps", "1"]
    whole, other = tmp_path / "whole", tmp_path / "other"
    done = command("fit", *words, "--runtime.run_folder", whole)
    assert done.returncode == 0, done.stderr
    assert f"teacher: {digits_run} (simple_cnn), sees the same images at 8 x 8, resized" in done.stdout
    assert "soft at temperature 2, weighs 0.9 and the labels 0.1" in done.stdout
    shutil.copytree(whole, other)
    kept = sorted(other.glob("checkpoints/step-*.npz"))
    for file in (other / "metrics.json", other / "model.keras", *kept[2:]):
        file.unlink(missing_ok=True)
    done = command("fit", "--config", other)
    assert done.returncode == 0, done.stderr
    assert "going on from step" in done.stdout
    assert_same_bits(whole, other)
    alone = len(keras.saving.load_model(digits_run / "model.keras").variables)
    assert len(keras.saving.load_model(whole / "model.keras").variables) == alone
    assert sum(name.startswith("network/") for name in np.load(kept[0]).files) == alone
