"""Weights and answers of networks that torch built: what our converters and builders are held to without torch.

    python tools/make_weight_goldens.py                                   tests/golden/weights: tiny networks
    python tools/make_weight_goldens.py --real timm efficientnet_b0 FOLDER   a whole network with random weights

Needs torch, torchvision and timm. Weights are random, norms' statistics too, and rounded to half precision, so that
small files hold them exactly. A golden is ORIGIN_FAMILY.pth or .safetensors and ORIGIN_FAMILY.npz, with images0 and
logits0, and images1 and logits1 of another size where the network takes one; images [n, height, width, 3].
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

import numpy as np
import timm
import torch
import torchvision
from plain_vit import PlainViT
from safetensors.torch import save_file
from timm.models import convnext as timm_convnext
from timm.models import deit as timm_deit
from timm.models import efficientnet as timm_efficientnet
from timm.models import mlp_mixer as timm_mlp_mixer
from timm.models import mobilenetv3 as timm_mobilenetv3
from timm.models import regnet as timm_regnet
from timm.models import swin_transformer as timm_swin
from timm.models import vision_transformer as timm_vit
from timm.models._efficientnet_blocks import SqueezeExcite
from timm.models._efficientnet_builder import decode_arch_def, round_channels
from tiny_classic_networks import tiny_classic_networks
from tiny_inception_networks import tiny_inception_networks
from torch import nn
from torchvision.models import (
    convnext,
    efficientnet,
    mobilenetv2,
    mobilenetv3,
    regnet,
    swin_transformer,
    vision_transformer,
)

GOLDEN = Path(__file__).resolve().parent.parent / "tests" / "golden" / "weights"
CLASSES = 5

MOBILE = [["ds_r1_k3_s1_e1_c8_se0.25"], ["ir_r2_k3_s2_e2_c16_se0.25"]]


def tiny_networks() -> dict[str, nn.Module]:
    """By ORIGIN_FAMILY; tests/models/weights/test_goldens.py has our variant for each."""
    batch_norm = partial(nn.BatchNorm2d, eps=1e-3)
    mobile = {"num_classes": CLASSES, "stem_size": 8}
    blocks = mobilenetv3.InvertedResidualConfig
    return {
        "torchvision_efficientnet": efficientnet.EfficientNet(
            [efficientnet.MBConvConfig(1, 3, 1, 8, 8, 1), efficientnet.MBConvConfig(2, 3, 2, 8, 16, 2)],
            0.0,
            num_classes=CLASSES,
            last_channel=320,
        ),
        "torchvision_efficientnet_v2": efficientnet.EfficientNet(
            [
                efficientnet.FusedMBConvConfig(1, 3, 1, 8, 8, 1),
                efficientnet.FusedMBConvConfig(2, 3, 2, 8, 8, 2),
                efficientnet.MBConvConfig(2, 3, 2, 8, 16, 2),
            ],
            0.0,
            num_classes=CLASSES,
            last_channel=1280,
            norm_layer=batch_norm,
        ),
        "torchvision_mobilenet_v2": mobilenetv2.MobileNetV2(CLASSES, 1.0, [[1, 8, 1, 1], [2, 8, 2, 2]]),
        "torchvision_mobilenet_v3": mobilenetv3.MobileNetV3(
            [
                blocks(8, 3, 8, 8, True, "RE", 2, 1, 1.0),
                blocks(8, 5, 16, 8, True, "HS", 1, 1, 1.0),
                blocks(8, 3, 16, 16, False, "RE", 2, 1, 1.0),
            ],
            16,
            num_classes=CLASSES,
        ),
        "torchvision_regnet": regnet.RegNet(
            regnet.BlockParams.from_init_params(4, 8, 8.0, 1.6, 8, se_ratio=0.25), CLASSES, stem_width=8
        ),
        "torchvision_convnext": convnext.ConvNeXt(
            [convnext.CNBlockConfig(8, 16, 1), convnext.CNBlockConfig(16, None, 2)], num_classes=CLASSES
        ),
        "torchvision_vit": vision_transformer.VisionTransformer(32, 16, 2, 2, 8, 32, num_classes=CLASSES),
        "timm_efficientnet": timm_efficientnet.EfficientNet(
            decode_arch_def(MOBILE), num_features=320, act_layer=nn.SiLU, **mobile
        ),
        "timm_efficientnet_v2": timm_efficientnet.EfficientNet(
            decode_arch_def([["cn_r1_k3_s1_e1_c8_skip"], ["er_r2_k3_s2_e2_c8"], ["ir_r2_k3_s2_e2_c16_se0.25"]]),
            num_features=1280,
            pad_type="same",
            norm_layer=batch_norm,
            act_layer=nn.SiLU,
            **mobile,
        ),
        "timm_mobilenet_v2": timm_efficientnet.EfficientNet(
            decode_arch_def([["ds_r1_k3_s1_c8"], ["ir_r2_k3_s2_e2_c8"]]),
            num_features=64,
            act_layer=nn.ReLU6,
            **mobile,
        ),
        "timm_mobilenet_v3": timm_mobilenetv3.MobileNetV3(
            decode_arch_def(
                [
                    ["ds_r1_k3_s2_e1_c8_se0.25_nre"],
                    ["ir_r1_k5_s1_e2_c8_se0.25"],
                    ["ir_r1_k3_s2_e2_c16_nre"],
                    ["cn_r1_k1_s1_c96"],
                ]
            ),
            num_features=16,
            act_layer=nn.Hardswish,
            se_layer=partial(
                SqueezeExcite, gate_layer="hard_sigmoid", force_act_layer=nn.ReLU, rd_round_fn=round_channels
            ),
            **mobile,
        ),
        "timm_mobilenet_v4": timm_mobilenetv3.MobileNetV3(
            decode_arch_def(
                [
                    ["er_r1_k3_s2_e2_c8"],
                    [
                        "uir_r1_a3_k5_s2_e2_c16",
                        "uir_r1_a0_k3_s1_e2_c16",
                        "uir_r1_a3_k0_s1_e2_c16",
                        "uir_r1_a0_k0_s1_e2_c16",
                    ],
                    ["cn_r1_k1_s1_c16"],
                ]
            ),
            num_features=16,
            head_bias=False,
            head_norm=True,
            act_layer=nn.ReLU,
            layer_scale_init_value=None,
            **mobile,
        ),
        "timm_regnet": timm_regnet.RegNet(
            timm_regnet.RegNetCfg(depth=4, w0=8, wa=8.0, wm=1.6, group_size=8, se_ratio=0.25, stem_width=8),
            num_classes=CLASSES,
        ),
        "timm_convnext": timm_convnext.ConvNeXt(num_classes=CLASSES, depths=(1, 1, 1, 2), dims=(8, 8, 8, 16)),
        "timm_vit": timm_vit.VisionTransformer(
            32, 16, num_classes=CLASSES, embed_dim=8, depth=2, num_heads=2, dynamic_img_size=True
        ),
        "timm_vit_scaled": timm_vit.VisionTransformer(
            32, 16, num_classes=CLASSES, embed_dim=8, depth=1, num_heads=2, init_values=0.1, dynamic_img_size=True
        ),
        "timm_vit_distilled": timm_deit.VisionTransformerDistilled(
            32, 16, num_classes=CLASSES, embed_dim=8, depth=1, num_heads=2, dynamic_img_size=True
        ),
        "timm_mlp_mixer": timm_mlp_mixer.MlpMixer(CLASSES, 32, patch_size=16, num_blocks=2, embed_dim=8),
        "torchvision_swin": swin_transformer.SwinTransformer([4, 4], 8, [2, 2], [2, 4], [4, 4], num_classes=CLASSES),
        "timm_swin": timm_swin.SwinTransformer(
            64,
            4,
            num_classes=CLASSES,
            embed_dim=8,
            depths=(2, 2),
            num_heads=(2, 4),
            window_size=4,
            dynamic_img_size=True,
        ),
        "plain_vit": PlainViT(8, 2, 2, 3, CLASSES),
        **tiny_classic_networks(CLASSES),
        **tiny_inception_networks(CLASSES),
    }


SIZES = {
    "torchvision_alexnet": (64, 97),
    "torchvision_vit": (32,),
    "plain_vit": (32, 48),
    "timm_vit": (32, 48),
    "timm_vit_scaled": (32, 48),
    "timm_vit_distilled": (32, 48),
    "timm_mlp_mixer": (32,),
    "torchvision_swin": (32, 52),  # 8 and 13 pixels a side in windows of 4
    "timm_swin": (64, 96),  # where windows do not fit, timm shifts before it fills up, torchvision after
    "torchvision_inception_v3": (75, 82),
}
"""Sizes of images; others take any."""


def main() -> None:
    """Write the goldens, or one real network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real", nargs=3, metavar=("LIBRARY", "NAME", "FOLDER"))
    parser.add_argument("--size", type=int, nargs="+", default=[64, 97])
    arguments = parser.parse_args()
    torch.set_num_threads(2)
    if arguments.real:
        library, name, folder = arguments.real
        network = timm.create_model(name) if library == "timm" else torchvision.models.get_model(name, weights=None)
        write(network, f"{library}_{name}", Path(folder), arguments.size)
        return
    GOLDEN.mkdir(parents=True, exist_ok=True)
    for name, network in tiny_networks().items():
        write(network, name, GOLDEN, SIZES.get(name, (32, 49)))


