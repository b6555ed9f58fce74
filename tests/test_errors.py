"""A word that is not known is answered with the one that was perhaps meant, everywhere in the same words."""

from keras_imagenet.errors import nearest


def test_the_nearest_word_or_nothing() -> None:
    assert nearest("resnet_50", ["resnet18", "resnet50"]) == "; did you mean resnet50?"
    assert nearest("resnet50", ["tulip"]) == ""
    assert nearest("epoch", {"epochs": "--train.epochs"}) == "; did you mean --train.epochs?"
