"""Write tests/golden/crop_draws.npz: how often torchvision's RandomResizedCrop draws what.

    python tools/make_crop_golden.py

needs torch and torchvision (made with torch 2.13, torchvision 0.28). For an ordinary and a very wide image, 100,000 boxes of
scale 0.08-1 and ratio 3/4-4/3 each: counts over bins of the area's share, of ln(width / height), of the corner's place in
its room along each axis, and how many are exactly the centre crop that ten misses end in. Keys: HEIGHTxWIDTH/QUANTITY.
"""

import contextlib
from pathlib import Path

import numpy as np

with contextlib.suppress(ImportError):
    import torchvision_cpu_ops  # noqa: F401  lets a CUDA build of torchvision load beside a CPU build of torch
import torch
from torchvision.transforms import RandomResizedCrop

GOLDEN = Path(__file__).resolve().parent.parent / "tests" / "golden" / "crop_draws.npz"
SIZES = ((375, 500), (90, 400))
COUNT = 100_000


def main() -> None:
    """Make the file."""
    torch.manual_seed(0)
    results = {}
    for height, width in SIZES:
        image = torch.empty(3, height, width)
        boxes = np.array([RandomResizedCrop.get_params(image, (0.08, 1.0), (3 / 4, 4 / 3)) for _ in range(COUNT)])
        top, left, rows, columns = boxes.T
        quantities = {
            "area": (rows * columns / (height * width), np.linspace(0.08, 1, 11)),
            "ratio": (np.log(columns / rows), np.log(4 / 3) * np.linspace(-1, 1, 11)),
            "top": ((top + 0.5) / (height - rows + 1), np.linspace(0, 1, 11)),
            "left": ((left + 0.5) / (width - columns + 1), np.linspace(0, 1, 11)),
        }
        for name, (values, edges) in quantities.items():
            # Whole pixels carry a few values across the outer edges.
            clipped = np.clip(values, edges[0] + 1e-9, edges[-1] - 1e-9)
            results[f"{height}x{width}/{name}"] = np.histogram(clipped, edges)[0]
        whole = np.array([height, min(width, round(height * 4 / 3))])
        centre = [(height - whole[0]) // 2, (width - whole[1]) // 2, *whole]
        results[f"{height}x{width}/centre"] = (boxes == centre).all(axis=1).sum()
    np.savez_compressed(GOLDEN, **results)
    print(len(results), "arrays", GOLDEN.stat().st_size, "bytes", {k: v for k, v in results.items() if "centre" in k})


if __name__ == "__main__":
    main()
