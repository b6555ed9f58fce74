"""Prepares the settings in a JSON file again and again, each time killed with SIGKILL at random, until it is let finish.

Run by test_prepare.py in a process of its own: it loads TensorFlow once, and each preparation is a fork that starts its
own threads. Arguments: settings file, number of kills, most shards that are finished between two kills. Prints how many
shards were finished at each kill.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import tensorflow  # noqa: F401  so that forks need not load it
import tensorflow_datasets as tfds

from keras_imagenet.data.prepare import prepare
from keras_imagenet.settings.prepare import PrepareSettings


def begin(settings: PrepareSettings) -> int:
    """A fork that prepares; its process number."""
    process = os.fork()
    if process == 0:
        code = 1
        try:
            prepare(settings, report=lambda line: None)
            code = 0
        except Exception as error:
            print(repr(error), file=sys.stderr, flush=True)
        finally:
            os._exit(code)
    return process


def shards(settings: PrepareSettings) -> int:
    """How many shards are finished."""
    return len(list((settings.output / ".journal").glob("*.npz")))


def main(file: str, kills: str, advance: str) -> None:
    tfds.core.SplitInfo  # noqa: B018  loads the lazy module
    settings = PrepareSettings.model_validate(json.loads(Path(file).read_text()))
    chance = random.Random(0)
    for _ in range(int(kills)):
        process = begin(settings)
        goal = shards(settings) + chance.randint(1, int(advance))
        ended = 0
        while shards(settings) < goal and not ended:
            ended, status = os.waitpid(process, os.WNOHANG)
            time.sleep(0.002)
        if ended:
            sys.exit(f"ended with status {status} before it was killed")
        time.sleep(chance.uniform(0, 0.05))
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        print(shards(settings), flush=True)
    _, status = os.waitpid(begin(settings), 0)
    sys.exit(os.waitstatus_to_exitcode(status))


main(*sys.argv[1:])
