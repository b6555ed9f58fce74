"""Torch's weights give torch's answers in our networks: tiny networks that tools/make_weight_goldens.py built."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_imagenet.models import (
    alexnet,
    convnext,
    densenet,
    efficientnet,
    efficientnet_v2,
    googlenet,
    inception_v3,
    mlp_mixer,
    mnasnet,
    mobilenet_v1,
    mobilenet_v2,
    mobilenet_v3,
    mobilenet_v4,
    regnet,
    resnet,
    resnet_v2,
    shufflenet_v2,
    squeezenet,
    swin,
    swin_v2,
    vgg,
    vit,
)
from keras_imagenet.models.weights import classic, fitting, stored, timm, torchvision
from keras_imagenet.models.weights.table import Table

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "weights"
CLASSES = 5

EFFICIENTNET = efficientnet.EfficientNet(0.25, 1.0, 0.2, stages=((1, 3, 1, 32, 1), (2, 3, 2, 64, 2)))
EFFICIENTNET_V2 = efficientnet_v2.EfficientNetV2(
    8,
    (
        efficientnet_v2.Stage(True, 1, 1, 8, 1),
        efficientnet_v2.Stage(True, 2, 2, 8, 2),
        efficientnet_v2.Stage(False, 2, 2, 16, 2),
    ),
)
MNASNET = mnasnet.MNASNet(
    (mnasnet.Stage(1, 3, 1, 16, 1), mnasnet.Stage(2, 5, 2, 8, 2, squeeze_excite=True)), stem=8, head=64
)
MOBILENET_V3 = mobilenet_v3.MobileNetV3(
    (
        (mobilenet_v3.Block(3, 8, 8, True, "relu", 2),),
        (mobilenet_v3.Block(5, 16, 8, True, "hard_silu", 1),),
        (mobilenet_v3.Block(3, 16, 16, False, "relu", 2),),
    ),
    last=96,
    head=16,
    stem=8,
)
MOBILENET_V4 = mobilenet_v4.MobileNetV4(
    8,
    (
        (mobilenet_v4.Fused(3, 8, 2, 2),),
        (
            mobilenet_v4.Universal(3, 5, 16, 2, 2),
            mobilenet_v4.Universal(0, 3, 16, 2),
            mobilenet_v4.Universal(3, 0, 16, 2),
            mobilenet_v4.Universal(0, 0, 16, 2),
        ),
        (mobilenet_v4.Conv(1, 16),),
    ),
    head=16,
)
REGNET = regnet.RegNet(4, 8, 8.0, 1.6, 8, squeeze_excite=True, stem=8)
VIT = vit.ViT(8, 2, 2)
SWIN = swin.Swin(8, (2, 2), (2, 4), 0.1, window=4)
SWIN_V2 = swin.Swin(8, (2, 2), (2, 4), 0.1, window=4)


def _sixteenth(block: inception_v3.Block) -> inception_v3.Block:
    def narrow(convolutions):
        return tuple((filters // 16, *kernel) for filters, *kernel in convolutions)

    forks = {number: narrow(fork) for number, fork in (block.forks or {}).items()}
    return inception_v3.Block(tuple(map(narrow, block.branches)), block.pooled // 16, forks)


_, A, _ = inception_v3.STAGES[0]
B, C = inception_v3.STAGES[1][:2]
D, E = inception_v3.STAGES[2][:2]
INCEPTION = inception_v3.InceptionV3(
    (2, 2, 4, 5, 12), tuple(tuple(map(_sixteenth, stage)) for stage in ((A,), (B, C), (D, E)))
)
PLAIN_TABLE = Table(
    (
        ("patch_embedding", "embedding"),
        ("head", "pre_logits"),
        ("block{b}_hidden", "blocks.{b-1}.fc1"),
        ("block{b}_project", "blocks.{b-1}.fc2"),
        *(
            (ours, theirs.replace("attn.", ""))
            for ours, theirs in timm.TABLES["vit"].lines
            if ours.startswith(("block{b}_norm", "block{b}_attention", "norm", "logits"))
        ),
    )
)

# Name of the golden: our family, variant and options beside the table's own.
NETWORKS = {
    "torchvision_efficientnet": (efficientnet, EFFICIENTNET, {}),
    "torchvision_efficientnet_v2": (efficientnet_v2, EFFICIENTNET_V2, {}),
    "torchvision_mobilenet_v2": (mobilenet_v2, mobilenet_v2.MobileNetV2(((1, 8, 1, 1), (2, 8, 2, 2))), {}),
    "torchvision_mobilenet_v3": (mobilenet_v3, MOBILENET_V3, {}),
    "torchvision_shufflenet_v2": (
        shufflenet_v2,
        shufflenet_v2.ShuffleNetV2((8, 16, 24), depths=(2, 1, 1), head=16),
        {},
    ),
    "torchvision_regnet": (regnet, REGNET, {}),
    "torchvision_convnext": (convnext, convnext.ConvNeXt((1, 2), (8, 16), 0.1), {}),
    "torchvision_vit": (vit, VIT, {}),
    "torchvision_alexnet": (alexnet, alexnet.AlexNet((8, 8, 8, 8, 8), 16), {}),
    "torchvision_vgg": (vgg, vgg.VGG((1, 1), batch_norm=True, filters=(8, 16), units=16), {}),
    "torchvision_squeezenet": (squeezenet, squeezenet.SqueezeNet(8, (((4, 8), (4, 8)),)), {}),
    "torchvision_resnet": (resnet, resnet.ResNet((1, 2), width=8), {}),
    "torchvision_densenet": (densenet, densenet.DenseNet((1, 2), 8, 8), {}),
    "timm_resnet": (resnet, resnet.ResNet((1, 1), width=8, **resnet.RS), {}),
    "timm_resnet_v2": (resnet_v2, resnet_v2.ResNetV2((1, 2), width=8, stem_width=8), {}),
    "timm_mobilenet_v1": (mobilenet_v1, mobilenet_v1.MobileNetV1(8, ((8, 1), (16, 2))), {}),
    "timm_efficientnet": (efficientnet, EFFICIENTNET, {}),
    "timm_efficientnet_v2": (efficientnet_v2, EFFICIENTNET_V2, {}),
    "timm_mnasnet": (mnasnet, MNASNET, {}),
    "timm_mobilenet_v2": (mobilenet_v2, mobilenet_v2.MobileNetV2(((1, 8, 1, 1), (2, 8, 2, 2)), 8, 64), {}),
    "timm_mobilenet_v3": (mobilenet_v3, MOBILENET_V3, {}),
    "timm_mobilenet_v4": (mobilenet_v4, MOBILENET_V4, {}),
    "timm_regnet": (regnet, REGNET, {}),
    "timm_convnext": (convnext, convnext.ConvNeXt((1, 1, 1, 2), (8, 8, 8, 16), 0.1), {}),
    "timm_vit": (vit, VIT, {}),
    "timm_vit_scaled": (vit, replace(VIT, depth=1), {"layer_scale": 1.0}),
    "timm_vit_distilled": (vit, replace(VIT, depth=1, distilled=True), {}),
    "timm_deit3": (vit, replace(VIT, depth=1, layer_scale=1.0, class_position=False), {}),
    "timm_mlp_mixer": (mlp_mixer, mlp_mixer.MLPMixer(8, 2, 16, 4, 32), {}),
    "torchvision_swin": (swin, SWIN, {}),
    "timm_swin": (swin, SWIN, {}),
    "torchvision_swin_v2": (swin_v2, SWIN_V2, {}),
    "timm_swin_v2": (swin_v2, SWIN_V2, {}),
    "torchvision_googlenet": (googlenet, googlenet.GoogLeNet((8, 8, 8), 3 * (((4, 3, 4, 2, 4, 4),),)), {}),
    "torchvision_inception_v3": (inception_v3, INCEPTION, {}),
    "plain_vit": (vit, replace(VIT, plain=True), {}),
}


def _table(name: str, family: str) -> Table:
    if name == "plain_vit":
        return PLAIN_TABLE
    if family == "vgg":
        return classic.vgg((1, 1), batch_norm=True)
    return {"torchvision": torchvision, "timm": timm}[name.split("_")[0]].TABLES[family]


@pytest.mark.parametrize("name", NETWORKS)
def test_answers_are_torchs(name: str) -> None:
    """Logits differ by rounding only, at two sizes; for a ViT of another size positions are interpolated."""
    module, variant, options = NETWORKS[name]
    family = module.__name__.rpartition(".")[2]
    table = _table(name, family)
    (file,) = (file for file in GOLDEN.glob(f"{name}.*") if file.suffix != ".npz")
    answers = np.load(GOLDEN / f"{name}.npz")
    for number in range(len(answers.files) // 2):
        images = answers[f"images{number}"].astype(np.float32)
        model = module.build(variant, input_shape=images.shape[1:], classes=CLASSES, **table.options, **options)
        with stored.opened(file) as tensors:
            fitted = fitting.fit(model, tensors, table, "torch", name)
        assert not fitted.new_head
        assert fitted.positions == (family == "vit" and number == 1 and not getattr(variant, "plain", False))
        logits = model(images, training=False).numpy()
        np.testing.assert_allclose(logits, answers[f"logits{number}"], atol=1e-4, rtol=0)
        assert logits.std() > 0.01, "answers that say nothing prove nothing"
    keras.backend.clear_session()


def test_every_table_of_torch_names_has_a_golden() -> None:
    """A table that nothing compares with torch would be a guess."""
    families = {
        # A VGG's table is made from its depths, one function for all.
        f"{origin}_{'vgg' if family.startswith('vgg') else family}"
        for origin in ("torchvision", "timm")
        for family in import_module(f"keras_imagenet.models.weights.{origin}").TABLES
    }
    assert families - NETWORKS.keys() == set()
