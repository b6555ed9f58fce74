"""Names of lukemelas/EfficientNet-PyTorch, in which EfficientNet-Lite's TensorFlow weights were published for torch."""

from keras_imagenet.models.weights.table import Table

TABLES = {
    "efficientnet": Table(
        (
            ("stem_conv", "_conv_stem"),
            ("stem_norm", "_bn0"),
            ("stage{s}_block{b}_expand_conv", "_blocks.{n-1}._expand_conv"),
            ("stage{s}_block{b}_expand_norm", "_blocks.{n-1}._bn0"),
            ("stage{s}_block{b}_depthwise_conv", "_blocks.{n-1}._depthwise_conv"),
            ("stage{s}_block{b}_depthwise_norm", "_blocks.{n-1}._bn1"),
            ("stage{s}_block{b}_se_reduce", "_blocks.{n-1}._se_reduce"),
            ("stage{s}_block{b}_se_expand", "_blocks.{n-1}._se_expand"),
            ("stage{s}_block{b}_project_conv", "_blocks.{n-1}._project_conv"),
            ("stage{s}_block{b}_project_norm", "_blocks.{n-1}._bn2"),
            ("head_conv", "_conv_head"),
            ("head_norm", "_bn1"),
            ("logits", "_fc"),
        ),
        options={"padding": "same", "batch_norm": {"epsilon": 1e-3}},
    )
}
