"""Numbers that follow from how many examples there are, where settings say `auto`."""

import math

from pydantic import ValidationError

from keras_imagenet.errors import SettingsError
from keras_imagenet.settings import Settings
from keras_imagenet.settings.explain import explain

LEAST_BATCH, MOST_BATCH = 8, 64
STEPS_AN_EPOCH = 16
MOST_EPOCHS = 5
EXAMPLES_AN_EPOCH = 100
PASSES = 400


def sized(settings: Settings, examples: int) -> Settings:
    """The settings with numbers in place of `auto`, for so many training examples.

    A batch: the power of two nearest to examples / 16, from 8 to 64. Epochs: one for each full 100 examples, up to 5, since
    the statistics of few lead away from what was learned before; of many, 400 / sqrt(examples), to a tenth, and 2 at least. Below 100
    there is none where the head is solved, and else one. Raises SettingsError for what does not fit into so many epochs.
    """
    train, found = settings.train, {}
    if train.batch_size == "auto":
        power = 2 ** round(math.log2(max(examples, 1) / STEPS_AN_EPOCH))
        found["batch_size"] = int(min(max(power, LEAST_BATCH), MOST_BATCH))
    if train.epochs == "auto":
        few = max(examples // EXAMPLES_AN_EPOCH, 0 if settings.model.head == "probe" else 1)
        many = max(round(PASSES / math.sqrt(max(examples, 1)), 1), 2)
        found["epochs"] = float(min(few, MOST_EPOCHS, many))
    if not found:
        return settings
    values = settings.model_dump() | {"train": {**train.model_dump(), **found}}
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        said = explain(error.errors()[0], [("auto", values)])
        raise SettingsError(f"{said} (train.epochs auto is {found['epochs']:g} for {examples:,} examples)") from None
