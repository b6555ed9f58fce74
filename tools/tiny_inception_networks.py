"""GoogLeNet and Inception-v3 in torchvision's own code, but tiny: for tools/make_weight_goldens.py."""

from __future__ import annotations

from torch import nn
from torchvision.models import inception
from torchvision.models.googlenet import BasicConv2d, GoogLeNet, Inception

DIVISOR = 16


def tiny_inception_networks(classes: int) -> dict[str, nn.Module]:
    """By ORIGIN_FAMILY: a block of each kind, a sixteenth as wide in Inception-v3."""
    return {"torchvision_googlenet": _googlenet(classes), "torchvision_inception_v3": _inception_v3(classes)}


def _googlenet(classes: int) -> nn.Module:
    network = GoogLeNet(classes, aux_logits=False, init_weights=False)
    network.conv1 = BasicConv2d(3, 8, kernel_size=7, stride=2, padding=3)
    network.conv2 = BasicConv2d(8, 8, kernel_size=1)
    network.conv3 = BasicConv2d(8, 8, kernel_size=3, padding=1)
    before = 8
    for name in ("3a", "4a", "5a"):
        setattr(network, f"inception{name}", Inception(before, 4, 3, 4, 2, 4, 4))
        before = 16
    for name in ("3b", "4b", "4c", "4d", "4e", "5b"):
        setattr(network, f"inception{name}", nn.Identity())
    network.fc = nn.Linear(16, classes)
    return network


def _inception_v3(classes: int) -> nn.Module:
    network = inception.Inception3(
        classes,
        aux_logits=False,
        init_weights=False,
        inception_blocks=[
            _narrow,
            *(
                lambda channels, *arguments, kind=kind, **options: kind(
                    channels, *arguments, conv_block=_narrow, **options
                )
                for kind in (
                    inception.InceptionA,
                    inception.InceptionB,
                    inception.InceptionC,
                    inception.InceptionD,
                    inception.InceptionE,
                )
            ),
            inception.InceptionAux,
        ],
    )
    network.Mixed_5b = inception.InceptionA(192, pool_features=64, conv_block=_narrow)
    for name in ("5c", "5d", "6c", "6d", "6e", "7c"):
        setattr(network, f"Mixed_{name}", nn.Identity())
    network.fc = nn.Linear(2048 // DIVISOR, classes)
    return network


def _narrow(inputs: int, outputs: int, **options) -> nn.Module:
    return inception.BasicConv2d(inputs if inputs == 3 else inputs // DIVISOR, outputs // DIVISOR, **options)
