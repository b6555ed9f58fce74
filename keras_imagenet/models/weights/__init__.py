"""Published or own weights for our networks.

with weights.opened("resnet50-0676ba61.pth", "resnet50") as origin:  # what it is, and what comes along with it
    model = registry.build("resnet50", ..., **origin.options)
    origin.give(model)
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from keras_imagenet.errors import DataError, SettingsError
from keras_imagenet.labels import read_classes
from keras_imagenet.models import archive, registry
from keras_imagenet.models.weights import download, presets, stored, torch_file
from keras_imagenet.models.weights.published import PUBLISHED, find_published
from keras_imagenet.models.weights.tensor import Tensor, Tensors
from keras_imagenet.preset import Preset
from keras_imagenet.preset import read as read_preset

if TYPE_CHECKING:
    import keras

    from keras_imagenet.models.weights.fitting import Fitted
    from keras_imagenet.models.weights.table import Table

TORCH_ORIGINS = ("efficientnet_pytorch", "torchvision", "timm")
"""Modules beside this one with tables of torch names; where two name alike, the first counts."""

WRAPPED = re.compile(r"(?<![^.])module\.|_orig_mod\.")
"""What DataParallel and torch.compile add to tensors' names."""

KERAS = "keras"
OURS = "ours"


def _not_opened(model: keras.Model) -> Fitted:
    raise ValueError("weights come from `opened` or `find`")


@dataclass(frozen=True)
class Origin:
    """Where weights come from, and what belongs to them.

    origin: 'keras', 'ours' or one of TORCH_ORIGINS. location: the file or run folder; None for keras.applications.
    name: our name of the network. preset: fields of preset.Preset, or None if nobody said. classes: names of
    the outputs in their order (ImageNet: WordNet identifiers), or None if not known. options: what `registry.build`
    must be told, so that the network means the same with these weights. part: which of a checkpoint's sets of weights
    counts, such as 'state_dict_ema'; empty where there is one. called: by which name they were found, where `published`
    asked for them.

    give(network) gives the network these weights; the result says whether its head is new and what was adapted. Where
    the number of classes differs, the last layer keeps its fresh weights; where the channels differ, the first
    convolution is adapted; position embeddings are interpolated to the network's size. It raises SettingsError with the
    tensor's name where one is missing, left over or does not fit, and the network is then unchanged.
    """

    origin: str
    location: Path | None
    name: str
    preset: Mapping[str, Any] | None
    classes: tuple[str, ...] | None
    licence: str
    options: Mapping[str, Any] = field(default_factory=dict)
    part: str = ""
    called: str = ""
    give: Callable[[keras.Model], Fitted] = field(default=_not_opened, repr=False, compare=False)

    @property
    def whence(self) -> str:
        """The file or folder, and which of the sets of weights in it, in words."""
        averaged = ", averaged weights" if re.search(torch_file.AVERAGED, self.part) else ""
        return (self.called or str(self.location or "keras.applications")) + (
            f", its {self.part}{averaged}" if self.part else ""
        )


@contextlib.contextmanager
def opened(source: str | Path, name: str) -> Iterator[Origin]:
    """What `source` holds for the network of that name; its `give` reads from the file, which is open in the `with`.

    source: 'published', the best that the catalogue knows of; 'keras', 'timm:NAME' or 'torchvision:NAME', a file of
    weights, or a run folder. Names and shapes are read
    here, once what is published has been downloaded. Raises SettingsError if there is no such thing or it is not for
    this network, DataError if it cannot be read.
    """
    if str(source) == PUBLISHED:
        best, called = find_published(name)
        with opened(best, name) as origin:
            yield replace(origin, called=called)
        return
    if str(source) == KERAS:
        yield _of_keras(name)
        return
    path = download.fetch(str(source)) if download.PUBLISHED.fullmatch(str(source)) else Path(source)
    file = path / "model.keras" if path.is_dir() else path
    if path.is_dir() and not file.is_file():
        raise SettingsError(f"model.weights = {path}: not a finished run: model.keras is missing")
    with _tensors(file) as tensors:
        kind, table, tensors = _recognised(file, tensors, name)
        origin = _own(path, file, name) if table is None else _published(kind, path, name, tensors, table)

        def give(model: keras.Model) -> Fitted:
            return _fitted(model, origin, tensors, table, "ours" if table is None else "torch")

        yield replace(origin, give=give)


