"""What is asked or measured: the network of a run, or a published one by its name. No TensorFlow before the network."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_imagenet import recipes, run_folder
from keras_imagenet.data.sources import Source
from keras_imagenet.data.sources.places import is_run, source_at
from keras_imagenet.errors import DataError, SettingsError, nearest
from keras_imagenet.labels import ClassList, read_classes
from keras_imagenet.models import assembly, registry
from keras_imagenet.models.weights import Origin
from keras_imagenet.preset import Preset
from keras_imagenet.run_folder import RunFolder
from keras_imagenet.settings import Settings
from keras_imagenet.settings.resolution import resolve

if TYPE_CHECKING:
    import keras

PLACE = ("name", "directory", "file", "dataset")
"""Settings that say where data is: with another value, it is not the data that a run's split was made for."""
EVALUATED = ("data.", "runtime.", "train.batch_size", "train.evaluation_batch_size")
"""Beginnings of the settings that act where a run is measured."""
READ = ("data.source", "model.", "runtime.", "train.batch_size", "train.evaluation_batch_size")
"""Of a run's settings: its preset lies beside them, and the others may be of a version that knew others."""
WHOLE = {"validation_fraction": None, "folds": None, "fold": 0}
"""Of data that a run was not trained on, all is measured."""


@dataclass(frozen=True)
class Subject:
    """A network with what belongs to it.

    name: what it was called. settings: the run's, or what was said of a published network. folder: the run's. origin: of a
    published network's weights. own_data: whether the settings' data is what the run was trained on.
    """

    name: str
    settings: Settings
    folder: RunFolder | None = None
    origin: Origin | None = None
    own_data: bool = False

    @property
    def preset(self) -> Preset:
        """The preprocessing it is used with, under the settings."""
        stored = self.folder.preset if self.folder else None
        resolved = resolve(self.settings.data, stored) if stored else None
        return (resolved or assembly.preset_of(self.settings, self.origin)).evaluation

    @property
    def classes_file(self) -> Path | None:
        """The file that holds its label order; None for published weights that tell other classes than ImageNet's apart."""
        return self.folder.classes_file if self.folder else assembly.classes_file_of(self.origin)

    @property
    def classes(self) -> ClassList:
        """Identifiers and names of what it tells apart. Raises SettingsError where nobody knows."""
        if self.classes_file is None:
            raise SettingsError(
                f"{self.name}: what its weights tell apart is not known; train it first, and ask the run"
            )
        return read_classes(self.classes_file)

    def network(self, classes: Sequence[str], of_run: Callable[[RunFolder], keras.Model]) -> keras.Model:
        """The network. classes: of the data it is for. of_run: gives a run's, as far as the run has come.

        Raises SettingsError or DataError where they do not fit.
        """
        if self.folder:
            network = of_run(self.folder)
            named, told = len(self.folder.classes.identifiers), network.output_shape[-1]
            if named != told:
                raise DataError(f"{self.classes_file}: names {named} classes, but the network tells {told} apart")
            return network
        network, fitted = assembly.build(self.settings, self.preset, self.origin, classes)
        if fitted.new_head:
            raise DataError(
                f"data.source: has {len(classes)} classes, which is not what {self.settings.model.weights} tells apart"
            )
        return network

    def require_classes(self, source: Source) -> None:
        """Raises DataError where the data's label order is not the network's, as far as that is known."""
        known = self.folder.classes.identifiers if self.folder else self.origin.classes
        if known is not None and source.classes != tuple(known):
            raise DataError(
                f"data.source: its {len(source.classes)} classes are not the network's {len(known)}, or in another order; "
                "data.source.classes names a file that fixes the order"
            )


def opened(
    run_or_name: str | os.PathLike[str] | RunFolder,
    overrides: recipes.Overrides = (),
    *,
    photos: str | os.PathLike[str] | None = None,
    weights: str | None = None,
    config: str | None = None,
) -> Subject:
    """A run by its folder, or a network by its name, with `weights`, or else the best published ones.

    photos: where other images are than the settings say. config: a recipe whose data a network by its name is for.
    Raises SettingsError where there is neither.
    """
    if not isinstance(run_or_name, str | os.PathLike | RunFolder):
        shown = f"{run_or_name!r:.60} ({type(run_or_name).__name__})"
        raise SettingsError(f"expected what fit returned, a run folder's path or a network's name, not {shown}")
    if photos is not None and is_run(Path(os.path.expanduser(photos))):
        raise SettingsError(f"{photos}: is a run, not photos; one run is measured at a time")
    path = run_or_name.path if isinstance(run_or_name, RunFolder) else Path(os.path.expanduser(run_or_name))
    name, source = str(path), source_at(photos) if photos is not None else None
    if path.is_dir():
        _require_effect_on_run(overrides, weights=weights, config=config)
        return _run(path, overrides, source)
    if name not in registry.names():
        raise SettingsError(f"{name}: no such run folder, and no such model{nearest(name, registry.names())}")
    named = [("model.name", name), ("model.weights", weights or "published"), *recipes.pairs(overrides)]
    settings = recipes.load(config, named, source=source and {**source, **WHOLE})
    return Subject(name, settings, origin=assembly.origin_of(settings))


def names_data(overrides: recipes.Overrides) -> bool:
    """Whether the overrides say where data is."""
    places = {"data.source", *(f"data.source.{part}" for part in PLACE)}
    return any(key in places for key, _ in recipes.pairs(overrides))


def _require_effect_on_run(overrides: recipes.Overrides, **options: str | None) -> None:
    """Raise SettingsError for what changes nothing where a run is measured, whose network is as it was trained."""
    useless = [name for name, value in options.items() if value is not None]
    given = [key for key, _ in recipes.pairs(overrides)]
    useless += [key for key in given if not key.startswith(EVALUATED) or key.startswith("data.also")]
    if useless:
        raise SettingsError(
            f"command line: --{useless[0]}: does nothing where a run is evaluated; data, runtime and train.evaluation_batch_size act"
        )


def _run(path: Path, overrides: recipes.Overrides, source: Mapping[str, Any] | None) -> Subject:
    """The run, and its own data or, where photos or overrides name another place, all that is there."""
    folder = run_folder.opened(path)
    settings_file, given = str(folder.settings_file), recipes.pairs(overrides)
    own = recipes.load(settings_file, only=READ).data.source
    if source is not None and _same_place(source, own.model_dump()):
        source = None
    own_data = source is None and not names_data(given)
    if source is not None:
        source = {**source, **WHOLE}
    elif not own_data:
        given = [*((f"data.source.{key}", value) for key, value in WHOLE.items()), *given]
    return Subject(str(path), recipes.load(settings_file, given, source=source, only=READ), folder, own_data=own_data)


def _same_place(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two sources' settings mean the same data, by whatever path."""
    places = [
        (group["name"], [os.path.realpath(group[key]) for key in ("directory", "file") if group.get(key)])
        for group in (one, other)
    ]
    return places[0] == places[1]
