"""Runs keras-imagenet, or Python programs, in forks of a process that has imported what takes longer than most of them do.

A line on standard input is an order, as JSON: a program (its text, its file's path, or none for the command), arguments,
directory, and the files for its output. Each runs in a process of its own, with nothing but the imports behind it, and ends as
any program does; its exit code is the line that comes back.
"""

import json
import os
import runpy
import sys

# All of these are imported here so that no command has to.
import sklearn.datasets  # noqa: F401

import keras_imagenet.api
import keras_imagenet.data.augment.layer
import keras_imagenet.serving.export
import keras_imagenet.serving.predict
import keras_imagenet.training.callbacks
import keras_imagenet.training.fit  # noqa: F401
from keras_imagenet.cli import main as command


def main() -> None:
    """Answer until standard input ends."""
    for line in sys.stdin:
        order = json.loads(line)
        sys.stdout.flush()
        process = os.fork()
        if process == 0:
            run(**order)
        print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), flush=True)


def run(program: str | None, arguments: list[str], directory: str, output: str, errors: str) -> None:
    """Be the program."""
    os.chdir(directory)
    for descriptor, path in ((0, os.devnull), (1, output), (2, errors)):
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        os.dup2(file, descriptor)
        os.close(file)
    sys.argv = [program or "keras-imagenet", *arguments]
    if program is None:
        sys.exit(command())
    if os.path.isfile(program):
        runpy.run_path(program, run_name="__main__")
    else:
        exec(program, {"__name__": "__main__"})
    sys.exit()


if __name__ == "__main__":
    main()
