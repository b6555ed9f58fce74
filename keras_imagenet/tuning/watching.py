"""What sees a trial from outside: TensorBoard's HParams dashboard, and the callback that ends what is below the median."""

from pathlib import Path
from typing import Any

import keras
import optuna
import tensorflow as tf
from tensorboard.plugins.hparams import api as hp

from keras_imagenet.run_folder import RunFolder
from keras_imagenet.tuning.space import Range, Space

EVENTS = "events.out.tfevents.*"


def write_experiment(folder: Path, space: Space) -> None:
    """An event file in a search's folder of what varies, and of validation's top-1, which each trial's own files hold."""
    if any(folder.glob(EVENTS)):
        return
    metric = hp.Metric("top1", group="validation", display_name="validation top-1")
    with tf.summary.create_file_writer(str(folder)).as_default(step=0):
        hp.hparams_config([hp.HParam(name, _domain(varied)) for name, varied in space.items()], [metric])


def write_trial(folder: RunFolder, values: dict[str, Any]) -> None:
    """An event file of a trial's settings above those of its curves, which are the metrics of this session."""
    if any(folder.tensorboard.glob(EVENTS)):
        return
    with tf.summary.create_file_writer(str(folder.tensorboard)).as_default(step=0):
        hp.hparams(values, trial_id=folder.path.name)


class Pruning(keras.callbacks.Callback):
    """Tells a search the validation's top-1 after each epoch, and ends the run where that is below the median of the others."""

    def __init__(self, trial: optuna.Trial) -> None:
        super().__init__()
        self.trial = trial

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """Keras counts epochs from 0, as pruners do."""
        self.trial.report(logs["val_top1"], epoch)
        self.model.stop_training |= self.trial.should_prune()


def _domain(varied: Range | Any) -> Any:
    if not isinstance(varied, Range):
        return hp.Discrete(varied.ends)
    interval = hp.IntInterval if isinstance(varied.low, int) else hp.RealInterval
    return interval(varied.low, varied.high)
