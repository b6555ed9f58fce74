"""Names of the classic families' networks, for each origin: AlexNet to MobileNet v1.

torchvision numbers the layers of AlexNet, VGG and SqueezeNet through, ReLUs and pooling included, so there the numbers
are worked out from the variants; a VGG's table goes by the network's name, not the family's.
"""

from keras_imagenet.models.weights.table import Table

_TORCH = {"padding": "symmetric", "batch_norm": {"epsilon": 1e-5}}
_BLOCK, _LAYER = "stage{s}_block{b}_", "layer{s}.{b-1}."

_RESNET = (
    # Of three convolutions in a deep stem, the last one's norm lies outside; a fourth takes the place of pooling.
    ("stem_conv", "conv1|conv1.0"),
    ("stem_norm", "bn1"),
    ("stem_conv1", "conv1.0"),
    ("stem_norm1", "conv1.1"),
    ("stem_conv2", "conv1.3"),
    ("stem_norm2", "conv1.4"),
    ("stem_conv3", "conv1.6"),
    ("stem_norm3", "bn1"),
    ("stem_conv4", "maxpool.0"),
    ("stem_norm4", "maxpool.1"),
    (_BLOCK + "conv{i}", _LAYER + "conv{i}"),
    (_BLOCK + "norm{i}", _LAYER + "bn{i}"),
    (_BLOCK + "se_reduce", _LAYER + "se.fc1"),
    (_BLOCK + "se_expand", _LAYER + "se.fc2"),
    # Behind a mean the convolution and its norm move up by one.
    (_BLOCK + "shortcut_conv", _LAYER + "downsample.0|" + _LAYER + "downsample.1"),
    (_BLOCK + "shortcut_norm", _LAYER + "downsample.2|" + _LAYER + "downsample.1"),
    ("logits", "fc"),
)

_VGG_DEPTHS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
_FIRES = {(1, 1): 3, (1, 2): 4, (2, 1): 6, (2, 2): 7, (3, 1): 9, (3, 2): 10, (3, 3): 11, (3, 4): 12}


def vgg(depths: tuple[int, ...], batch_norm: bool) -> Table:
    """torchvision's numbers for a VGG of those depths: convolution, norm if any, ReLU; pooling after each stage."""
    lines, number = [], 0
    for stage, depth in enumerate(depths, start=1):
        for index in range(1, depth + 1):
            lines.append((f"stage{stage}_conv{index}", f"features.{number}"))
            if batch_norm:
                lines.append((f"stage{stage}_norm{index}", f"features.{number + 1}"))
            number += 3 if batch_norm else 2
        number += 1
    head = (("hidden1", "classifier.0"), ("hidden2", "classifier.3"), ("logits", "classifier.6"))
    return Table((*lines, *head), options={"batch_norm": {"epsilon": 1e-5}})


TORCHVISION = {
    "alexnet": Table(
        (
            ("conv1", "features.0"),
            ("conv2", "features.3"),
            ("conv3", "features.6"),
            ("conv4", "features.8"),
            ("conv5", "features.10"),
            ("hidden1", "classifier.1"),
            ("hidden2", "classifier.4"),
            ("logits", "classifier.6"),
        )
    ),
    **{f"vgg{number}": vgg(depths, batch_norm=False) for number, depths in _VGG_DEPTHS.items()},
    **{f"vgg{number}_bn": vgg(depths, batch_norm=True) for number, depths in _VGG_DEPTHS.items()},
    "squeezenet": Table(
        (
            ("stem_conv", "features.0"),
            *(
                (f"stage{stage}_fire{fire}_{ours}", f"features.{number}.{theirs}")
                for (stage, fire), number in _FIRES.items()
                for ours, theirs in (("squeeze", "squeeze"), ("expand1", "expand1x1"), ("expand3", "expand3x3"))
            ),
            ("logits", "classifier.1"),
        )
    ),
    "resnet": Table(_RESNET, options=_TORCH),
    "densenet": Table(
        (
            ("stem_conv", "features.conv0"),
            ("stem_norm", "features.norm0"),
            ("stage{s}_layer{l}_conv{i}", "features.denseblock{s}.denselayer{l}.conv{i}"),
            ("stage{s}_layer{l}_norm{i}", "features.denseblock{s}.denselayer{l}.norm{i}"),
            ("transition{s}_conv", "features.transition{s}.conv"),
            ("transition{s}_norm", "features.transition{s}.norm"),
            ("head_norm", "features.norm5"),
            ("logits", "classifier"),
        ),
        options=_TORCH,
    ),
}

