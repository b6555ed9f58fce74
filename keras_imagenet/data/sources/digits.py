"""scikit-learn's 1,797 handwritten digits, 8x8: real data that is always there."""

import numpy as np

from keras_imagenet.data.sources.source import Source, Splits, fingerprint, held
from keras_imagenet.data.sources.splits import split
from keras_imagenet.labels import numbered
from keras_imagenet.settings.data import DigitsSource


def open_digits(settings: DigitsSource) -> Splits:
    """The digits as uint8 [8, 8, 1]: their grey levels 0-16 spread over 0-255. Held out by a hash of each one's index."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = np.rint(digits.images * (255 / 16)).astype(np.uint8)[..., np.newaxis]  # [1797, 8, 8, 1]
    labels = digits.target.astype(np.int32)
    classes = numbered(settings.classes, 10, "the digits")
    source = Source(
        classes=classes.identifiers,
        class_names=classes.names,
        labels=labels,
        names=[f"digits[{index}]" for index in range(len(labels))],
        fingerprint=fingerprint("digits", images, labels, classes.identifiers),
        read=held(images),
    )
    return split(settings, source, None)
