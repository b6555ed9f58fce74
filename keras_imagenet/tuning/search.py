"""Trials one after the other, chosen by Optuna from those before; interrupted anywhere, a search goes on to the same ones."""

from __future__ import annotations

import csv
import io
import shlex
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_imagenet import files, recipes
from keras_imagenet.errors import SettingsError, TrainingStopped
from keras_imagenet.run_folder import RunFolder
from keras_imagenet.settings import Settings
from keras_imagenet.tuning.space import Range, Space, applied

if TYPE_CHECKING:
    import optuna

JOURNAL = "trials.log"
TABLE = "tune.csv"
BEST = "best.yaml"

Row = dict[str, Any]
"""A trial: trial (its folder's name), state (finished, pruned or failed), top1, epochs, the settings that vary by their dotted
names, and the reason of a failure."""

Train = Callable[[Settings, list[Any]], RunFolder]
"""Trains, with Keras callbacks, in the run folder that the settings name, from its checkpoint where there is one."""


def require_optuna() -> None:
    """Raises SettingsError where it is not installed."""
    if find_spec("optuna") is None:
        raise SettingsError("tune: trials are chosen with Optuna; pip install 'optuna>=5,<6' brings it")


def opened(folder: Path, settings: Settings, space: Space, fingerprint: str, *, prune: bool) -> optuna.Study:
    """The search in a folder, begun there now or before. Raises SettingsError where it holds another one.

    Its file is a log that only grows, on any file system. fingerprint: of the data. prune: whether trials below the median
    of the others after an epoch end there.
    """
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(
        storage=JournalStorage(JournalFileBackend(str(folder / JOURNAL))),
        study_name="tune",
        load_if_exists=True,
        direction="maximize",
        pruner=optuna.pruners.MedianPruner() if prune else optuna.pruners.NopPruner(),
    )
    asked = {"--over": {name: repr(varied) for name, varied in space.items()}, "--prune": prune, "data": fingerprint}
    content = recipes.anywhere(settings).model_dump(mode="json")
    known = study.user_attrs
    if "settings" not in known:
        study.set_user_attr("asked", asked)
        study.set_user_attr("settings", content)
        return study
    differ = recipes.differing(Settings.model_validate(known["settings"]), settings)
    differ += [name for name, value in asked.items() if known["asked"][name] != value]
    if differ:
        raise SettingsError(
            f"{folder}: holds a search of other settings ({', '.join(differ)}); give another --output, or the settings it has"
        )
    return study


def trial(study: optuna.Study, number: int, space: Space, seed: int) -> tuple[optuna.Trial, dict[str, Any]] | None:
    """A trial by its number, and its settings by their dotted names; None where it is over.

    Each value is chosen by the trials that are over (TPE, after ten at random) and a seed of its own, so an interruption
    changes none.
    """
    import optuna

    known = study.get_trials(deepcopy=False)
    if number < len(known) and known[number].state.is_finished():
        return None
    # `ask` begins another trial; the one that was under way is found by its number.
    found = study.ask() if number == len(known) else optuna.Trial(study, known[number]._trial_id)
    values = {}
    for place, (name, varied) in enumerate(space.items()):
        own = np.random.SeedSequence([seed, number, place]).generate_state(1)[0]
        study.sampler = optuna.samplers.TPESampler(seed=int(own))
        if not isinstance(varied, Range):
            values[name] = found.suggest_categorical(name, varied.ends)
        elif isinstance(varied.low, int):
            values[name] = found.suggest_int(name, varied.low, varied.high, log=varied.log)
        else:
            values[name] = found.suggest_float(name, varied.low, varied.high, log=varied.log)
    return found, values


