"""Names, options and the catalogue."""

from __future__ import annotations

import csv
import resource
import subprocess
import sys
from importlib import import_module, metadata
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_imagenet.errors import SettingsError
from keras_imagenet.models import macs, registry

CONFIGS = Path(__file__).resolve().parents[2] / "configs"


@pytest.fixture(autouse=True)
def _forget():
    yield
    registry._registered.clear()
    registry._entry_points.cache_clear()


def linear(name: str, *, input_shape, classes, width: int = 1) -> keras.Model:
    """A network as a third party would write it."""
    images = keras.Input(input_shape)
    return keras.Model(images, keras.layers.Dense(classes * width)(keras.layers.Flatten()(images)), name=name)


def test_a_misspelt_name_is_answered_with_the_nearest():
    with pytest.raises(SettingsError, match=r"^model.name: there is no model 'resnet_50'; did you mean resnet50\?$"):
        registry.build("resnet_50", input_shape=(32, 32, 3), classes=10)


def test_a_name_like_no_other_is_answered_with_where_to_look():
    with pytest.raises(SettingsError, match="`keras-imagenet models` lists them"):
        registry.build("qqqqqq", input_shape=(32, 32, 3), classes=10)


def test_an_option_that_the_family_lacks_names_those_that_have_it():
    with pytest.raises(
        SettingsError, match=r"model.blur_pool: vgg16 has no such option; families that have it:.*\bresnet\b"
    ):
        registry.build("vgg16", input_shape=(32, 32, 3), classes=10, blur_pool=True)
    with pytest.raises(SettingsError, match="no family has it"):
        registry.build("vgg16", input_shape=(32, 32, 3), classes=10, flux_capacitor=True)


def test_an_option_of_none_leaves_the_default():
    network = registry.build("simple_cnn", input_shape=(8, 8, 1), classes=10, dropout=None, stochastic_depth=None)
    assert "head_dropout" not in [layer.name for layer in network.layers]


@pytest.mark.parametrize(
    ("name", "least"), [("alexnet", 63), ("vgg11", 32), ("squeezenet1_1", 17), ("densenet121", 29)]
)
def test_an_image_too_small_is_told_the_least_size(name, least):
    with pytest.raises(
        SettingsError, match=f"data.size: {name} needs images of at least {least} pixels a side, got {least - 1}"
    ):
        registry.build(name, input_shape=(least - 1, 64, 3), classes=10)


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "mixer_s16_224"])
def test_sides_that_patches_do_not_fill_are_refused(name):
    with pytest.raises(SettingsError, match=f"data.size: {name} needs sides divisible by 16, got 40 x 32"):
        registry.build(name, input_shape=(40, 32, 3), classes=10)


@pytest.mark.parametrize("name", ["simple_cnn", "resnet18"])
def test_digits_of_8_pixels_fit(name):
    network = registry.build(name, input_shape=(8, 8, 1), classes=10)
    assert network(np.zeros((2, 8, 8, 1), "float32")).shape == (2, 10)


def test_third_parties_register_without_our_files():
    registry.register("mine", linear)
    assert "mine" in registry.names()
    assert registry.build("mine", input_shape=(2, 2, 3), classes=4, width=2).output_shape == (None, 8)
    with pytest.raises(SettingsError, match=r"model\.dropout: mine has no such option"):
        registry.build("mine", input_shape=(2, 2, 3), classes=4, dropout=0.1)


def test_a_taken_name_is_refused():
    with pytest.raises(SettingsError, match="'resnet50' is registered already"):
        registry.register("resnet50", linear)
    registry.register("mine", linear)
    registry.register("mine", linear)
    with pytest.raises(SettingsError, match="'mine' is registered already"):
        registry.register("mine", lambda name, *, input_shape, classes: None)


def test_an_entry_point_is_loaded_when_its_network_is_built(monkeypatch):
    point = metadata.EntryPoint("theirs", f"{__name__}:linear", registry.ENTRY_POINTS)
    monkeypatch.setattr(sys.modules[__name__], "__name__", __name__)
    monkeypatch.setitem(sys.modules, __name__, sys.modules[__name__])
    monkeypatch.setattr(metadata, "entry_points", lambda group: [point] if group == registry.ENTRY_POINTS else [])
    registry._entry_points.cache_clear()
    assert "theirs" in registry.names()
    assert registry.build("theirs", input_shape=(2, 2, 3), classes=4).name == "theirs"


def test_every_variant_is_in_the_catalogue_and_every_row_has_a_builder():
    families = {record.family for record in registry.catalogue().values()}
    variants = {
        (family, name) for family in families for name in import_module(f"keras_imagenet.models.{family}").VARIANTS
    }
    assert variants == {(record.family, name) for name, record in registry.catalogue().items()}


def test_every_row_says_where_its_numbers_come_from():
    for name, record in registry.catalogue().items():
        library, reference, network = record.source.split(" ", 2)
        assert library in ("torchvision", "timm", "keras", "paper"), name
        assert reference, name
        assert network, name
        assert 0 < record.params_trainable <= record.params_total, name
        assert record.macs > 0, name
        assert bool(record.top1) == bool(record.top1_source), name


def test_every_recipe_of_the_catalogue_exists():
    for name, record in registry.catalogue().items():
        for recipe in record.recipe.split():
            assert (CONFIGS / f"{recipe}.yaml").is_file(), name


def test_the_catalogue_repeats_the_reference_table(shared):
    """Numbers of a row whose source the shared table has, too, are that table's."""
    with (shared / "data" / "model_reference.csv").open(newline="") as file:
        table = {row["source"]: row for row in csv.DictReader(file) if row["macs"]}
    compared = 0
    for name, record in registry.catalogue().items():
        row = table.get(record.source)
        if row is not None:
            found = (record.params_total, record.params_trainable, record.macs)
            assert found == tuple(int(row[c]) for c in ("params_total", "params_trainable", "macs")), name
            compared += 1
    assert compared >= 36


# Light ones by default; `-m slow` counts them all.
LIGHT = ("simple_cnn", "resnet20_cifar", "resnetv2_18", "squeezenet1_1", "mobilenetv1_100")
every_name = [pytest.param(n, marks=[] if n in LIGHT else pytest.mark.slow) for n in registry.catalogue()]


@pytest.mark.parametrize("name", every_name)
def test_counts_are_the_reference_s_and_a_forward_pass_is_finite(name):
    record = registry.catalogue()[name]
    shape = (record.input_size, record.input_size, record.channels)
    network = registry.build(name, input_shape=shape, classes=record.classes)
    assert network.count_params() == record.params_total
    assert sum(np.prod(weight.shape) for weight in network.trainable_weights) == record.params_trainable
    assert abs(macs.count(network) / record.macs - 1) < 0.005
    logits = np.asarray(network(np.random.default_rng(0).normal(size=(1, *shape)).astype("float32"), training=False))
    assert logits.shape == (1, record.classes)
    assert np.isfinite(logits).all()


def test_listing_needs_no_tensorflow_and_less_than_a_second():
    code = (
        "import sys; from keras_imagenet.models import describe; rows = describe.listing(); "
        "describe.listing_text(rows); assert not {'tensorflow', 'keras', 'numpy'} & set(sys.modules); print(len(rows))"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) == len(registry.catalogue())
    # Processor time, so that other work on the machine does not count.
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1.0
