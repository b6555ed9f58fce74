"""Vision transformers, Swin and MLP-Mixer in torchvision's and timm's own code, but tiny: for tools/make_weight_goldens.py."""

from __future__ import annotations

from plain_vit import PlainViT
from timm.models import deit as timm_deit
from timm.models import mlp_mixer as timm_mlp_mixer
from timm.models import swin_transformer as timm_swin
from timm.models import swin_transformer_v2 as timm_swin_v2
from timm.models import vision_transformer as timm_vit
from torch import nn
from torchvision.models import swin_transformer, vision_transformer


def tiny_transformers(classes: int) -> dict[str, nn.Module]:
    """By ORIGIN_FAMILY."""
    return {
        "torchvision_vit": vision_transformer.VisionTransformer(32, 16, 2, 2, 8, 32, num_classes=classes),
        "timm_vit": timm_vit.VisionTransformer(
            32, 16, num_classes=classes, embed_dim=8, depth=2, num_heads=2, dynamic_img_size=True
        ),
        "timm_vit_scaled": timm_vit.VisionTransformer(
            32, 16, num_classes=classes, embed_dim=8, depth=1, num_heads=2, init_values=0.1, dynamic_img_size=True
        ),
        "timm_vit_distilled": timm_deit.VisionTransformerDistilled(
            32, 16, num_classes=classes, embed_dim=8, depth=1, num_heads=2, dynamic_img_size=True
        ),
        "timm_deit3": timm_vit.VisionTransformer(
            32,
            16,
            num_classes=classes,
            embed_dim=8,
            depth=1,
            num_heads=2,
            init_values=0.1,
            no_embed_class=True,
            dynamic_img_size=True,
        ),
        "timm_mlp_mixer": timm_mlp_mixer.MlpMixer(classes, 32, patch_size=16, num_blocks=2, embed_dim=8),
        "torchvision_swin": swin_transformer.SwinTransformer([4, 4], 8, [2, 2], [2, 4], [4, 4], num_classes=classes),
        "timm_swin": timm_swin.SwinTransformer(
            64,
            4,
            num_classes=classes,
            embed_dim=8,
            depths=(2, 2),
            num_heads=(2, 4),
            window_size=4,
            dynamic_img_size=True,
        ),
        "torchvision_swin_v2": swin_transformer.SwinTransformer(
            [4, 4],
            8,
            [2, 2],
            [2, 4],
            [4, 4],
            num_classes=classes,
            block=swin_transformer.SwinTransformerBlockV2,
            downsample_layer=swin_transformer.PatchMergingV2,
        ),
        "timm_swin_v2": timm_swin_v2.SwinTransformerV2(
            64, 4, num_classes=classes, embed_dim=8, depths=(2, 2), num_heads=(2, 4), window_size=4
        ),
        "plain_vit": PlainViT(8, 2, 2, 3, classes),
    }