def write(network: nn.Module, name: str, folder: Path, sizes: list[int] | tuple[int, ...]) -> None:
    """NAME.npz, and NAME.safetensors for timm's, in torch's older layout for the plain ViT, else .pth."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for key, tensor in network.state_dict().items():
            if tensor.is_floating_point():
                tensor.copy_(_random(key, tensor.shape, generator).half().float())
    state = {
        key: tensor.half() if tensor.is_floating_point() else tensor for key, tensor in network.state_dict().items()
    }
    if name.startswith("timm"):
        save_file({key: tensor.contiguous() for key, tensor in state.items()}, folder / f"{name}.safetensors")
    else:
        path = folder / f"{name}.pth"
        torch.save(state, path, _use_new_zipfile_serialization=name != "plain_vit")
    answers = {}
    network.eval()
    for number, size in enumerate(sizes):
        images = torch.randn(2, 3, size, size, generator=generator).half().float()
        with torch.no_grad():
            logits = network(images)
        answers[f"images{number}"] = images.permute(0, 2, 3, 1).numpy().astype(np.float16)
        answers[f"logits{number}"] = logits.numpy()
    np.savez_compressed(folder / f"{name}.npz", **answers)


def _random(key: str, shape: torch.Size, generator: torch.Generator) -> torch.Tensor:
    """Values that keep activations near 1: variances and factors above 0, kernels by what feeds them."""
    if key.endswith("running_var") or (key.endswith("weight") and len(shape) == 1):
        return torch.rand(shape, generator=generator) + 0.5
    values = torch.randn(shape, generator=generator)
    fan_in = max(1, shape[1:].numel()) if len(shape) > 1 else 100
    return values * (0.3 if "pos" in key or "token" in key or len(shape) == 3 else fan_in**-0.5)


if __name__ == "__main__":
    main()
