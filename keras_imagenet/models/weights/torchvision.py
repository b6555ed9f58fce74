"""Names of torchvision's networks."""

from keras_imagenet.models.weights import classic, inception
from keras_imagenet.models.weights.table import Table

_MOBILE = (
    ("stem_conv", "features.0.0"),
    ("stem_norm", "features.0.1"),
)
_INVERTED = (
    ("stage{s}_block{b}_expand_conv", "features.{s}.{b-1}.block.0.0"),
    ("stage{s}_block{b}_expand_norm", "features.{s}.{b-1}.block.0.1"),
    ("stage{s}_block{b}_depthwise_conv", "features.{s}.{b-1}.block.1.0"),
    ("stage{s}_block{b}_depthwise_norm", "features.{s}.{b-1}.block.1.1"),
    ("stage{s}_block{b}_se_reduce", "features.{s}.{b-1}.block.2.fc1"),
    ("stage{s}_block{b}_se_expand", "features.{s}.{b-1}.block.2.fc2"),
    ("stage{s}_block{b}_project_conv", "features.{s}.{b-1}.block.3.0|features.{s}.{b-1}.block.1.0"),
    ("stage{s}_block{b}_project_norm", "features.{s}.{b-1}.block.3.1|features.{s}.{b-1}.block.1.1"),
    ("head_conv", "features.{S+1}.0"),
    ("head_norm", "features.{S+1}.1"),
    ("logits", "classifier.1"),
)

