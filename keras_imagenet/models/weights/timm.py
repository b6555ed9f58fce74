"""Names of timm's networks."""

from keras_imagenet.models.weights import classic
from keras_imagenet.models.weights.table import Table

_STEM = (("stem_conv", "conv_stem"), ("stem_norm", "bn1"))
_INVERTED = (
    # Blocks of the first stage do not expand: conv_pw projects there.
    ("stage1_block{b}_depthwise_conv", "blocks.0.{b-1}.conv_dw"),
    ("stage1_block{b}_depthwise_norm", "blocks.0.{b-1}.bn1"),
    ("stage1_block{b}_project_conv", "blocks.0.{b-1}.conv_pw"),
    ("stage1_block{b}_project_norm", "blocks.0.{b-1}.bn2"),
    ("stage{s}_block{b}_expand_conv", "blocks.{s-1}.{b-1}.conv_pw"),
    ("stage{s}_block{b}_expand_norm", "blocks.{s-1}.{b-1}.bn1"),
    ("stage{s}_block{b}_depthwise_conv", "blocks.{s-1}.{b-1}.conv_dw"),
    ("stage{s}_block{b}_depthwise_norm", "blocks.{s-1}.{b-1}.bn2"),
    ("stage{s}_block{b}_se_reduce", "blocks.{s-1}.{b-1}.se.conv_reduce"),
    ("stage{s}_block{b}_se_expand", "blocks.{s-1}.{b-1}.se.conv_expand"),
    ("stage{s}_block{b}_project_conv", "blocks.{s-1}.{b-1}.conv_pwl"),
    ("stage{s}_block{b}_project_norm", "blocks.{s-1}.{b-1}.bn3|blocks.{s-1}.{b-1}.bn2"),
)
_HEAD = (("head_conv", "conv_head"), ("head_norm", "bn2"), ("logits", "classifier"))
_TORCH = {"padding": "symmetric", "batch_norm": {"epsilon": 1e-5}}

