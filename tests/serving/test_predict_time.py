"""How long one photo takes, against what nobody can leave out: importing TensorFlow and loading the network."""

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import sys, time
from keras_imagenet import api, run_folder, runtime
from keras_imagenet.models import saved
from keras_imagenet.settings import RuntimeSettings

runtime.start(RuntimeSettings(), None)
folder = run_folder.opened(sys.argv[1])
saved.load(folder.model_file, folder.preset.evaluation.input_shape)
started = time.process_time()
api.predict(sys.argv[1], [sys.argv[2]])
print(started, time.process_time())
"""


def test_one_photo_takes_at_most_half_again_of_the_start(command, digits_run: Path) -> None:
    """Processor time, which other programs do not lengthen; the first call on a machine compiles, too."""
    photo = digits_run / "example.png"
    assert command("predict", digits_run, photo).returncode == 0
    done = subprocess.run([sys.executable, "-c", PROGRAM, digits_run, photo], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    start, whole = map(float, done.stdout.splitlines()[-1].split())
    assert whole < 1.5 * start, done.stdout
