"""AlexNet to MobileNet v1 in torchvision's and timm's own code, but tiny: for tools/make_weight_goldens.py."""

from __future__ import annotations

from functools import partial

from timm.layers import BatchNormAct2d, create_conv2d, get_attn
from timm.models import efficientnet as timm_efficientnet
from timm.models import resnet as timm_resnet
from timm.models import resnetv2 as timm_resnetv2
from timm.models._efficientnet_builder import decode_arch_def
from torch import nn
from torchvision.models import densenet, resnet, squeezenet, vgg
from torchvision.models.alexnet import AlexNet


def tiny_classic_networks(classes: int) -> dict[str, nn.Module]:
    """By ORIGIN_FAMILY. What has no arguments for its widths gets narrower parts of the same kind in place."""
    return {
        "torchvision_alexnet": _alexnet(classes),
        "torchvision_vgg": _vgg(classes),
        "torchvision_squeezenet": _squeezenet(classes),
        "torchvision_resnet": _resnet(classes),
        "torchvision_densenet": densenet.DenseNet(8, (1, 2), 8, num_classes=classes),
        "timm_resnet": _resnet_rs(classes),
        "timm_resnet_v2": timm_resnetv2.ResNetV2(
            (1, 2),
            channels=(32, 64),
            num_classes=classes,
            stem_chs=8,
            conv_layer=create_conv2d,
            norm_layer=BatchNormAct2d,
        ),
        "timm_mobilenet_v1": timm_efficientnet.EfficientNet(
            decode_arch_def([["dsa_r1_k3_s1_c8"], ["dsa_r2_k3_s2_c16"]]),
            num_classes=classes,
            num_features=0,
            stem_size=8,
            act_layer=nn.ReLU6,
        ),
    }


def _alexnet(classes: int) -> nn.Module:
    network = AlexNet(classes)
    for index, layer in enumerate(network.features):
        if isinstance(layer, nn.Conv2d):
            before = 3 if index == 0 else 8
            network.features[index] = nn.Conv2d(before, 8, layer.kernel_size, layer.stride, layer.padding)
    _narrow(network.classifier, 8 * 6 * 6, classes)
    return network


def _vgg(classes: int) -> nn.Module:
    network = vgg.VGG(vgg.make_layers([8, "M", 16, "M"], batch_norm=True), classes, init_weights=False)
    _narrow(network.classifier, 16 * 7 * 7, classes)
    return network


def _narrow(classifier: nn.Sequential, features: int, classes: int) -> None:
    """Linear layers of 16 units in place of 4096."""
    linear = [index for index, layer in enumerate(classifier) if isinstance(layer, nn.Linear)]
    for index, inputs, outputs in zip(linear, (features, 16, 16), (16, 16, classes), strict=True):
        classifier[index] = nn.Linear(inputs, outputs)


def _squeezenet(classes: int) -> nn.Module:
    network = squeezenet.SqueezeNet("1_1", classes)
    network.features = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2), *network.features[1:3], squeezenet.Fire(8, 4, 8, 8), squeezenet.Fire(16, 4, 8, 8)
    )
    network.classifier[1] = nn.Conv2d(16, classes, 1)
    return network


def _resnet(classes: int) -> nn.Module:
    network = resnet.ResNet(resnet.Bottleneck, [1, 1, 1, 1], classes)
    network.inplanes = 8
    network.conv1 = nn.Conv2d(3, 8, 7, stride=2, padding=3, bias=False)
    network.bn1 = nn.BatchNorm2d(8)
    network.layer1 = network._make_layer(resnet.Bottleneck, 8, 1)
    network.layer2 = network._make_layer(resnet.Bottleneck, 16, 2, stride=2)
    network.layer3 = network.layer4 = nn.Identity()
    network.fc = nn.Linear(64, classes)
    return network


def _resnet_rs(classes: int) -> nn.Module:
    network = timm_resnet.ResNet(
        timm_resnet.Bottleneck,
        (1, 1),
        num_classes=classes,
        channels=(8, 16),
        stem_width=4,
        stem_type="deep",
        replace_stem_pool=True,
        avg_down=True,
        block_args={"attn_layer": partial(get_attn("se"), rd_ratio=0.25)},
    )
    network.layer3 = network.layer4 = nn.Identity()
    return network
