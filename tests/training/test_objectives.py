"""Losses by PyTorch's and timm's arithmetic: classes that weigh more, whatever the targets, and views that should agree."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from pydantic import TypeAdapter, ValidationError
from sklearn.utils.class_weight import compute_class_weight

from keras_imagenet.data.sources import Source
from keras_imagenet.errors import DataError, SettingsError
from keras_imagenet.preset import Preset
from keras_imagenet.settings import CrossEntropySettings, LossSettings
from keras_imagenet.training import objectives

GOLDEN = Path(__file__).parent.parent / "golden/losses.npz"
NAMES = ("rose", "tulip", "daisy")
PIXEL = Preset(size=(1, 1), channels=1, mean=(0.0,), std=(1 / 255,))


def source(labels: list[int]) -> Source:
    return Source(("n1", "n2", "n3"), NAMES, np.array(labels, np.int32), [], "", lambda index: index)


def weights(labels: list[int], **settings) -> np.ndarray | None:
    return objectives.class_weights(CrossEntropySettings(**settings), source(labels))


def test_the_weighted_loss_and_its_gradient_are_pytorchs() -> None:
    """Hard, smoothed and mixed targets, 1e-5."""
    golden = np.load(GOLDEN)
    logits = tf.constant(golden["logits"])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        found = objectives.cross_entropy(tf.constant(golden["targets"]), logits, golden["weights"])
    np.testing.assert_allclose(found, golden["losses"], rtol=1e-5)
    np.testing.assert_allclose(tape.gradient(found, logits), golden["gradient"], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("golden", "settings"),
    [
        ("binary_sum", {"name": "binary_cross_entropy"}),
        ("binary_mean", {"name": "binary_cross_entropy", "reduction": "mean"}),
        ("binary_threshold", {"name": "binary_cross_entropy", "reduction": "mean", "target_threshold": 0}),
        ("binary_weights", {"name": "binary_cross_entropy", "reduction": "mean", "class_weights": "balanced"}),
        ("focal", {"name": "focal"}),
        ("focal_alpha", {"name": "focal", "reduction": "mean", "gamma": 3, "alpha": 0.25}),
    ],
)
def test_binary_losses_and_their_gradients_are_timms_and_torchvisions(golden: str, settings: dict) -> None:
    """The mean over the batch, 1e-5: summed or averaged over classes, mixed targets as they are or made whole."""
    loss = objectives.loss_of(TypeAdapter(LossSettings).validate_python(settings))
    arrays = np.load(GOLDEN)
    targets = tf.constant(arrays["mixed" if "target_threshold" in settings else "targets"])
    weights = arrays["weights"] if "class_weights" in settings else None
    logits = tf.constant(arrays["logits"])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        found = tf.reduce_mean(loss(targets, logits, weights))
    np.testing.assert_allclose(found, arrays[golden], rtol=1e-5)
    np.testing.assert_allclose(tape.gradient(found, logits), arrays[f"{golden}_gradient"], rtol=1e-4, atol=1e-7)


def test_the_jensen_shannon_loss_and_its_gradient_are_timms() -> None:
    golden = np.load(GOLDEN)
    logits = tf.constant(golden["logits"])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        found = tf.reduce_mean(objectives.jensen_shannon(tf.split(logits, 3)))
    np.testing.assert_allclose(found, golden["jsd"], rtol=1e-5)
    np.testing.assert_allclose(tape.gradient(found, logits), golden["jsd_gradient"], rtol=1e-4, atol=1e-6)


def test_answers_that_agree_have_no_divergence() -> None:
    logits = tf.constant([[1.0, -200.0, 30.0], [0.0, 0.0, 0.0]])
    np.testing.assert_allclose(objectives.jensen_shannon([logits, logits, logits]), [0, 0], atol=1e-6)
    np.testing.assert_allclose(objectives.jensen_shannon([[[0.0, 500.0]], [[500.0, 0.0]]]), [np.log(2)], rtol=1e-6)


def test_smoothed_targets_are_the_papers() -> None:
    """arXiv:1512.00567 section 7: a share of 0.2 goes to all four classes alike, the label's own included."""
    found = objectives.smooth(tf.constant([2, 0]), 4, 0.2)
    np.testing.assert_allclose(found, [[0.05, 0.05, 0.85, 0.05], [0.85, 0.05, 0.05, 0.05]], rtol=1e-6)
    assert objectives.smooth(tf.constant([1]), 3, 0.0).numpy().tolist() == [[0, 1, 0]]


