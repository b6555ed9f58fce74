"""Devices, strategy, precision, threads, seeds, and TensorFlow's noise: everything that must be set before it starts."""

import logging
import os
import platform
import re
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_imagenet import files
from keras_imagenet.cluster import Cluster
from keras_imagenet.errors import SettingsError
from keras_imagenet.settings import RuntimeSettings, Settings

if TYPE_CHECKING:
    import tensorflow as tf

SECONDS_OF_SILENCE = 16
"""After which a worker that gives no sign of life is taken for gone."""
# Environment variables that choose kernels, devices or threads, and with them the last bits of what is computed.
_ACTING = re.compile(
    r"TF_(?!CPP_|USE_LEGACY_KERAS$)|XLA_|ONEDNN_|DNNL_|CUDA_|CUDNN_|CUBLAS_|NVIDIA_TF32|OMP_|KMP_|MKL_"
)


def start(
    settings: RuntimeSettings,
    log_file: Path | None,
    *,
    debug: bool = False,
    trying: bool = True,
    cluster: Cluster | None = None,
) -> "tf.distribute.Strategy":
    """Start TensorFlow as the settings say, and return the strategy to build and train under.

    MultiWorkerMirroredStrategy with the other workers of a cluster, once all are there; else MirroredStrategy over all GPUs,
    or over `logical_cpus` where there is no GPU; the default strategy for one CPU.
    trying: whether `logical_cpus` are asked for here, so that GPUs are a mistake; else a run was tried so, and GPUs are
    taken. What TensorFlow prints while starting goes to `log_file` (nowhere if None) unless `debug`. Raises SettingsError where
    TensorFlow or Keras has been started otherwise in this process.
    """
    if not debug:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        _quiet_python()
    with quiet(None if debug else log_file or Path(os.devnull)):
        _import_keras()
        import keras
        import tensorflow as tf

        tf.get_logger().setLevel("DEBUG" if debug else "ERROR")
        devices = _devices(settings, trying)
        strategy = _joined(cluster, devices) if cluster else None  # Comes before anything is computed.
        if settings.deterministic:
            tf.config.experimental.enable_op_determinism()
        keras.utils.set_random_seed(settings.seed)
        keras.config.set_dtype_policy(settings.precision)
        mirrored = len(devices) > 1 or devices[0].startswith("GPU")
        strategy = strategy or (_mirrored(tuple(devices)) if mirrored else tf.distribute.get_strategy())
        tf.zeros([1]).numpy()
    return strategy


@cache
def _mirrored(devices: tuple[str, ...]) -> "tf.distribute.Strategy":
    """One strategy a process: two would number their collectives alike, and TensorFlow takes one's for the other's."""
    import tensorflow as tf

    return tf.distribute.MirroredStrategy(devices)


def _joined(cluster: Cluster, devices: list[str]) -> "tf.distribute.Strategy":
    """The strategy of all workers, once all are there. Raises WorkerLost where one does not come."""
    import tensorflow as tf
    from tensorflow.python.eager import context  # which alone sets how long the others are waited for

    service = context.coordination_config_pb2
    context.context().configure_coordination_service(
        service_type="standalone",
        service_leader="/job:worker/replica:0/task:0",
        cluster_register_timeout_in_ms=60_000,
        heartbeat_timeout_in_ms=1000 * SECONDS_OF_SILENCE,
        shutdown_barrier_timeout_in_ms=5000,
        coordinated_jobs=[service.CoordinatedJob(name="worker", num_tasks=len(cluster.addresses))],
    )
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec({"worker": cluster.addresses}),
        task_type="worker",
        task_id=cluster.index,
        num_accelerators={"GPU": len(devices)} if devices[0].startswith("GPU") else {},
        rpc_layer="grpc",
    )
    cluster.wait_for_all()  # TensorFlow would wait for ever, and listen to no signal meanwhile.
    strategy = tf.distribute.MultiWorkerMirroredStrategy(resolver)
    if threading.current_thread() is threading.main_thread():
        # TensorFlow has taken this signal for itself, without telling Python.
        signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGTERM))
    # Every worker's batches are as many as the others'; otherwise a collective a batch would ask whether they are.
    strategy.extended.experimental_enable_get_next_as_optional = False
    return strategy


@dataclass(frozen=True)
class Compiled:
    """Whether XLA compiles the training step, and why or why not, in words."""

    on: bool
    why: str


def compiled(settings: Settings, communicates: bool) -> Compiled:
    """What `runtime.xla` comes to. communicates: whether the network itself exchanges something between replicas.

    Raises SettingsError where it is asked for and cannot be.
    """
    import tensorflow as tf

    asked = settings.runtime.xla
    obstacle = "train.gradient_checkpointing" if settings.train.gradient_checkpointing else None
    obstacle = "synchronised batch norm on several replicas" if communicates else obstacle
    if asked is True and obstacle:
        raise SettingsError(f"runtime.xla = true: does not go together with {obstacle}; leave one of them out")
    if asked is not True and not tf.config.list_physical_devices("GPU"):
        return Compiled(False, "no XLA" if asked is False else "no XLA, which is for GPUs")
    if asked is False or obstacle:
        return Compiled(False, "no XLA, as asked" if asked is False else f"no XLA, because of {obstacle}")
    return Compiled(True, "XLA compiles the step")


