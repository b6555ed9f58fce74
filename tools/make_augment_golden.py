"""Write tests/golden/augment.npz: what timm's and torchvision's operations make of a small photo.

    python tools/make_augment_golden.py PHOTO

needs torch, torchvision and timm (made with torch 2.13, torchvision 0.28, timm 1.0.31, Pillow 11.3). A result is stored as
KIND/OPERATION/LEVEL/SIGN with KIND timm, timm_increasing, rand_augment or trivial_augment, LEVEL in 0..1 and SIGN + or -.
"""

import contextlib
import sys
from pathlib import Path

import numpy as np
from PIL import Image

with contextlib.suppress(ImportError):
    import torchvision_cpu_ops  # noqa: F401  lets a CUDA build of torchvision load beside a CPU build of torch
from timm.data import auto_augment as timm_augment
from torchvision.transforms import InterpolationMode, autoaugment

SIZE = 24
LEVELS = (0.3, 1.0)
FILL = (124, 116, 104)
TIMM = {
    "auto_contrast": "AutoContrast",
    "equalize": "Equalize",
    "invert": "Invert",
    "rotate": "Rotate",
    "posterize": "Posterize",
    "solarize": "Solarize",
    "solarize_add": "SolarizeAdd",
    "saturation": "Color",
    "contrast": "Contrast",
    "brightness": "Brightness",
    "sharpness": "Sharpness",
    "shear_x": "ShearX",
    "shear_y": "ShearY",
    "translate_x": "TranslateXRel",
    "translate_y": "TranslateYRel",
}
INCREASING = {"posterize", "solarize", "saturation", "contrast", "brightness", "sharpness"}
TORCHVISION = {
    "shear_x": "ShearX",
    "shear_y": "ShearY",
    "translate_x": "TranslateX",
    "translate_y": "TranslateY",
    "rotate": "Rotate",
    "brightness": "Brightness",
    "saturation": "Color",
    "contrast": "Contrast",
    "sharpness": "Sharpness",
    "posterize": "Posterize",
    "solarize": "Solarize",
    "auto_contrast": "AutoContrast",
    "equalize": "Equalize",
}


def main(photo: str) -> None:
    """Make the file from one photo."""
    whole = Image.open(photo).convert("RGB")
    side = min(whole.size)
    image = whole.crop((0, 0, side, side)).resize((SIZE, SIZE), Image.BICUBIC)
    results = {"image": np.asarray(image)}
    for name, theirs in TIMM.items():
        for level in LEVELS:
            for sign in "+-":
                results[f"timm/{name}/{level}/{sign}"] = timm_result(image, theirs, level, sign)
                if name in INCREASING:
                    results[f"timm_increasing/{name}/{level}/{sign}"] = timm_result(
                        image, theirs + "Increasing", level, sign
                    )
    spaces = {
        "rand_augment": autoaugment.RandAugment()._augmentation_space(31, (SIZE, SIZE)),
        "trivial_augment": autoaugment.TrivialAugmentWide()._augmentation_space(31),
    }
    for kind, space in spaces.items():
        for name, theirs in TORCHVISION.items():
            magnitudes, signed = space[theirs]
            for level in LEVELS:
                for sign in "+-" if signed else "+":
                    magnitude = float(magnitudes[round(30 * level)]) if magnitudes.ndim else 0.0
                    magnitude = -magnitude if sign == "-" else magnitude
                    changed = autoaugment._apply_op(image, theirs, magnitude, InterpolationMode.BILINEAR, [0, 0, 0])
                    results[f"{kind}/{name}/{level}/{sign}"] = np.asarray(changed)
    unique = {}
    results = {
        key: value for key, value in results.items() if key == "image" or unique.setdefault(value.tobytes(), key) == key
    }
    target = Path(__file__).resolve().parent.parent / "tests" / "golden" / "augment.npz"
    np.savez_compressed(target, **results)
    print(target, len(results), "arrays", target.stat().st_size, "bytes")


def timm_result(image: Image.Image, operation: str, level: float, sign: str) -> np.ndarray:
    """timm's operation at a level of 10, with its sign fixed."""
    timm_augment.random.random = lambda: 0.9 if sign == "-" else 0.1
    arguments = timm_augment.LEVEL_TO_ARG[operation]
    arguments = arguments(10 * level, {}) if arguments else ()
    keywords = {"fillcolor": FILL, "resample": Image.BILINEAR}
    return np.asarray(timm_augment.NAME_TO_OP[operation](image, *arguments, **keywords))


if __name__ == "__main__":
    main(*sys.argv[1:])
