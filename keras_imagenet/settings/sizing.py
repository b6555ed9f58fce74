"""Numbers that follow from how many examples there are, where settings say `auto`."""

import math

from keras_imagenet.settings import Settings

LEAST_BATCH, MOST_BATCH = 8, 64
STEPS_AN_EPOCH = 16
LEAST_EPOCHS, MOST_EPOCHS = 2, 5
PASSES = 400


def sized(settings: Settings, examples: int) -> Settings:
    """The settings with numbers in place of `auto`, for so many training examples.

    A batch: the power of two nearest to examples / 16, from 8 to 64. Epochs: 400 / sqrt(examples), from 2 to 5: the
    fewer photos, the sooner their own statistics lead away from what was learned before; and many pay no longer.
    """
    train, found = settings.train, {}
    if train.batch_size == "auto":
        power = 2 ** round(math.log2(max(examples, 1) / STEPS_AN_EPOCH))
        found["batch_size"] = int(min(max(power, LEAST_BATCH), MOST_BATCH))
    if train.epochs == "auto":
        found["epochs"] = float(min(max(round(PASSES / math.sqrt(max(examples, 1))), LEAST_EPOCHS), MOST_EPOCHS))
    return settings.model_copy(update={"train": train.model_copy(update=found)}) if found else settings
