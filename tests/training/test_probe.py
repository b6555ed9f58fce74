"""The head that is solved on frozen features is the softmax regression that others find."""

import numpy as np
from sklearn.linear_model import LogisticRegression

from keras_imagenet.training.probe import DECAY, regression


def test_the_regression_is_scikit_learns_on_standardised_features() -> None:
    """Its C weighs the sum of the losses against half the squared kernel, so C = 1 / (decay n)."""
    random = np.random.default_rng(0)
    labels = random.integers(0, 3, 200)
    features = (random.normal(size=(3, 16))[labels] + random.normal(size=(200, 16)) * 2 + 5).astype(np.float32)
    kernel, bias = regression(features, labels, 3)
    mean, deviation = features.mean(0), features.std(0)
    theirs = LogisticRegression(C=16 / (DECAY * 200), tol=1e-8, max_iter=2000).fit(
        (features - mean) / deviation, labels
    )
    logits = features @ kernel + bias
    ours = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(ours, theirs.predict_proba((features - mean) / deviation), atol=2e-3)


def test_a_class_without_an_example_and_a_constant_feature_are_no_fault() -> None:
    features = np.array([[0, 1], [1, 1], [0.1, 1], [0.9, 1]], np.float32)
    kernel, bias = regression(features, np.array([0, 2, 0, 2]), 4)
    assert np.isfinite(kernel).all()
    assert (features @ kernel + bias).argmax(1).tolist() == [0, 2, 0, 2]
