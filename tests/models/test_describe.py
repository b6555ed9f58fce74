"""The list, the detailed table and the picture."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import keras
import pytest

from keras_imagenet.models import describe, drawing, registry


def network() -> keras.Model:
    """conv (3x3, 2 to 4 on 6 x 6), norm, a shortcut around ReLU, mean, 5 logits."""
    images = keras.Input((6, 6, 2), name="images")
    x = keras.layers.Conv2D(4, 3, padding="same", name="conv")(images)
    x = keras.layers.BatchNormalization(name="norm")(x)
    x = keras.layers.Add(name="add")([x, keras.layers.ReLU(name="relu")(x)])
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(images, keras.layers.Dense(5, name="logits")(x), name="toy")


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("resnet18", {"resnet18", "resnet18d"}),
        ("resnet18*", {"resnet18", "resnet18d"}),
        ("*resnet20*", {"resnet20_cifar"}),
        ("vgg1[13]", {"vgg11", "vgg13"}),
        ("nothing", set()),
    ],
)
def test_patterns_are_globs_or_parts_of_names(pattern, names):
    assert {row["name"] for row in describe.listing(pattern)} == names


def test_the_list_is_json_with_names_counts_and_sources():
    rows = {row["name"]: row for row in json.loads(json.dumps(describe.listing()))}
    assert list(rows) == registry.names()
    row = rows["resnet50"]
    assert (row["parameters"], row["parameters_total"], row["macs"]) == (25557032, 25610152, 4089184256)
    assert (row["input_size"], row["channels"], row["classes"]) == (224, 3, 1000)
    assert row["top1"] == {"IMAGENET1K_V1": 76.13, "IMAGENET1K_V2": 80.858}
    assert row["source"] == "torchvision 0.28.0 resnet50"


def test_the_table_has_a_line_a_network():
    lines = describe.listing_text(describe.listing("resnet18")).splitlines()
    assert lines[0].split() == ["name", "parameters", "MACs", "input", "top-1", "published", "recipe"]
    assert lines[1].split()[:7] == ["resnet18", "11.69", "M", "1,814.07", "M", "224", "69.76"]


def test_a_third_party_s_network_is_listed_by_name():
    registry.register("mine", lambda name, *, input_shape, classes: None)
    try:
        assert describe.listing("mine")[0]["parameters"] is None
        assert "mine" in describe.listing_text(describe.listing("mine"))
    finally:
        registry._registered.clear()


def test_details_count_layers_activations_and_memory():
    found = describe.details(network(), batch_size=10)
    assert [(layer.name, layer.parameters, layer.macs) for layer in found.layers] == [
        ("images", 0, 0),
        ("conv", 4 * 19, 36 * 4 * 18),
        ("norm", 16, 0),
        ("relu", 0, 0),
        ("add", 0, 0),
        ("pool", 0, 0),
        ("logits", 25, 20),
    ]
    assert found.parameters == 76 + 8 + 25
    assert found.parameters_total == found.parameters + 8
    assert found.activations == 72 + 4 * 144 + 4 + 5
    assert found.memory == 4 * (117 + 2 * 109 + 10 * found.activations)
    assert json.loads(json.dumps(found.as_json()))["layers"][1]["output"] == [6, 6, 4]


def test_the_detailed_table_names_every_layer_and_the_sums():
    text = describe.details_text(describe.details(network(), batch_size=10))
    for part in ("conv", "6 x 6 x 4", "toy, 6 x 6 x 2 to 5", "MACs         2,612 an image", "training batch of 10"):
        assert part in text


def test_the_picture_has_a_box_a_layer_and_a_line_an_edge(tmp_path):
    drawing.draw(network(), tmp_path / "toy.svg")
    assert [path.name for path in tmp_path.iterdir()] == ["toy.svg"]
    root = ElementTree.parse(tmp_path / "toy.svg").getroot()
    space = {"s": "http://www.w3.org/2000/svg"}
    labels = [text.text for text in root.findall("s:text", space)]
    assert labels[1] == "conv  Conv2D  6 x 6 x 4"
    assert len(labels) == 7
    # images-conv, conv-norm, norm-relu, norm-add, relu-add, add-pool, pool-logits
    assert len(root.findall("s:path", space)) == 7