def run(
    study: optuna.Study,
    folder: Path,
    settings: Settings,
    space: Space,
    trials: int,
    train: Train,
    say: Callable[[str], None],
    *,
    prune: bool,
) -> list[Row]:
    """Train until there are so many trials; their rows. say: is told what each varies. After TensorFlow has started."""
    from keras_imagenet.tuning import watching

    watching.write_experiment(folder, space)
    for number in range(trials):
        begun = trial(study, number, space, settings.runtime.seed)
        if begun is not None:
            asked, values = begun
            own = applied(settings, values)
            placed = own.runtime.model_copy(update={"run_folder": folder / name_of(number)})
            own = own.model_copy(update={"runtime": placed})
            say(f"trial {number + 1} of {trials}: {words(values)}")
            watched = [watching.Pruning(asked)] if prune else []
            outcome = _outcome(asked, RunFolder(placed.run_folder), partial(train, own, watched))
            watching.write_trial(RunFolder(placed.run_folder), values)
            study.tell(asked, *outcome)
        write(folder, rows(study))
    return rows(study)


def _outcome(
    asked: optuna.Trial, folder: RunFolder, train: Callable[[], RunFolder]
) -> tuple[float | None, optuna.trial.TrialState]:
    """Train a trial and note what came of it; one that fails in training is over, too. Other errors leave it open."""
    import tensorflow as tf
    from optuna.trial import TrialState

    top1, reason, state = None, "", TrialState.FAIL
    try:
        top1 = train().metrics["top1"]
        state = TrialState.PRUNED if asked.should_prune() else TrialState.COMPLETE
    except TrainingStopped as error:
        reason = str(error)
    except tf.errors.ResourceExhaustedError as error:
        reason = f"more memory is needed than the device has: {str(error).splitlines()[0]}"
    noted = {"top1": top1, "epochs": sum(row["epoch"] != "0" for row in folder.history), "reason": reason}
    asked.set_user_attr("noted", noted)
    return (top1 if state == TrialState.COMPLETE else None), state


def rows(study: optuna.Study) -> list[Row]:
    """Of the trials that are over, in their order."""
    states = {"COMPLETE": "finished", "PRUNED": "pruned", "FAIL": "failed"}
    found = []
    for trial in study.get_trials(deepcopy=False):
        if trial.state.is_finished():
            noted = trial.user_attrs["noted"]
            row = {"trial": name_of(trial.number), "state": states[trial.state.name]}
            row |= {"top1": noted["top1"], "epochs": noted["epochs"]} | trial.params | {"reason": noted["reason"]}
            found.append(row)
    return found


def name_of(number: int) -> str:
    """What a trial and its folder are called."""
    return f"trial_{number:03d}"


def best_of(found: Sequence[Row]) -> Row | None:
    """The row of the best top-1 of the trials that were not cut short, the earliest of equals; None without."""
    return max((row for row in found if row["state"] == "finished"), key=lambda row: row["top1"], default=None)


def write(folder: Path, found: Sequence[Row]) -> None:
    """tune.csv, a row a trial, and best.yaml, a recipe of the settings of the best. Raises OSError."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(found[0]))
    writer.writeheader()
    writer.writerows(found)
    files.write(folder / TABLE, text.getvalue())
    if (best := best_of(found)) is not None:
        settings = RunFolder(folder / best["trial"]).settings_file.read_text(encoding="utf-8")
        said = f"# The best of {len(found)} trials: {best['trial']}, top-1 {best['top1']:.4f} in validation.\n"
        files.write(folder / BEST, said + settings)


def words(values: Mapping[str, Any]) -> str:
    """A trial's settings, for people."""
    return ", ".join(
        f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}" for name, value in values.items()
    )


def lines(folder: Path, found: Sequence[Row], best: Row) -> list[str]:
    """What a search found, where it lies, and what to try next."""
    values = {name: value for name, value in best.items() if "." in name}
    states = Counter(row["state"] for row in found)
    return [
        f"trials: {', '.join(f'{count} {state}' for state, count in states.items())}; {folder / TABLE}",
        f"best: {best['trial']}, top-1 {best['top1']:.4f} in validation, with {words(values)}",
        "try next:",
        f"  keras-imagenet fit --config {shlex.quote(str(folder / BEST))}",
        f"  tensorboard --logdir {shlex.quote(str(folder))}",
    ]
