"""Write tests/golden/training.npz: weights after 20 steps (3 with batch norm) on digits, by the step of revision 7bfc267.

    git worktree add ../before 7bfc267
    PYTHONPATH=$(realpath ../before) python tools/make_training_golden.py

That revision left the update to Keras' own optimizers, and clipped and summed nothing by itself on one device: an
implementation independent of training/step.py and training/optimizers.py. Made with TensorFlow 2.21 and Keras 3.15.1,
float32 on a CPU with AVX-512. Of each weight's values every k-th is kept, some hundred of each, with the largest.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

GOLDEN = Path(__file__).resolve().parent.parent / "tests" / "golden" / "training.npz"
KEPT = 100
SHORT = ["--train.steps", "20", "--schedule.warmup_epochs", "0", "--runtime.compute_threads", "1"]
RUNS = {
    "sgd": ["--optimizer.name", "sgd", "--optimizer.weight_decay", "0.001", "--optimizer.learning_rate", "0.02"],
    "nesterov": ["--optimizer.name", "sgd", "--optimizer.nesterov", "true", "--train.clip_norm", "0.5"],
    "adamw": ["--optimizer.name", "adamw", "--optimizer.weight_decay", "0.05", "--optimizer.epsilon", "0.001"],
    "bfloat16": ["--optimizer.name", "sgd", "--optimizer.learning_rate", "0.02", "--runtime.precision", "mixed_bfloat16"],
    "norms": ["--model.name", "cifar_net", "--data.size", "16", "--optimizer.name", "sgd",
              "--optimizer.learning_rate", "0.0005", "--optimizer.weight_decay", "0.001", "--train.steps", "3"],
}  # fmt: skip
"""Flags of each run beside SHORT, over the default recipe. The optimizer's name comes first: naming it anew forgets the
recipe's other fields."""


def sampled(folder: Path) -> list[np.ndarray]:
    """Some values of every variable of a run's network, the largest in magnitude last."""
    import keras

    found = []
    for variable in keras.saving.load_model(folder / "model.keras").weights:
        values = variable.numpy().ravel()
        found.append(np.append(values[:: -(-len(values) // KEPT)], np.abs(values).max()))
    return found


def main() -> None:
    """Train and write."""
    content = {}
    for name, flags in RUNS.items():
        with tempfile.TemporaryDirectory() as folder:
            words = ["-m", "keras_imagenet", "fit", *SHORT, *flags, "--runtime.run_folder", f"{folder}/run"]
            subprocess.run([sys.executable, *words], check=True, cwd=folder)
            content |= {f"{name}/{index}": value for index, value in enumerate(sampled(Path(folder) / "run"))}
    np.savez_compressed(GOLDEN, **content)


if __name__ == "__main__":
    main()
