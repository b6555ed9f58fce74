"""Where and how a run computes; nothing here but the seed and the precision changes what it computes."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from keras_imagenet.settings.group import Group, Place, Threads

Address = Annotated[str, Field(pattern=r"^\S+:\d+$")]
Addresses = Annotated[
    tuple[Address, ...], BeforeValidator(lambda value: tuple(value.split(",")) if isinstance(value, str) else value)
]


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
    workers: Addresses | None = None
    """HOST:PORT of every process that trains with this one, as host1:port,host2:port; else TF_CONFIG's or Slurm's, or none."""
    worker_index: Annotated[int, Field(ge=0)] | None = None
    """Which of the workers this process is, from 0; worker 0 alone writes the run's files."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """Seed of everything that is drawn: weights, order, augmentation, dropout."""
    run_folder: Place | None = None
    """Where the run is kept, and found again to go on; runs/RECIPE-DATE-TIME if not given."""

    @model_validator(mode="after")
    def _one_of_the_workers(self):
        if (self.workers is None) != (self.worker_index is None):
            raise ValueError("workers and worker_index go together: give both, or neither")
        if self.workers is None:
            return self
        if len({*self.workers}) < len(self.workers):
            raise ValueError(f"workers = {','.join(self.workers)}: names one address twice")
        if self.worker_index >= len(self.workers):
            raise ValueError(
                f"worker_index = {self.worker_index}: must be below the number of workers ({len(self.workers)})"
            )
        return self
