"""Sows faults into a module, one at a time; which of them do the tests beside it let pass?

cosmic-ray (`pip install cosmic-ray`; written for 8.7) makes the faults and keeps the results. It would start a Python, which
imports TensorFlow, for each; here each is a fork of one process that has, in a copy of the project. So many faults, drawn at
random, and then what passed:

    python tools/mutate.py faults.sqlite 40 keras_imagenet/files.py tests/test_files.py
    cr-report --surviving-only --show-diff faults.sqlite

Called again, it runs those that had passed, or had not run, with the tests of now. What follows the module is pytest's.
"""

import ast
import importlib.util
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

import hypothesis.strategies  # noqa: F401  what is not used here is imported so that no fork has to
import keras  # noqa: F401
import numba  # noqa: F401
import pytest
import tensorflow  # noqa: F401
from cosmic_ray import mutating
from cosmic_ray.commands import init
from cosmic_ray.work_db import use_db
from cosmic_ray.work_item import TestOutcome, WorkItem

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """Sow and run."""
    results, count, module, *tests = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder, use_db(Path(results).resolve()) as store:
        os.chdir(shutil.copytree(ROOT, f"{folder}/project", ignore=shutil.ignore_patterns(".git", ".venv")))
        os.environ["PYTHONPATH"] = sys.path[0] = os.getcwd()
        if not store.num_work_items:
            init([Path(module)], store, {})
            sown = [item for item in store.work_items if acts(item, ast.parse(Path(module).read_text()))]
            store.clear()
            store.add_work_items(random.Random(0).sample(sown, min(int(count), len(sown))))
        compiled, started = Path(importlib.util.cache_from_source(module)), time.monotonic()
        outcome, said = run(tests, 600)
        if outcome is TestOutcome.KILLED:
            sys.exit(f"the tests fail without a fault:\n{said}")
        limit = max(20, 3 * (time.monotonic() - started))
        mutating.run_tests = run
        killed = {job for job, result in store.results if result.test_outcome is TestOutcome.KILLED}
        for item in store.work_items:
            if item.job_id not in killed:
                compiled.unlink(missing_ok=True)
                store.set_result(item.job_id, mutating.mutate_and_test(item.mutations, tests, limit))
        compiled.unlink(missing_ok=True)


def acts(item: WorkItem, tree: ast.Module) -> bool:
    """Whether a fault can do anything: it does not lie in an annotation, nor make a zip less strict."""
    place = tuple(item.mutations[0].start_pos)
    idle = [getattr(node, name, None) for node in ast.walk(tree) for name in ("annotation", "returns")]
    idle += [node.value for node in ast.walk(tree) if isinstance(node, ast.keyword) and node.arg == "strict"]
    return not any((n.lineno, n.col_offset) <= place < (n.end_lineno, n.end_col_offset) for n in idle if n)


def run(tests: list[str], limit: float) -> tuple[TestOutcome, str]:
    """What pytest says within the limit in seconds; nothing that it started stays."""
    with tempfile.TemporaryFile() as output:
        process = os.fork()
        if process == 0:
            os.setsid()
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
            code = pytest.main(["-x", "-q", "-p", "no:cacheprovider", "--assert=plain", *tests])
            sys.stdout.flush()
            os._exit(code)
        end, done = time.monotonic() + limit, False
        while not done and time.monotonic() < end:
            time.sleep(0.05)
            done = os.waitid(os.P_PID, process, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        os.killpg(process, signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        output.seek(0)
        said = output.read().decode(errors="replace")
        return TestOutcome.SURVIVED if code == 0 else TestOutcome.KILLED, said


if __name__ == "__main__":
    main()
