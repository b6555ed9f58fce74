"""What a run's state is asked for: its best epoch, the average of its best ones, and weights that are lent and given back."""

import keras
import numpy as np
import pytest

from keras_imagenet.settings import SGDSettings
from keras_imagenet.training import optimizers
from keras_imagenet.training import state as states
from keras_imagenet.training.averages import Average
from keras_imagenet.training.state import State

ROWS = [
    {"epoch": 1, "step": 9, "validation_top1": 0.5, "validation_loss": 2.0, "average_top1": 0.1},
    {"epoch": 2, "step": 18, "validation_top1": 0.7, "validation_loss": 1.0, "average_top1": 0.2},
    {"epoch": 3, "step": 27, "validation_top1": 0.7, "validation_loss": 0.5, "average_top1": 0.3},
    {"epoch": 4, "step": 36},
]


def averaging(precision: str = "float32") -> State:
    """Of a kernel and a bias, whose averages epochs' ends alone move, and a seed."""
    images = keras.Input((2,))
    network = keras.Model(images, keras.layers.Dense(1)(keras.layers.Dropout(0.5)(images)))
    optimizer = optimizers.build(SGDSettings(), network.trainable_variables)
    return states.start(network, optimizer, precision, Average(None, statistics=True))


def fill(state: State, value: float) -> None:
    for variable in state.weights:
        variable.assign(np.full(variable.shape, value))


def test_a_run_begins_with_nothing_made_or_measured() -> None:
    state = averaging()
    assert (state.step, state.seconds, state.epoch_seconds) == (0, 0, 0)
    assert (state.compiling_seconds, state.compiling_examples, state.over) == (0, 0, False)
    assert state.sums.numpy().tolist() == [0] * len(states.SUMS)
    assert not any(slot.numpy().any() for own in state.slots for slot in own)
    for one, twin in zip(state.values(), state.values(averaged=True), strict=True):
        np.testing.assert_array_equal(one, twin)


def test_what_is_saved_has_names_by_place_and_a_loss_scale_with_float16_alone() -> None:
    names = ["network/0", "network/1", "network/2", "slot0/0", "slot0/1", "sums"]
    averages = ["average/1", "average/2"]  # the first is a seed
    assert [name for name, _ in averaging().tensors()] == [*names, *averages]
    half = dict(averaging("mixed_float16").tensors())
    assert list(half) == [*names, "scaling", *averages]
    assert half["scaling"].numpy().tolist() == [2**15, 0, 0]


def test_the_best_epoch_is_the_earliest_of_equals_and_epochs_without_validation_are_passed_over() -> None:
    state = averaging()
    assert (state.epoch_began, state.best_row(), state.validation_losses()) == (0, None, [])
    state.rows = ROWS
    assert state.best_row()["epoch"] == 2
    assert state.best_row("average")["epoch"] == 3
    assert state.validation_losses() == [2.0, 1.0, 0.5]
    assert state.epoch_began == 36
    assert states.best_of(ROWS[3:]) is None


def test_only_what_learns_has_an_average_and_random_layers_seeds_are_known_by_their_places() -> None:
    state = averaging()
    assert [state.network.variables[place].path for place in state.average] == [v.path for v in state.weights]
    (place,) = state.seeds
    assert state.rest[place].path.endswith("seed_generator_state")


def test_the_average_of_the_best_epochs_is_their_mean_whenever_they_came() -> None:
    """Of the two best, the earlier of equals; the weights at an end that fell behind are let go."""
    state, wanted = averaging(), [1.0, 1.5, 4.5, 4.5, 12.0]
    for number, (top1, mean) in enumerate(zip((0.1, 0.3, 0.5, 0.3, 0.5), wanted, strict=True)):
        row = {"epoch": number + 1, "validation_top1": top1}
        fill(state, (1.0, 2.0, 7.0, 100.0, 17.0)[number])
        states.average_best(state, row, most=2)
        state.rows.append(row)
        for twin in state.average.values():
            np.testing.assert_array_equal(twin.numpy(), np.full(twin.shape, mean, np.float32))
    assert list(state.epochs) == [3, 5]


def test_lent_averages_are_taken_back_after_an_error_too() -> None:
    state = averaging()
    fill(state, 3.0)
    own = [value.tolist() for value in state.values()]
    for twin in state.average.values():
        twin.assign(twin + 5)
    lent = [value.tolist() for value in state.values(averaged=True)]

    def interrupted() -> None:
        with states.averaged(state):
            assert [value.tolist() for value in state.values()] == lent != own
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [value.tolist() for value in state.values()] == own
