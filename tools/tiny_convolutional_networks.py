"""EfficientNet to ConvNeXt in torchvision's and timm's own code, but tiny: for tools/make_weight_goldens.py."""

from __future__ import annotations

from functools import partial

from timm.models import convnext as timm_convnext
from timm.models import efficientnet as timm_efficientnet
from timm.models import mobilenetv3 as timm_mobilenetv3
from timm.models import regnet as timm_regnet
from timm.models._efficientnet_blocks import SqueezeExcite
from timm.models._efficientnet_builder import decode_arch_def, round_channels
from torch import nn
from torchvision.models import convnext, efficientnet, mobilenetv2, mobilenetv3, regnet, shufflenetv2

batch_norm = partial(nn.BatchNorm2d, eps=1e-3)


def tiny_convolutional_networks(classes: int) -> dict[str, nn.Module]:
    """By ORIGIN_FAMILY."""
    return {**_torchvision(classes), **_timm(classes), **_timm_mobile(classes)}


def _torchvision(classes: int) -> dict[str, nn.Module]:
    blocks = mobilenetv3.InvertedResidualConfig
    return {
        "torchvision_efficientnet": efficientnet.EfficientNet(
            [efficientnet.MBConvConfig(1, 3, 1, 8, 8, 1), efficientnet.MBConvConfig(2, 3, 2, 8, 16, 2)],
            0.0,
            num_classes=classes,
            last_channel=320,
        ),
        "torchvision_efficientnet_v2": efficientnet.EfficientNet(
            [
                efficientnet.FusedMBConvConfig(1, 3, 1, 8, 8, 1),
                efficientnet.FusedMBConvConfig(2, 3, 2, 8, 8, 2),
                efficientnet.MBConvConfig(2, 3, 2, 8, 16, 2),
            ],
            0.0,
            num_classes=classes,
            last_channel=1280,
            norm_layer=batch_norm,
        ),
        "torchvision_mobilenet_v2": mobilenetv2.MobileNetV2(classes, 1.0, [[1, 8, 1, 1], [2, 8, 2, 2]]),
        "torchvision_mobilenet_v3": mobilenetv3.MobileNetV3(
            [
                blocks(8, 3, 8, 8, True, "RE", 2, 1, 1.0),
                blocks(8, 5, 16, 8, True, "HS", 1, 1, 1.0),
                blocks(8, 3, 16, 16, False, "RE", 2, 1, 1.0),
            ],
            16,
            num_classes=classes,
        ),
        "torchvision_shufflenet_v2": shufflenetv2.ShuffleNetV2([2, 1, 1], [24, 8, 16, 24, 16], num_classes=classes),
        "torchvision_regnet": regnet.RegNet(
            regnet.BlockParams.from_init_params(4, 8, 8.0, 1.6, 8, se_ratio=0.25), classes, stem_width=8
        ),
        "torchvision_convnext": convnext.ConvNeXt(
            [convnext.CNBlockConfig(8, 16, 1), convnext.CNBlockConfig(16, None, 2)], num_classes=classes
        ),
    }


def _timm(classes: int) -> dict[str, nn.Module]:
    shared = {"num_classes": classes, "stem_size": 8}
    return {
        "timm_efficientnet": timm_efficientnet.EfficientNet(
            decode_arch_def([["ds_r1_k3_s1_e1_c8_se0.25"], ["ir_r2_k3_s2_e2_c16_se0.25"]]),
            num_features=320,
            act_layer=nn.SiLU,
            **shared,
        ),
        "timm_efficientnet_v2": timm_efficientnet.EfficientNet(
            decode_arch_def([["cn_r1_k3_s1_e1_c8_skip"], ["er_r2_k3_s2_e2_c8"], ["ir_r2_k3_s2_e2_c16_se0.25"]]),
            num_features=1280,
            pad_type="same",
            norm_layer=batch_norm,
            act_layer=nn.SiLU,
            **shared,
        ),
        "timm_regnet": timm_regnet.RegNet(
            timm_regnet.RegNetCfg(depth=4, w0=8, wa=8.0, wm=1.6, group_size=8, se_ratio=0.25, stem_width=8),
            num_classes=classes,
        ),
        "timm_convnext": timm_convnext.ConvNeXt(num_classes=classes, depths=(1, 1, 1, 2), dims=(8, 8, 8, 16)),
    }


def _timm_mobile(classes: int) -> dict[str, nn.Module]:
    shared = {"num_classes": classes, "stem_size": 8}
    return {
        "timm_mnasnet": timm_efficientnet.EfficientNet(
            decode_arch_def([["ds_r1_k3_s1_e1_c16_noskip"], ["ir_r2_k5_s2_e2_c8_se0.25"]]), num_features=64, **shared
        ),
        "timm_mobilenet_v2": timm_efficientnet.EfficientNet(
            decode_arch_def([["ds_r1_k3_s1_c8"], ["ir_r2_k3_s2_e2_c8"]]),
            num_features=64,
            act_layer=nn.ReLU6,
            **shared,
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
            **shared,
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
            **shared,
        ),
    }
