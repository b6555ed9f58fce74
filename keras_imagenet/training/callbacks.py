"""The user's Keras callbacks on a run: what can be honoured is, and what cannot is refused by name."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np

from keras_imagenet.errors import SettingsError
from keras_imagenet.training.monitors import View
from keras_imagenet.training.state import SUMS, Row, first_copy

REFUSED = {
    "LearningRateScheduler": "schedule.name and its fields set the rate",
    "ReduceLROnPlateau": "schedule.name and its fields set the rate",
    "BackupAndRestore": "a run saves its own state and goes on from it",
    "SwapEMAWeights": "average.name and its fields keep an average of the weights",
}
"""Callbacks of Keras that act on an optimizer or a state that this program has its own way with."""


class KerasCallbacks:
    """Callbacks see the network (weights, save, predict) and the logs of Keras' `fit`: loss, top1, top5 and, after an
    epoch, val_loss, val_top1, val_top5 and learning_rate. Setting the model's `stop_training` ends the run.
    """

    def __init__(self, callbacks: Sequence[keras.callbacks.Callback]) -> None:
        self.callbacks = callbacks

    def begin(self, view: View) -> None:
        """Hand them the network."""
        self.view, network = view, view.state.network
        network.stop_training = False
        network.optimizer = None  # Keras' TensorBoard asks for it.
        self.list = keras.callbacks.CallbackList(list(self.callbacks), model=network)
        self.list.set_params({"epochs": None, "steps": None, "verbose": 0})
        self.list.on_train_begin()

    def begin_epoch(self, epoch: int) -> None:
        """Keras counts epochs from 0, and batches from 0 in each."""
        self.epoch, self.first = epoch - 1, self.view.state.epoch_began
        self.list.on_epoch_begin(self.epoch)
        self._begin_batch()

    def step(self) -> bool:
        """The epoch's means so far, for which the device is waited for."""
        sums = first_copy(self.view.state.sums)
        logs = {name: float(value / max(sums[3], 1)) for name, value in zip(SUMS[:3], sums, strict=False)}
        self.list.on_train_batch_end(self.view.state.step - 1 - self.first, logs)
        if self._stopped():
            return True
        self._begin_batch()
        return False

    def doing(self, what: str) -> None:
        """Validation is Keras' test."""
        if what == "validating":
            self.list.on_test_begin()

    def end_epoch(self, row: Row, confusion: np.ndarray | None) -> bool:
        """The epoch's figures, by Keras' names."""
        validation = {name: row[f"validation_{name}"] for name in SUMS[:3] if f"validation_{name}" in row}
        if validation:
            self.list.on_test_end(validation)
        if row["epoch"] == 0:  # Keras knows of no epoch before the first step.
            return self._stopped()
        logs = {name: row[name] for name in (*SUMS[:3], "learning_rate")}
        self.logs = logs | {f"val_{name}": value for name, value in validation.items()}
        self.list.on_epoch_end(self.epoch, self.logs)
        return self._stopped()

    def end(self) -> None:
        """Whichever way the run ended."""
        self.list.on_train_end(getattr(self, "logs", None))

    def _begin_batch(self) -> None:
        if self.view.state.step < self.view.epoch_end:
            self.list.on_train_batch_begin(self.view.state.step - self.first)

    def _stopped(self) -> bool:
        return bool(self.view.state.network.stop_training)


def require_honourable(callbacks: Sequence[keras.callbacks.Callback]) -> None:
    """Raise SettingsError for one that would do nothing, or something else than it says."""
    for callback in callbacks:
        if not isinstance(callback, keras.callbacks.Callback):
            raise SettingsError(f"callbacks: {type(callback).__name__} is not a keras.callbacks.Callback")
        for kind in type(callback).__mro__:
            if kind.__name__ in REFUSED and kind.__module__.startswith("keras."):
                raise SettingsError(f"callbacks: {kind.__name__} does nothing here: {REFUSED[kind.__name__]}")