def find(source: str | Path, name: str) -> Origin:
    """What `opened` gives, with the file closed: `give` opens it again. Raises what `opened` does."""
    with opened(source, name) as origin:
        return replace(origin, give=lambda model: load(model, origin))


def load(model: keras.Model, origin: Origin | str | Path) -> Fitted:
    """Give the network an origin's weights; see `Origin.give`."""
    source, name = (origin.location or KERAS, origin.name) if isinstance(origin, Origin) else (origin, model.name)
    with opened(source, name) as found:
        return found.give(model)


def _fitted(
    model: keras.Model, origin: Origin, tensors: Tensors, table: Table | None, layout: Literal["torch", "keras", "ours"]
) -> Fitted:
    from keras_imagenet.models.weights.fitting import fit

    _require_options(model, origin)
    return fit(model, tensors, table, layout, str(origin.location or "keras.applications"))


def _of_keras(name: str) -> Origin:
    kind, table = _keras_class(name), _table(KERAS, name)
    preset, licence = presets.published(KERAS, name), presets.LICENCES[KERAS]
    origin = Origin(KERAS, None, name, preset, _imagenet(1000), licence, table.options)

    def give(model: keras.Model) -> Fitted:
        network = getattr(import_module("keras.applications"), kind)(weights="imagenet")
        return _fitted(model, origin, keras_tensors(network), table, "keras")

    return replace(origin, give=give)


def _published(kind: str, path: Path, name: str, tensors: Tensors, table: Table) -> Origin:
    described = _described(path)
    options = dict(table.options)
    if kind == "timm" and _trained_as(path, described).startswith("tf_"):
        options = {"padding": "same", "batch_norm": {"epsilon": 1e-3}}
    if kind == "torchvision" and re.fullmatch(r"efficientnet_b[567]", name):
        options = {**options, "batch_norm": {"epsilon": 1e-3}}
    preset = _preset_of_card(path, described) or presets.published(kind, name, path.name)
    licence = described.get("pretrained_cfg", {}).get("license") or presets.LICENCES[kind]
    return Origin(kind, path, name, preset, _imagenet(_outputs(tensors, table)), licence, options, tensors.part)


def keras_tensors(network: keras.Model) -> Tensors:
    """A keras.applications network's weights by LAYER/WEIGHT, without the network's own name before its layers'."""
    tensors = Tensors()
    numbered = _numbered(network)
    for variable in network.weights:
        layer, weight = variable.path.split("/")[-2:]
        layer = numbered.get(layer, layer)
        key = f"{layer.removeprefix(f'{network.name}_')}/{re.sub(r'^variable_[0-9]+$', 'variable', weight)}"
        tensors[key] = Tensor(tuple(variable.shape), variable.numpy)
    return tensors


def _numbered(network: keras.Model) -> dict[str, str]:
    """Names that Keras made up, whose numbers go on from network to network, with numbers from 1 in this one."""
    found: dict[str, dict[int, str]] = {}
    for layer in network.layers:
        made_up = re.fullmatch(r"(conv2d|batch_normalization)(?:_(\d+))?", layer.name)
        if made_up:
            found.setdefault(made_up[1], {})[int(made_up[2] or 0)] = layer.name
    return {
        layers[number]: f"{kind}_{rank}"
        for kind, layers in found.items()
        for rank, number in enumerate(sorted(layers), start=1)
    }


