"""Write tests/golden/policies.npz: torchvision's operations of AutoAugment and AugMix, its colour changes and its blur.

    python tools/make_policy_golden.py

needs torch and torchvision (made with torch 2.13, torchvision 0.28, Pillow 11.3). The image is the one in augment.npz, a
small photo. Keys: sub_policies, the ImageNet policy as 25 pairs of words; auto_augment/OPERATION/BIN/SIGN for each of its
operations and strengths, in Pillow's arithmetic; augmix/OPERATION/BIN/SIGN with BIN of 10; color/PROPERTY/FACTOR, Pillow's
but for the hue, which is the tensor's (Pillow's HSV has 8 bits); blur/SIGMA with a kernel of 13 taps.
"""

import contextlib
from pathlib import Path

import numpy as np
from PIL import Image

with contextlib.suppress(ImportError):
    import torchvision_cpu_ops  # noqa: F401  lets a CUDA build of torchvision load beside a CPU build of torch
import torch
from torchvision.transforms import InterpolationMode, autoaugment, functional

GOLDEN = Path(__file__).resolve().parent.parent / "tests" / "golden"
LEVELS = (3, 9)
"""AugMix' strengths of ten; at others a sheared border falls exactly on pixels' centres, and rounding decides."""
OURS = {"Color": "saturation", "AutoContrast": "auto_contrast"}
OURS |= {f"{kind}{axis}": f"{kind.lower()}_{axis.lower()}" for kind in ("Shear", "Translate") for axis in "XY"}


def main() -> None:
    """Make the file."""
    with np.load(GOLDEN / "augment.npz") as file:
        image = Image.fromarray(file["image"])
    words = [
        [f"{OURS.get(name, name.lower())} {chance} {level or 0}" for name, chance, level in pair]
        for pair in autoaugment.AutoAugment().policies
    ]
    results = {"sub_policies": np.array(words)}
    side = image.size[0]
    policy = autoaugment.AutoAugment()
    used = {(name, level or 0) for pair in policy.policies for name, _, level in pair}
    spaces = {
        "auto_augment": (policy._augmentation_space(10, (side, side)), used),
        "augmix": (autoaugment.AugMix()._augmentation_space(10, (side, side)), None),
    }
    for kind, (space, wanted) in spaces.items():
        for theirs, level in sorted(wanted or {(name, level) for name in space for level in LEVELS}):
            magnitudes, signed = space[theirs]
            for sign in "+-" if signed else "+":
                magnitude = float(magnitudes[level]) if magnitudes.ndim else 0.0
                magnitude = -magnitude if sign == "-" else magnitude
                changed = autoaugment._apply_op(image, theirs, magnitude, InterpolationMode.BILINEAR, [0, 0, 0])
                results[f"{kind}/{OURS.get(theirs, theirs.lower())}/{level}/{sign}"] = np.asarray(changed)
    tensor = torch.from_numpy(np.array(image)).permute(2, 0, 1)
    for factor in (0.4, 0.8, 1.3, 1.8):
        for name in ("brightness", "contrast", "saturation"):
            results[f"color/{name}/{factor}"] = np.asarray(getattr(functional, f"adjust_{name}")(image, factor))
    for shift in (-0.5, -0.2, -0.05, 0.1, 0.4):
        results[f"color/hue/{shift}"] = functional.adjust_hue(tensor, shift).permute(1, 2, 0).numpy()
    for sigma in (0.1, 0.5, 1.0, 2.0):
        results[f"blur/{sigma}"] = functional.gaussian_blur(tensor, [13, 13], [sigma, sigma]).permute(1, 2, 0).numpy()
    np.savez_compressed(GOLDEN / "policies.npz", **results)
    print(len(results), "arrays", (GOLDEN / "policies.npz").stat().st_size, "bytes")


if __name__ == "__main__":
    main()
