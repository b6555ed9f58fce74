"""Names of GoogLeNet's, Inception-v3's and Xception's networks, for each origin."""

from keras_imagenet.models.weights.table import Table

# Their name of each of our convolutions, by kind of block, in the order in which both origins make them.
_A = {
    "branch1_conv1": "branch1x1",
    "branch2_conv1": "branch5x5_1",
    "branch2_conv2": "branch5x5_2",
    "branch3_conv1": "branch3x3dbl_1",
    "branch3_conv2": "branch3x3dbl_2",
    "branch3_conv3": "branch3x3dbl_3",
    "pool_conv1": "branch_pool",
}
_B = {
    "branch1_conv1": "branch3x3",
    "branch2_conv1": "branch3x3dbl_1",
    "branch2_conv2": "branch3x3dbl_2",
    "branch2_conv3": "branch3x3dbl_3",
}
_C = {
    "branch1_conv1": "branch1x1",
    **{f"branch2_conv{number}": f"branch7x7_{number}" for number in (1, 2, 3)},
    **{f"branch3_conv{number}": f"branch7x7dbl_{number}" for number in (1, 2, 3, 4, 5)},
    "pool_conv1": "branch_pool",
}
_D = {
    "branch1_conv1": "branch3x3_1",
    "branch1_conv2": "branch3x3_2",
    **{f"branch2_conv{number}": f"branch7x7x3_{number}" for number in (1, 2, 3, 4)},
}
_E = {
    "branch1_conv1": "branch1x1",
    "branch2_conv1": "branch3x3_1",
    "branch2_conv2": "branch3x3_2a",
    "branch2_conv3": "branch3x3_2b",
    "branch3_conv1": "branch3x3dbl_1",
    "branch3_conv2": "branch3x3dbl_2",
    "branch3_conv3": "branch3x3dbl_3a",
    "branch3_conv4": "branch3x3dbl_3b",
    "pool_conv1": "branch_pool",
}
_STEM = ("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "Conv2d_3b_1x1", "Conv2d_4a_3x3")
_MIXED = {
    (1, 1): ("Mixed_5b", _A),
    (1, 2): ("Mixed_5c", _A),
    (1, 3): ("Mixed_5d", _A),
    (2, 1): ("Mixed_6a", _B),
    (2, 2): ("Mixed_6b", _C),
    (2, 3): ("Mixed_6c", _C),
    (2, 4): ("Mixed_6d", _C),
    (2, 5): ("Mixed_6e", _C),
    (3, 1): ("Mixed_7a", _D),
    (3, 2): ("Mixed_7b", _E),
    (3, 3): ("Mixed_7c", _E),
}
# Our convolution and torchvision's module, in the order of the graph; keras.applications numbers them through.
_CONVOLUTIONS = {
    **{f"stem_conv{number}": theirs for number, theirs in enumerate(_STEM, start=1)},
    **{
        f"stage{stage}_block{block}_{ours}": f"{mixed}.{theirs}"
        for (stage, block), (mixed, names) in _MIXED.items()
        for ours, theirs in names.items()
    },
}


def _norm(convolution: str) -> str:
    return convolution.replace("conv", "norm")


_BLOCK, _INCEPTION = "stage{s}_block{b}_", "inception{s+2}{b:a}."

TORCHVISION = {
    "googlenet": Table(
        (
            ("stem_conv1", "conv1.conv"),
            ("stem_conv{i}", "conv{i}.conv"),
            ("stem_norm{i}", "conv{i}.bn"),
            (_BLOCK + "branch1_conv1", _INCEPTION + "branch1.conv"),
            (_BLOCK + "branch1_norm1", _INCEPTION + "branch1.bn"),
            (_BLOCK + "branch4_conv1", _INCEPTION + "branch4.1.conv"),
            (_BLOCK + "branch4_norm1", _INCEPTION + "branch4.1.bn"),
            (_BLOCK + "branch{r}_conv{i}", _INCEPTION + "branch{r}.{i-1}.conv"),
            (_BLOCK + "branch{r}_norm{i}", _INCEPTION + "branch{r}.{i-1}.bn"),
            ("logits", "fc"),
        ),
        unused=(r"aux[12]\..*",),
        options={"batch_norm": {"epsilon": 1e-3}},
    ),
    "inception_v3": Table(
        (
            *((ours, f"{theirs}.conv") for ours, theirs in _CONVOLUTIONS.items()),
            *((_norm(ours), f"{theirs}.bn") for ours, theirs in _CONVOLUTIONS.items()),
            ("logits", "fc"),
        ),
        unused=(r"AuxLogits\..*",),
        options={"batch_norm": {"epsilon": 1e-3}},
    ),
}

KERAS_NETWORKS = {"inception_v3_keras": "InceptionV3", "xception": "Xception"}

KERAS = {
    "inception_v3_keras": Table(
        (
            *((ours, f"conv2d_{number}") for number, ours in enumerate(_CONVOLUTIONS, start=1)),
            *((_norm(ours), f"batch_normalization_{number}") for number, ours in enumerate(_CONVOLUTIONS, start=1)),
            ("logits", "predictions"),
        ),
        options={"batch_norm": {"epsilon": 1e-3}},
    ),
    "xception": Table(
        (
            ("stem_conv{i}", "block1_conv{i}"),
            ("stem_norm{i}", "block1_conv{i}_bn"),
            ("block{b}_separable{i}", "block{b+1}_sepconv{i}"),
            ("block{b}_norm{i}", "block{b+1}_sepconv{i}_bn"),
            ("block12_shortcut_conv", "conv2d_4"),
            ("block12_shortcut_norm", "batch_normalization_4"),
            ("block{b}_shortcut_conv", "conv2d_{b}"),
            ("block{b}_shortcut_norm", "batch_normalization_{b}"),
            ("head_separable{i}", "block14_sepconv{i}"),
            ("head_norm{i}", "block14_sepconv{i}_bn"),
            ("logits", "predictions"),
        ),
        options={"batch_norm": {"epsilon": 1e-3}},
    ),
}