@functools.cache
def imagenet_classes() -> tuple[tuple[str, str], ...]:
    """WordNet identifier and name of ILSVRC2012's 1,000 classes, in the order of every published network's outputs."""
    classes = read_classes(Path(__file__).with_name("imagenet_classes.tsv"))
    return tuple(zip(classes.identifiers, classes.names, strict=True))


@contextlib.contextmanager
def _tensors(path: Path) -> Iterator[Tensors]:
    """The file's tensors, by the network's own names: without what DataParallel and torch.compile put into them."""
    with stored.opened(path) as tensors:
        # torch's AveragedModel counts in n_averaged how many models went into the average.
        kept = {WRAPPED.sub("", key): tensor for key, tensor in tensors.items() if not key.endswith("n_averaged")}
        yield Tensors(kept, part=tensors.part)


def _recognised(path: Path, tensors: Tensors, name: str) -> tuple[str, Table | None, Tensors]:
    """The origin whose table's stem is in the file, and the tensors by its names; no table for our own, LAYER/WEIGHT."""
    if all("/" in key for key in tensors):
        return OURS, None, tensors
    # Where two origins name alike, the one that the catalogue counts the network by goes first.
    own = registry.catalogue()[name].source.split(" ")[0] if name in registry.catalogue() else ""
    tables = {kind: table for kind in sorted(TORCH_ORIGINS, key=own.__ne__) if (table := _find_table(kind, name))}
    stems = [(kind, f"{stem}.weight") for kind, table in tables.items() for stem in table.lines[0][1].split("|")]
    for kind, stem in stems:
        if stem in tensors:
            return kind, tables[kind], tensors
    for kind, stem in stems:
        if attributes := _attributes(tensors, stem):
            return kind, tables[kind], _below(tensors, attributes[0])
    known = f"{', '.join(tables)} would name {' or '.join(table.lines[0][1] for table in tables.values())}"
    raise SettingsError(
        f"{path}: not weights of {name}: the first tensor is {next(iter(tensors), None)}; {known if tables else 'only our own are known'}"
    )


def _attributes(tensors: Tensors, stem: str) -> list[str]:
    """Names before a network's stem, where it is an attribute of what was saved, as in Lightning; an average's first."""
    sizes = Counter(key.partition(".")[0] for key in tensors)
    found = [attribute for key in tensors if (attribute := key.removesuffix(f".{stem}")) in sizes and attribute != key]
    # A layer may be called as another network's stem, but then it is a small part of the whole.
    whole = [attribute for attribute in found if 4 * sizes[attribute] >= len(tensors)]
    return sorted(whole, key=lambda attribute: not re.search(torch_file.AVERAGED, attribute))


def _below(tensors: Tensors, attribute: str) -> Tensors:
    prefix = f"{attribute}."
    below = {key.removeprefix(prefix): tensor for key, tensor in tensors.items() if key.startswith(prefix)}
    return Tensors(below, part=f"{tensors.part}.{attribute}".lstrip("."))


def _table(origin: str, name: str) -> Table:
    table = _find_table(origin, name)
    if table is None:
        raise SettingsError(f"model.weights = {origin}: has no {name}")
    return table


def _find_table(origin: str, name: str) -> Table | None:
    """The network's own table, else its family's."""
    tables = _tables(origin)
    return tables.get(name) or tables.get(registry.family(name))


def _tables(origin: str) -> dict[str, Table]:
    module = "keras_applications" if origin == KERAS else origin
    return import_module(f"keras_imagenet.models.weights.{module}").TABLES


def _keras_class(name: str) -> str:
    networks: dict[str, str] = import_module("keras_imagenet.models.weights.keras_applications").NETWORKS
    if name not in networks:
        raise SettingsError(
            f"model.weights = keras: keras.applications has no {name}; it has {', '.join(sorted(networks))}"
        )
    return networks[name]


def _outputs(tensors: Tensors, table: Table | None) -> int | None:
    heads = [theirs for ours, theirs in table.lines if ours == "logits"] if table else []
    return next((tensors[f"{head}.weight"].shape[0] for head in heads if f"{head}.weight" in tensors), None)