TABLES = {
    **classic.TORCHVISION,
    **inception.TORCHVISION,
    "efficientnet": Table(
        (
            *_MOBILE,
            # Blocks of the first stage do not expand.
            ("stage1_block{b}_depthwise_conv", "features.1.{b-1}.block.0.0"),
            ("stage1_block{b}_depthwise_norm", "features.1.{b-1}.block.0.1"),
            ("stage1_block{b}_se_reduce", "features.1.{b-1}.block.1.fc1"),
            ("stage1_block{b}_se_expand", "features.1.{b-1}.block.1.fc2"),
            ("stage1_block{b}_project_conv", "features.1.{b-1}.block.2.0"),
            ("stage1_block{b}_project_norm", "features.1.{b-1}.block.2.1"),
            *_INVERTED,
        ),
        options={"padding": "symmetric", "batch_norm": {"epsilon": 1e-5}},
    ),
    "efficientnet_v2": Table(
        (
            *_MOBILE,
            ("stage{s}_block{b}_single_conv", "features.{s}.{b-1}.block.0.0"),
            ("stage{s}_block{b}_single_norm", "features.{s}.{b-1}.block.0.1"),
            ("stage{s}_block{b}_fused_conv", "features.{s}.{b-1}.block.0.0"),
            ("stage{s}_block{b}_fused_norm", "features.{s}.{b-1}.block.0.1"),
            *_INVERTED,
        ),
        options={"padding": "symmetric", "batch_norm": {"epsilon": 1e-3}},
    ),
    "mobilenet_v2": Table(
        (
            *_MOBILE,
            ("stage1_block{b}_depthwise_conv", "features.{n}.conv.0.0"),
            ("stage1_block{b}_depthwise_norm", "features.{n}.conv.0.1"),
            ("stage1_block{b}_project_conv", "features.{n}.conv.1"),
            ("stage1_block{b}_project_norm", "features.{n}.conv.2"),
            ("stage{s}_block{b}_expand_conv", "features.{n}.conv.0.0"),
            ("stage{s}_block{b}_expand_norm", "features.{n}.conv.0.1"),
            ("stage{s}_block{b}_depthwise_conv", "features.{n}.conv.1.0"),
            ("stage{s}_block{b}_depthwise_norm", "features.{n}.conv.1.1"),
            ("stage{s}_block{b}_project_conv", "features.{n}.conv.2"),
            ("stage{s}_block{b}_project_norm", "features.{n}.conv.3"),
            ("head_conv", "features.{N+1}.0"),
            ("head_norm", "features.{N+1}.1"),
            ("logits", "classifier.1"),
        ),
        options={"padding": "symmetric", "batch_norm": {"epsilon": 1e-5}},
    ),
    "mobilenet_v3": Table(
        (
            *_MOBILE,
            ("stage1_block1_depthwise_conv", "features.1.block.0.0"),
            ("stage1_block1_depthwise_norm", "features.1.block.0.1"),
            ("stage1_block1_se_reduce", "features.1.block.1.fc1"),
            ("stage1_block1_se_expand", "features.1.block.1.fc2"),
            ("stage1_block1_project_conv", "features.1.block.2.0|features.1.block.1.0"),
            ("stage1_block1_project_norm", "features.1.block.2.1|features.1.block.1.1"),
            ("stage{s}_block{b}_expand_conv", "features.{n}.block.0.0"),
            ("stage{s}_block{b}_expand_norm", "features.{n}.block.0.1"),
            ("stage{s}_block{b}_depthwise_conv", "features.{n}.block.1.0"),
            ("stage{s}_block{b}_depthwise_norm", "features.{n}.block.1.1"),
            ("stage{s}_block{b}_se_reduce", "features.{n}.block.2.fc1"),
            ("stage{s}_block{b}_se_expand", "features.{n}.block.2.fc2"),
            ("stage{s}_block{b}_project_conv", "features.{n}.block.3.0|features.{n}.block.2.0"),
            ("stage{s}_block{b}_project_norm", "features.{n}.block.3.1|features.{n}.block.2.1"),
            ("last_conv", "features.{N+1}.0"),
            ("last_norm", "features.{N+1}.1"),
            ("head", "classifier.0"),
            ("logits", "classifier.3"),
        ),
        options={"padding": "symmetric", "batch_norm": {"epsilon": 1e-3}},
    ),
    "regnet": Table(
        (
            ("stem_conv", "stem.0"),
            ("stem_norm", "stem.1"),
            ("stage{s}_block{b}_shortcut_conv", "trunk_output.block{s}.block{s}-{b-1}.proj.0"),
            ("stage{s}_block{b}_shortcut_norm", "trunk_output.block{s}.block{s}-{b-1}.proj.1"),
            ("stage{s}_block{b}_first_conv", "trunk_output.block{s}.block{s}-{b-1}.f.a.0"),
            ("stage{s}_block{b}_first_norm", "trunk_output.block{s}.block{s}-{b-1}.f.a.1"),
            ("stage{s}_block{b}_grouped_conv", "trunk_output.block{s}.block{s}-{b-1}.f.b.0"),
            ("stage{s}_block{b}_grouped_norm", "trunk_output.block{s}.block{s}-{b-1}.f.b.1"),
            ("stage{s}_block{b}_se_reduce", "trunk_output.block{s}.block{s}-{b-1}.f.se.fc1"),
            ("stage{s}_block{b}_se_expand", "trunk_output.block{s}.block{s}-{b-1}.f.se.fc2"),
            ("stage{s}_block{b}_last_conv", "trunk_output.block{s}.block{s}-{b-1}.f.c.0"),
            ("stage{s}_block{b}_last_norm", "trunk_output.block{s}.block{s}-{b-1}.f.c.1"),
            ("logits", "fc"),
        ),
        options={"padding": "symmetric", "batch_norm": {"epsilon": 1e-5}},
    ),
    "convnext": Table(
        (
            ("stem_conv", "features.0.0"),
            ("stem_norm", "features.0.1"),
            ("stage{s}_downsample_norm", "features.{2*s-2}.0"),
            ("stage{s}_downsample_conv", "features.{2*s-2}.1"),
            ("stage{s}_block{b}_depthwise", "features.{2*s-1}.{b-1}.block.0"),
            ("stage{s}_block{b}_norm", "features.{2*s-1}.{b-1}.block.2"),
            ("stage{s}_block{b}_expand", "features.{2*s-1}.{b-1}.block.3"),
            ("stage{s}_block{b}_project", "features.{2*s-1}.{b-1}.block.5"),
            ("stage{s}_block{b}_scale", "features.{2*s-1}.{b-1}.layer_scale"),
            ("pool", "classifier.0"),
            ("logits", "classifier.2"),
        )
    ),
    "swin": Table(
        (
            ("patch_embedding", "features.0.0"),
            ("stem_norm", "features.0.2"),
            ("stage{s}_downsample_norm", "features.{2*s-2}.norm"),
            ("stage{s}_downsample_linear", "features.{2*s-2}.reduction"),
            ("stage{s}_block{b}_norm1", "features.{2*s-1}.{b-1}.norm1"),
            ("stage{s}_block{b}_qkv", "features.{2*s-1}.{b-1}.attn.qkv"),
            ("stage{s}_block{b}_positions", "features.{2*s-1}.{b-1}.attn.relative_position_bias_table"),
            ("stage{s}_block{b}_attention_output", "features.{2*s-1}.{b-1}.attn.proj"),
            ("stage{s}_block{b}_norm2", "features.{2*s-1}.{b-1}.norm2"),
            ("stage{s}_block{b}_hidden", "features.{2*s-1}.{b-1}.mlp.0"),
            ("stage{s}_block{b}_project", "features.{2*s-1}.{b-1}.mlp.3"),
            ("norm", "norm"),
            ("logits", "head"),
        ),
        unused=(r".*\.attn\.relative_position_index",),
    ),
    "vit": Table(
        (
            ("patch_embedding", "conv_proj"),
            ("class_token", "class_token"),
            ("positions", "encoder.pos_embedding"),
            ("block{b}_norm1", "encoder.layers.encoder_layer_{b-1}.ln_1"),
            ("block{b}_attention/query", "encoder.layers.encoder_layer_{b-1}.self_attention.in_proj_[0/3]"),
            ("block{b}_attention/key", "encoder.layers.encoder_layer_{b-1}.self_attention.in_proj_[1/3]"),
            ("block{b}_attention/value", "encoder.layers.encoder_layer_{b-1}.self_attention.in_proj_[2/3]"),
            ("block{b}_attention/attention_output", "encoder.layers.encoder_layer_{b-1}.self_attention.out_proj"),
            ("block{b}_norm2", "encoder.layers.encoder_layer_{b-1}.ln_2"),
            (
                "block{b}_hidden",
                "encoder.layers.encoder_layer_{b-1}.mlp.0|encoder.layers.encoder_layer_{b-1}.mlp.linear_1",
            ),
            (
                "block{b}_project",
                "encoder.layers.encoder_layer_{b-1}.mlp.3|encoder.layers.encoder_layer_{b-1}.mlp.linear_2",
            ),
            ("norm", "encoder.ln"),
            ("logits", "heads.head"),
        )
    ),
}