TABLES = {
    **classic.TIMM,
    # Networks whose name begins with tf_ have TensorFlow's padding and epsilon: see `origins`.
    "efficientnet": Table((*_STEM, *_INVERTED, *_HEAD), options=_TORCH),
    "efficientnet_v2": Table(
        (
            *_STEM,
            ("stage{s}_block{b}_single_conv", "blocks.{s-1}.{b-1}.conv"),
            ("stage{s}_block{b}_single_norm", "blocks.{s-1}.{b-1}.bn1"),
            ("stage{s}_block{b}_fused_conv", "blocks.{s-1}.{b-1}.conv_exp"),
            ("stage{s}_block{b}_fused_norm", "blocks.{s-1}.{b-1}.bn1"),
            *_INVERTED[4:],
            *_HEAD,
        ),
        options={"padding": "same", "batch_norm": {"epsilon": 1e-3}},
    ),
    "mnasnet": Table((*_STEM, *_INVERTED, *_HEAD), options=_TORCH),
    "mobilenet_v2": Table((*_STEM, *_INVERTED, *_HEAD), options=_TORCH),
    "mobilenet_v3": Table(
        (
            *_STEM,
            *_INVERTED,
            ("last_conv", "blocks.{S}.0.conv"),
            ("last_norm", "blocks.{S}.0.bn1"),
            ("head", "conv_head"),
            ("logits", "classifier"),
        ),
        options=_TORCH,
    ),
    "mobilenet_v4": Table(
        (
            *_STEM,
            ("stage{s}_block{b}_conv", "blocks.{s-1}.{b-1}.conv"),
            ("stage{s}_block{b}_norm", "blocks.{s-1}.{b-1}.bn1"),
            ("stage{s}_block{b}_fused_conv", "blocks.{s-1}.{b-1}.conv_exp"),
            ("stage{s}_block{b}_fused_norm", "blocks.{s-1}.{b-1}.bn1"),
            ("stage{s}_block{b}_start_conv", "blocks.{s-1}.{b-1}.dw_start.conv"),
            ("stage{s}_block{b}_start_norm", "blocks.{s-1}.{b-1}.dw_start.bn"),
            ("stage{s}_block{b}_expand_conv", "blocks.{s-1}.{b-1}.pw_exp.conv"),
            ("stage{s}_block{b}_expand_norm", "blocks.{s-1}.{b-1}.pw_exp.bn"),
            ("stage{s}_block{b}_middle_conv", "blocks.{s-1}.{b-1}.dw_mid.conv"),
            ("stage{s}_block{b}_middle_norm", "blocks.{s-1}.{b-1}.dw_mid.bn"),
            ("stage{s}_block{b}_project_conv", "blocks.{s-1}.{b-1}.pw_proj.conv|blocks.{s-1}.{b-1}.conv_pwl"),
            ("stage{s}_block{b}_project_norm", "blocks.{s-1}.{b-1}.pw_proj.bn|blocks.{s-1}.{b-1}.bn2"),
            ("head_conv", "conv_head"),
            ("head_norm", "norm_head"),
            ("logits", "classifier"),
        ),
        options=_TORCH,
    ),
    "regnet": Table(
        (
            ("stem_conv", "stem.conv"),
            ("stem_norm", "stem.bn"),
            ("stage{s}_block{b}_shortcut_conv", "s{s}.b{b}.downsample.conv"),
            ("stage{s}_block{b}_shortcut_norm", "s{s}.b{b}.downsample.bn"),
            ("stage{s}_block{b}_first_conv", "s{s}.b{b}.conv1.conv"),
            ("stage{s}_block{b}_first_norm", "s{s}.b{b}.conv1.bn"),
            ("stage{s}_block{b}_grouped_conv", "s{s}.b{b}.conv2.conv"),
            ("stage{s}_block{b}_grouped_norm", "s{s}.b{b}.conv2.bn"),
            ("stage{s}_block{b}_se_reduce", "s{s}.b{b}.se.fc1"),
            ("stage{s}_block{b}_se_expand", "s{s}.b{b}.se.fc2"),
            ("stage{s}_block{b}_last_conv", "s{s}.b{b}.conv3.conv"),
            ("stage{s}_block{b}_last_norm", "s{s}.b{b}.conv3.bn"),
            ("logits", "head.fc"),
        ),
        options=_TORCH,
    ),
    "convnext": Table(
        (
            ("stem_conv", "stem.0"),
            ("stem_norm", "stem.1"),
            ("stage{s}_downsample_norm", "stages.{s-1}.downsample.0"),
            ("stage{s}_downsample_conv", "stages.{s-1}.downsample.1"),
            ("stage{s}_block{b}_depthwise", "stages.{s-1}.blocks.{b-1}.conv_dw"),
            ("stage{s}_block{b}_norm", "stages.{s-1}.blocks.{b-1}.norm"),
            ("stage{s}_block{b}_expand", "stages.{s-1}.blocks.{b-1}.mlp.fc1"),
            ("stage{s}_block{b}_project", "stages.{s-1}.blocks.{b-1}.mlp.fc2"),
            ("stage{s}_block{b}_scale", "stages.{s-1}.blocks.{b-1}.gamma"),
            ("pool", "head.norm"),
            ("logits", "head.fc"),
        )
    ),
    "vit": Table(
        (
            ("patch_embedding", "patch_embed.proj"),
            ("class_token", "cls_token"),
            ("distillation_token", "dist_token"),
            ("positions", "pos_embed"),
            ("block{b}_norm1", "blocks.{b-1}.norm1"),
            ("block{b}_attention/query", "blocks.{b-1}.attn.qkv[0/3]"),
            ("block{b}_attention/key", "blocks.{b-1}.attn.qkv[1/3]"),
            ("block{b}_attention/value", "blocks.{b-1}.attn.qkv[2/3]"),
            ("block{b}_attention/attention_output", "blocks.{b-1}.attn.proj"),
            ("block{b}_scale1", "blocks.{b-1}.ls1.gamma|blocks.{b-1}.gamma_1"),
            ("block{b}_norm2", "blocks.{b-1}.norm2"),
            ("block{b}_hidden", "blocks.{b-1}.mlp.fc1"),
            ("block{b}_project", "blocks.{b-1}.mlp.fc2"),
            ("block{b}_scale2", "blocks.{b-1}.ls2.gamma|blocks.{b-1}.gamma_2"),
            ("norm", "norm"),
            ("logits", "head"),
            ("logits_distilled", "head_dist"),
        )
    ),
    "mlp_mixer": Table(
        (
            ("patch_embedding", "stem.proj"),
            ("block{b}_norm{i}", "blocks.{b-1}.norm{i}"),
            ("block{b}_positions_hidden", "blocks.{b-1}.mlp_tokens.fc1"),
            ("block{b}_positions_project", "blocks.{b-1}.mlp_tokens.fc2"),
            ("block{b}_channels_hidden", "blocks.{b-1}.mlp_channels.fc1"),
            ("block{b}_channels_project", "blocks.{b-1}.mlp_channels.fc2"),
            ("norm", "norm"),
            ("logits", "head"),
        )
    ),
    "swin": Table(
        (
            ("patch_embedding", "patch_embed.proj"),
            ("stem_norm", "patch_embed.norm"),
            ("stage{s}_downsample_norm", "layers.{s-1}.downsample.norm"),
            ("stage{s}_downsample_linear", "layers.{s-1}.downsample.reduction"),
            ("stage{s}_block{b}_norm{i}", "layers.{s-1}.blocks.{b-1}.norm{i}"),
            ("stage{s}_block{b}_qkv", "layers.{s-1}.blocks.{b-1}.attn.qkv"),
            ("stage{s}_block{b}_positions", "layers.{s-1}.blocks.{b-1}.attn.relative_position_bias_table"),
            ("stage{s}_block{b}_attention_output", "layers.{s-1}.blocks.{b-1}.attn.proj"),
            ("stage{s}_block{b}_hidden", "layers.{s-1}.blocks.{b-1}.mlp.fc1"),
            ("stage{s}_block{b}_project", "layers.{s-1}.blocks.{b-1}.mlp.fc2"),
            ("norm", "norm"),
            ("logits", "head.fc"),
        ),
        # Published files may hold what follows from the size alone.
        unused=(r".*\.attn\.relative_position_index", r".*\.attn_mask"),
    ),
    "swin_v2": Table(
        (
            ("patch_embedding", "patch_embed.proj"),
            ("stem_norm", "patch_embed.norm"),
            ("stage{s}_downsample_norm", "layers.{s-1}.downsample.norm"),
            ("stage{s}_downsample_linear", "layers.{s-1}.downsample.reduction"),
            ("stage{s}_block{b}_norm{i}", "layers.{s-1}.blocks.{b-1}.norm{i}"),
            # Biases are tensors of their own, q_bias and v_bias.
            ("stage{s}_block{b}_query", "layers.{s-1}.blocks.{b-1}.attn.qkv[0/3]|layers.{s-1}.blocks.{b-1}.attn.q_"),
            ("stage{s}_block{b}_key", "layers.{s-1}.blocks.{b-1}.attn.qkv[1/3]"),
            ("stage{s}_block{b}_value", "layers.{s-1}.blocks.{b-1}.attn.qkv[2/3]|layers.{s-1}.blocks.{b-1}.attn.v_"),
            ("stage{s}_block{b}_scale", "layers.{s-1}.blocks.{b-1}.attn.logit_scale"),
            ("stage{s}_block{b}_distance_hidden", "layers.{s-1}.blocks.{b-1}.attn.cpb_mlp.0"),
            ("stage{s}_block{b}_distance_scores", "layers.{s-1}.blocks.{b-1}.attn.cpb_mlp.2"),
            ("stage{s}_block{b}_attention_output", "layers.{s-1}.blocks.{b-1}.attn.proj"),
            ("stage{s}_block{b}_hidden", "layers.{s-1}.blocks.{b-1}.mlp.fc1"),
            ("stage{s}_block{b}_project", "layers.{s-1}.blocks.{b-1}.mlp.fc2"),
            ("norm", "norm"),
            ("logits", "head.fc"),
        ),
        unused=(r".*\.attn\.relative_(position_index|coords_table)", r".*\.attn_mask"),
    ),
}