def _imagenet(outputs: int | None) -> tuple[str, ...] | None:
    identifiers = tuple(identifier for identifier, _ in imagenet_classes())
    return identifiers if outputs == len(identifiers) else None


def _described(path: Path) -> dict[str, Any]:
    """timm's config.json beside a file from its hub, or nothing."""
    card = path.with_name("config.json")
    if not card.is_file() or card.stat().st_size > 1_000_000:
        return {}
    try:
        content = json.loads(card.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{card}: not JSON: {error}") from error
    return content if isinstance(content, dict) and isinstance(content.get("pretrained_cfg"), dict) else {}


def _trained_as(path: Path, described: Mapping[str, Any]) -> str:
    return str(described.get("architecture", path.name))


def _preset_of_card(path: Path, described: Mapping[str, Any]) -> dict[str, Any] | None:
    if not described:
        return None
    card = described["pretrained_cfg"]
    try:
        kernel = card.get("interpolation", "bicubic")
        fields = {
            "size": tuple(card["input_size"][1:]),
            "crop_fraction": card.get("crop_pct", 0.875),
            "kernel": kernel if kernel in ("bilinear", "bicubic") else "bicubic",
            "antialias": True,
            "mean": tuple(card["mean"]),
            "std": tuple(card["std"]),
        }
        Preset(**fields)
    except (LookupError, TypeError, ValueError) as error:
        raise DataError(f"{path.with_name('config.json')}: no card of timm's: {str(error).splitlines()[0]}") from error
    return fields


def _own(path: Path, file: Path, name: str) -> Origin:
    """Weights of ours; of a run folder with its preset and classes. Its files are named in keras_imagenet.run_folder."""
    fields = classes = None
    if path.is_dir() and (preset := path / "preset.json").is_file():
        archive.require_input(file, read_preset(preset).evaluation.input_shape, archive.config(file))
        fields = json.loads(preset.read_text(encoding="utf-8"))
    if path.is_dir() and (listed := path / "classes.txt").is_file():
        classes = read_classes(listed).identifiers
    return Origin(OURS, path, name, fields, classes, "", _built_options(file, name))


def _built_options(path: Path, name: str) -> dict[str, Any]:
    """Padding and epsilon that a .keras file's network was built with, where its family has a choice."""
    if path.suffix != ".keras":
        return {}
    layers = archive.config(path)["config"]["layers"]
    module = import_module(f"keras_imagenet.models.{registry.family(name)}") if name in registry.catalogue() else None
    accepted = inspect.signature(module.build).parameters if module else {}
    options: dict[str, Any] = {}
    if "padding" in accepted:
        padded = any(re.fullmatch(r"stem\w*_pad", layer["config"].get("name", "")) for layer in layers)
        options["padding"] = "symmetric" if padded else "same"
    norms = [layer["config"].get("epsilon") for layer in layers if layer["class_name"] == "BatchNormalization"]
    if "batch_norm" in accepted and norms:
        options["batch_norm"] = {"epsilon": norms[0]}
    return options


def _require_options(model: keras.Model, origin: Origin) -> None:
    """SettingsError if the network was built otherwise than its weights were trained."""
    where = origin.location or "keras.applications"
    epsilon = origin.options.get("batch_norm", {}).get("epsilon")
    norms = [layer for layer in model.layers if type(layer).__name__ == "BatchNormalization"]
    if epsilon is not None and norms and norms[0].epsilon != epsilon:
        raise SettingsError(
            f"model.batch_norm.epsilon: {where} wants {epsilon:g}, the network was built with {norms[0].epsilon:g}"
        )
    padding = origin.options.get("padding")
    built = "symmetric" if any(re.fullmatch(r"stem\w*_pad", layer.name) for layer in model.layers) else "same"
    if padding is not None and padding != built:
        raise SettingsError(f"model.padding: {where} wants {padding}, the network was built with {built}")