def environment(strategy: "tf.distribute.Strategy", exact: str, workers: Sequence[str] = ()) -> dict[str, Any]:
    """Versions, devices, git revision, variables that act on numbers, and whether the run is exact ('exact', or why not)."""
    import tensorflow as tf

    packages = ("tensorflow", "keras", "keras-cv", "numpy", "keras-imagenet")
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": {package: _version(package) for package in packages},
        "devices": [device.name for device in tf.config.list_logical_devices()],
        "replicas": strategy.num_replicas_in_sync,
        "workers": list(workers),
        "processors": processors(),
        "exact": exact,
        "variables": {name: os.environ[name] for name in sorted(os.environ) if _ACTING.match(name)},
        "git_revision": _git_revision(),
        "command": sys.argv,
    }


@contextmanager
def quiet(destination: Path | None) -> Iterator[None]:
    """Send what is written to file descriptor 2, from C++ too, to a file's end, or nowhere if it cannot be written.

    None changes nothing.
    """
    if destination is None:
        yield
        return
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        # Neither a link nor a pipe under the file's name is opened.
        target = os.open(destination, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK, 0o644)
    except OSError:
        target = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(target, 2)
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)
        os.close(target)


def threads(settings: RuntimeSettings) -> int:
    """Threads that read and augment."""
    return settings.threads or processors()


def processors() -> int:
    """Processors that this process may use: by its affinity, and by its container's quota (cgroup v2)."""
    allowed = len(os.sched_getaffinity(0))
    with suppress(OSError, ValueError):
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        allowed = min(allowed, max(1, round(int(quota) / int(period))))  # "max" is no number: no quota
    return allowed


def _import_keras() -> None:
    """Import Keras on TensorFlow, with Keras' own defaults whatever keras.json and the environment say.

    Keras imports Matplotlib, which ends where MPLBACKEND names none of its backends.
    Raises SettingsError where Keras was imported before on another backend.
    """
    with _hidden("KERAS_", "MPLBACKEND"):
        # No file lies below a device, so that no keras.json is read, nor written.
        os.environ.update(KERAS_BACKEND="tensorflow", KERAS_HOME=os.devnull)
        import keras
        from keras.src.backend import config

    if config.keras_home() == os.devnull:
        config._KERAS_DIR = str(files.keras_home())  # where Keras downloads to, for whoever uses it besides
        with suppress(ImportError, KeyError, ValueError):
            import matplotlib

            matplotlib.rcParams["backend"] = os.environ["MPLBACKEND"]
    if keras.config.backend() != "tensorflow":
        raise SettingsError(
            f"Keras was started with the backend {keras.config.backend()} in this process, and networks here are "
            "TensorFlow's; use a new process with KERAS_BACKEND=tensorflow"
        )
    keras.config.set_image_data_format("channels_last")
    keras.config.set_floatx("float32")
    keras.config.set_epsilon(1e-7)


@contextmanager
def _hidden(*prefixes: str) -> Iterator[None]:
    """The environment without the variables whose names begin so; afterwards they are as they were."""
    kept = {name: os.environ.pop(name) for name in [*os.environ] if name.startswith(prefixes)}
    try:
        yield
    finally:
        for name in [*os.environ]:
            if name.startswith(prefixes):
                del os.environ[name]
        os.environ.update(kept)


def _devices(settings: RuntimeSettings, trying: bool) -> list[str]:
    """Configure logical devices, and name those to compute on."""
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    with suppress(RuntimeError):  # TensorFlow was used before in this process, and has taken its memory its own way.
        for gpu in gpus:
            tf.config.experimental.set_memory_growth(gpu, True)
    if settings.compute_threads and settings.compute_threads != tf.config.threading.get_intra_op_parallelism_threads():
        _before_start(
            lambda: tf.config.threading.set_intra_op_parallelism_threads(settings.compute_threads), "compute_threads"
        )
    if settings.logical_cpus and gpus and trying:
        raise SettingsError(
            f"runtime.logical_cpus = {settings.logical_cpus}: there are GPUs ({len(gpus)}); "
            "hide them with CUDA_VISIBLE_DEVICES= to try replicas on the CPU"
        )
    if settings.logical_cpus and not gpus:
        cpu = tf.config.list_physical_devices("CPU")[0]
        wanted = [tf.config.LogicalDeviceConfiguration()] * settings.logical_cpus
        if len(tf.config.get_logical_device_configuration(cpu) or [None]) != len(wanted):
            _before_start(lambda: tf.config.set_logical_device_configuration(cpu, wanted), "logical_cpus")
        return [f"CPU:{index}" for index in range(settings.logical_cpus)]
    return [f"GPU:{index}" for index in range(len(gpus))] or ["CPU:0"]


def _before_start(configure: Callable[[], None], setting: str) -> None:
    """Do what TensorFlow allows only before its first use in a process."""
    try:
        configure()
    except RuntimeError as error:
        raise SettingsError(
            f"runtime.{setting}: TensorFlow has already started otherwise in this process; use a new one"
        ) from error


def _quiet_python() -> None:
    """Python's own notices of TensorFlow, Keras and Matplotlib: only errors."""
    warnings.filterwarnings("ignore", module=r"(tensorflow|keras|keras_cv|tensorboard|google)\b.*")
    for name in ("tensorflow", "absl", "matplotlib"):
        logging.getLogger(name).setLevel(logging.ERROR)


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _git_revision() -> str | None:
    """Revision of the checkout the package lies in, with a + where it was changed; None elsewhere."""
    here = Path(__file__).resolve().parent.parent
    if not (here / ".git").exists():
        return None
    try:
        run = subprocess.run(
            ["git", "-C", here, "describe", "--always", "--dirty=+", "--abbrev=12", "--exclude=*"],
            capture_output=True,
            text=True,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return run.stdout.strip() or None