def test_a_batch_s_sums_are_over_the_rows_that_count() -> None:
    """Half a weight is half a loss and a whole example; a row that does not count may hold anything."""
    logits = tf.constant([[9.0, 8, 7, 6, 5, 4], [0, 9, 8, 7, 6, 5], [0, 0, 0, 0, 0, 1], [np.inf] * 6])
    batch = {"labels": tf.constant([1, 0, 5, 0]), "weights": tf.constant([1, 1, 0.5, 0])}
    targets = objectives.smooth(batch["labels"], 6, 0.0)
    sums, loss = objectives.Objective(PIXEL, 6).sums(batch, targets, logits)
    wanted = np.array([1, 1, 0.5]) @ objectives.cross_entropy(targets, logits).numpy()[:3]
    np.testing.assert_allclose([loss, *sums], [wanted, wanted, 1, 2, 3], rtol=1e-6)


def test_views_stand_below_their_images_and_should_agree() -> None:
    """AugMix: cross-entropy of the images' answers alone, and twelve times the divergence of all three."""
    objective = objectives.Objective(PIXEL, 3, consistency=12.0)
    pixels = {"images": np.reshape([1.0, 2], (2, 1, 1, 1)), "views": np.reshape([11.0, 21, 12, 22], (2, 2, 1, 1, 1))}
    batch = {name: tf.constant(values, tf.float32) for name, values in pixels.items()}
    batch |= {"labels": tf.constant([0, 2]), "weights": tf.ones(2)}
    images, targets, _ = objective.inputs(batch)
    np.testing.assert_allclose(tf.reshape(images, [-1]), [1, 2, 11, 12, 21, 22], rtol=1e-6)
    logits = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    own, *others = np.split(logits, 3)
    wanted = objectives.cross_entropy(targets, own) + 12 * objectives.jensen_shannon((own, *others))
    sums, loss = objective.sums(batch, targets, tf.constant(logits))
    np.testing.assert_allclose([loss, sums[0]], [np.sum(wanted)] * 2, rtol=1e-6)
    assert sums[1] == np.sum(own.argmax(axis=1) == [0, 2])


def test_balanced_weights_are_scikit_learns() -> None:
    labels = [0] * 7 + [1] * 2 + [2] * 30
    wanted = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    np.testing.assert_allclose(weights(labels, class_weights="balanced"), wanted, rtol=1e-6)


def test_effective_weights_are_the_papers() -> None:
    """Section 4: with beta 0 every class weighs the same, near 1 the inverse of its count; the weights add up to K."""
    labels = [0] * 7 + [1] * 2 + [2] * 30
    inverse = 1 / np.array([7, 2, 30])
    near_one = weights(labels, class_weights="effective", effective_beta=1 - 1e-9)
    np.testing.assert_allclose(near_one, 3 * inverse / inverse.sum(), rtol=1e-5)
    np.testing.assert_allclose(weights(labels, class_weights="effective", effective_beta=1e-12), np.ones(3), rtol=1e-5)
    half = 1 / np.array([sum(0.9**i for i in range(n)) for n in (7, 2, 30)])  # 1 / effective number, equation 1
    found = weights(labels, class_weights="effective", effective_beta=0.9)
    np.testing.assert_allclose(found, 3 * half / half.sum(), rtol=1e-5)


def test_weights_go_by_folder_or_by_what_people_say() -> None:
    assert weights([0], class_weights={"n1": 2, "daisy": 0.5}).tolist() == [2, 1, 0.5]
    assert weights([0, 1, 2]) is None


def test_what_cannot_be_weighed_is_named() -> None:
    with pytest.raises(SettingsError, match=r"loss.class_weights: tulp: no such class; did you mean tulip\?"):
        weights([0], class_weights={"tulp": 2})
    with pytest.raises(SettingsError, match=r"9: no such class; there are rose, tulip, daisy, n1, n2, \.\.\.$"):
        weights([0], class_weights={"9": 2})
    with pytest.raises(DataError, match=r"loss.class_weights balanced: the class n2 and 1 more have no training image"):
        weights([0], class_weights="balanced")
    with pytest.raises(ValidationError, match="effective_beta belongs to class_weights effective"):
        CrossEntropySettings(effective_beta=0.9)