TIMM = {
    "resnet": Table(_RESNET, options=_TORCH),
    "resnet_v2": Table(
        (
            ("stem_conv", "stem.conv"),
            (_BLOCK + "conv{i}", "stages.{s-1}.blocks.{b-1}.conv{i}"),
            (_BLOCK + "norm{i}", "stages.{s-1}.blocks.{b-1}.norm{i}"),
            (_BLOCK + "shortcut_conv", "stages.{s-1}.blocks.{b-1}.downsample.conv"),
            ("head_norm", "norm"),
            ("logits", "head.fc"),
        ),
        options=_TORCH,
    ),
    "mobilenet_v1": Table(
        (
            ("stem_conv", "conv_stem"),
            ("stem_norm", "bn1"),
            (_BLOCK + "depthwise", "blocks.{s-1}.{b-1}.conv_dw"),
            (_BLOCK + "norm1", "blocks.{s-1}.{b-1}.bn1"),
            (_BLOCK + "pointwise", "blocks.{s-1}.{b-1}.conv_pw"),
            (_BLOCK + "norm2", "blocks.{s-1}.{b-1}.bn2"),
            ("logits", "classifier"),
        ),
        options=_TORCH,
    ),
}

KERAS_NETWORKS = {
    "vgg16": "VGG16",
    "vgg19": "VGG19",
    **{f"resnet{depth}_v1": f"ResNet{depth}" for depth in (50, 101, 152)},
    **{f"resnet{depth}_v2": f"ResNet{depth}V2" for depth in (50, 101, 152)},
    **{f"densenet{depth}": f"DenseNet{depth}" for depth in (121, 169, 201)},
    "mobilenetv1_100": "MobileNet",
}

KERAS = {
    "vgg": Table(
        (
            ("stage{s}_conv{i}", "block{s}_conv{i}"),
            ("hidden{i}", "fc{i}"),
            ("logits", "predictions"),
        ),
        flip=True,
    ),
    "resnet": Table(
        (
            ("stem_conv", "conv1_conv"),
            ("stem_norm", "conv1_bn"),
            (_BLOCK + "conv{i}", "conv{s+1}_block{b}_{i}_conv"),
            (_BLOCK + "norm{i}", "conv{s+1}_block{b}_{i}_bn"),
            (_BLOCK + "shortcut_conv", "conv{s+1}_block{b}_0_conv"),
            (_BLOCK + "shortcut_norm", "conv{s+1}_block{b}_0_bn"),
            ("logits", "predictions"),
        ),
        options={"padding": "symmetric"},
        flip=True,
    ),
    "resnet_v2": Table(
        (
            ("stem_conv", "conv1_conv"),
            (_BLOCK + "conv{i}", "conv{s+1}_block{b}_{i}_conv"),
            # The norm before the first convolution has a name of its own, the others that of the one before them.
            (_BLOCK + "norm1", "conv{s+1}_block{b}_preact_bn"),
            (_BLOCK + "norm{i}", "conv{s+1}_block{b}_{i-1}_bn"),
            (_BLOCK + "shortcut_conv", "conv{s+1}_block{b}_0_conv"),
            ("head_norm", "post_bn"),
            ("logits", "predictions"),
        ),
        options={"padding": "symmetric"},
    ),
    "densenet": Table(
        (
            ("stem_conv", "conv1_conv"),
            ("stem_norm", "conv1_bn"),
            ("stage{s}_layer{l}_conv{i}", "conv{s+1}_block{l}_{i}_conv"),
            ("stage{s}_layer{l}_norm{i}", "conv{s+1}_block{l}_{i-1}_bn"),
            ("transition{s}_conv", "pool{s+1}_conv"),
            ("transition{s}_norm", "pool{s+1}_bn"),
            ("head_norm", "bn"),
            ("logits", "predictions"),
        ),
        options={"padding": "symmetric", "batch_norm": {"epsilon": 1.001e-5}},
    ),
    "mobilenet_v1": Table(
        (
            ("stem_conv", "conv1"),
            ("stem_norm", "conv1_bn"),
            (_BLOCK + "depthwise", "conv_dw_{n}"),
            (_BLOCK + "norm1", "conv_dw_{n}_bn"),
            (_BLOCK + "pointwise", "conv_pw_{n}"),
            (_BLOCK + "norm2", "conv_pw_{n}_bn"),
            ("logits", "conv_preds"),
        ),
        options={"padding": "same", "batch_norm": {"epsilon": 1e-3}},
    ),
}
