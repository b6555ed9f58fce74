"""Where and how a run computes; nothing here but the seed and the precision changes what it computes."""

from typing import Annotated, Literal

from pydantic import Field

from keras_imagenet.settings.group import Group, Place, Threads


class RuntimeSettings(Group):
    """Devices, precision, threads, seed and the run folder."""

    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"
    """Number format of the network's arithmetic; weights and logits stay float32."""
    xla: Literal["auto"] | bool = "auto"
    """Whether XLA compiles the training step; auto does so on GPUs wherever it can be."""
    deterministic: bool = False
    """Whether TensorFlow picks kernels that give the same bits each time; needed on GPUs only, and slower there."""
    threads: Threads | None = None
    """Threads that read and augment images; as many as there are processors if not given. It changes no batch."""
    compute_threads: Threads | None = None
    """Threads of one operation on a CPU; TensorFlow's choice if not given. It changes results by rounding."""
    logical_cpus: Annotated[int, Field(gt=0, le=256)] | None = None
    """Replicas to run on the CPU, where there is no GPU: to try what several devices do."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """Seed of everything that is drawn: weights, order, augmentation, dropout."""
    run_folder: Place | None = None
    """Where the run is kept, and found again to go on; runs/RECIPE-DATE-TIME if not given."""
