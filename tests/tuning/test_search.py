"""`tune` trains trial after trial, leaves what they came to, and goes on to the same ones wherever it was interrupted."""

import csv
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from configparser import ConfigParser
from itertools import count
from pathlib import Path

import pytest

from keras_imagenet.cli import main
from keras_imagenet.errors import SettingsError
from keras_imagenet.recipes import load
from keras_imagenet.tuning import search
from keras_imagenet.tuning.space import read

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = load("digits/simple_cnn")
SPACE = read(
    {"optimizer.learning_rate": "log:1e-4:1", "model.dropout": "0:0.9", "augment.rotation": ["0", "10"]}, SETTINGS
)
SHORT = ["--train.epochs", "1", "--train.batch_size", "256", "--schedule.warmup_epochs", "0"]


def test_without_its_extra_one_line_says_what_to_install(tmp_path: Path) -> None:
    program = """
import sys
sys.modules["optuna"] = None  # as where it is not installed
from keras_imagenet.cli import main
code = main(["tune", "--over", "model.dropout=0:0.5", "--output", "search"])
assert "tensorflow" not in sys.modules
sys.exit(code)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path)
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    optuna = setup["options.extras_require"]["tune"].strip()
    wanted = f"keras-imagenet: tune: trials are chosen with Optuna; pip install '{optuna}' brings it\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", wanted)
    assert not list(tmp_path.iterdir())


@pytest.fixture
def optuna():
    return pytest.importorskip("optuna", reason="needs Optuna: pip install -e '.[test]'")


def chosen(folder: Path, again: Iterator[bool]) -> list[dict]:
    """The settings of fourteen trials, whose results are made up; opened anew, and left half chosen, where `again` says so."""
    folder.mkdir()
    study, found = search.opened(folder, SETTINGS, SPACE, "digits", prune=False), []
    for number in range(14):
        if next(again):
            search.trial(study, number, dict(list(SPACE.items())[:2]), seed=0)
            study = search.opened(folder, SETTINGS, SPACE, "digits", prune=False)
        asked, values = search.trial(study, number, SPACE, seed=0)
        study.tell(asked, 1 - abs(values["model.dropout"] - 0.3))
        found.append(values)
    return found


def test_interruptions_change_no_trial(optuna, tmp_path: Path) -> None:
    """Also after the tenth, from which on those before say what comes next."""
    undisturbed = chosen(tmp_path / "one", (False for _ in count()))
    assert chosen(tmp_path / "other", (number % 2 == 0 for number in count())) == undisturbed
    assert len({values["model.dropout"] for values in undisturbed}) == 14


def test_a_folder_holds_one_search(optuna, tmp_path: Path) -> None:
    search.opened(tmp_path, SETTINGS, SPACE, "digits", prune=False)
    search.opened(tmp_path, load("digits/simple_cnn", {"train.summary_steps": 7}), SPACE, "digits", prune=False)
    for settings, space, data, prune, wanted in (
        (load("digits/simple_cnn", {"train.epochs": 3}), SPACE, "digits", False, "train.epochs"),
        (SETTINGS, dict(list(SPACE.items())[:1]), "digits", False, "--over"),
        (SETTINGS, SPACE, "digits", True, "--prune"),
        (SETTINGS, SPACE, "others", False, "data"),
    ):
        with pytest.raises(SettingsError, match=rf"holds a search of other settings \({wanted}\)"):
            search.opened(tmp_path, settings, space, data, prune=prune)


def rows(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "tune.csv").open(encoding="utf-8")))


@pytest.mark.slow
def test_a_search_leaves_a_table_a_recipe_and_runs(optuna, command, tmp_path: Path) -> None:
    """One of its trials fails, and it goes on; the same command again trains nothing."""
    words = ["tune", *SHORT, "--optimizer.name", "sgd", "--over", "optimizer.learning_rate=0.01,1e30", "--trials", "3"]
    done = command(*words, "--output", "search", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    folder, content = tmp_path / "search", json.loads(done.stdout)
    table = rows(folder)
    assert [row["trial"] for row in table] == ["trial_000", "trial_001", "trial_002"]
    assert {row["state"] for row in table} == {"finished", "failed"}
    for row in table:
        failed = row["optimizer.learning_rate"] == "1e30"
        assert (row["state"] == "failed") == failed
        assert (row["top1"] == "", row["epochs"]) == (failed, "0" if failed else "1")
        assert ("no longer finite" in row["reason"] or "the loss became" in row["reason"]) == failed
    best = content["best"]["trial"]
    assert best == next(row["trial"] for row in table if row["state"] == "finished")
    metrics = json.loads((folder / best / "metrics.json").read_text())
    assert content["best"]["top1"] == metrics["top1"]
    assert load(str(folder / "best.yaml")).optimizer.learning_rate == 0.01
    before = contents(folder)
    again = command(*words, "--output", "search", "--json", cwd=tmp_path)
    assert json.loads(again.stdout) == content
    assert contents(folder) == before
    dashboard(folder)


def contents(folder: Path) -> dict[Path, bytes]:
    """Of all files but Optuna's, which notes that it was opened."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != search.JOURNAL}


def dashboard(folder: Path) -> None:
    """TensorBoard's HParams dashboard has a session a trial, whose metric is the run's own curve."""
    from tensorboard.backend.event_processing import data_provider, plugin_event_multiplexer
    from tensorboard.context import RequestContext
    from tensorboard.plugins.base_plugin import TBContext
    from tensorboard.plugins.hparams import api_pb2, backend_context, get_experiment, list_session_groups

    multiplexer = plugin_event_multiplexer.EventMultiplexer().AddRunsFromDirectory(str(folder)).Reload()
    provider = data_provider.MultiplexerDataProvider(multiplexer, str(folder))
    context, asking = backend_context.Context(TBContext(data_provider=provider)), RequestContext()
    experiment = get_experiment.Handler(asking, context, "", api_pb2.GetExperimentRequest()).run()
    request = api_pb2.ListSessionGroupsRequest(
        start_index=0,
        slice_size=10,
        allowed_statuses=[api_pb2.STATUS_UNKNOWN],
        col_params=[{"metric": {"group": "validation", "tag": "top1"}}],
    )
    groups = list_session_groups.Handler(asking, context, "", request).run().session_groups
    assert [info.name for info in experiment.hparam_infos] == ["optimizer.learning_rate"]
    assert sorted(group.name for group in groups) == ["trial_000", "trial_001", "trial_002"]
    for group in groups:
        rate = group.hparams["optimizer.learning_rate"].string_value
        assert len(group.metric_values) == (rate == "0.01")


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ([], "tune: needs something to vary"),
        (["--over", "model.dropout=0:0.5", "--trials", "0"], "--trials 0: must be at least 1"),
        (["--over", "model.dropout=0:0.5", "--train.time_limit", "1"], "tune: train.time_limit would leave trials unfinished"),
        (["--over", "model.dropout=0:0.5", "--runtime.run_folder", "x"], "tune: each trial has a run folder of its own"),
        (["--over", "model.dropout=0:0.5", "--runtime.workers", "a:1,b:2", "--runtime.worker_index", "0"], "by one process"),
        (["--over", "model.name=simple_cnn,simple_cnm"], "did you mean simple_cnn?"),
    ],
)  # fmt: skip
def test_what_cannot_be_searched_is_one_line(optuna, capsys, tmp_path: Path, monkeypatch, words, wanted) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["tune", *words, "--output", "search"]) == 2
    errors = capsys.readouterr().err
    assert wanted in errors
    assert errors.count("\n") == 1
    assert not list(tmp_path.iterdir())


SEARCH = [
    "tune",
    "--train.epochs",
    "4",
    "--over",
    "optimizer.learning_rate=log:1e-5:1",
    "--over",
    "model.dropout=0:0.9",
]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_search_that_was_stopped_in_a_trial_ends_as_one_that_was_not(
    optuna, command, tmp_path: Path, number: signal.Signals
) -> None:
    words = [*SEARCH, "--train.checkpoint_steps", "5", "--trials", "3", "--output"]
    assert command(*words, tmp_path / "one").returncode == 0
    began = subprocess.Popen(
        [sys.executable, "-m", "keras_imagenet", *words, tmp_path / "other"], stderr=subprocess.PIPE
    )
    while not any((tmp_path / "other/trial_001/checkpoints").glob("step-*")):
        assert began.poll() is None
        time.sleep(0.05)
    began.send_signal(number)
    errors = began.communicate()[1].decode()
    assert number == signal.SIGKILL or "interrupted; the same command goes on with the search" in errors
    assert not (tmp_path / "other/trial_001/metrics.json").exists()
    assert command(*words, tmp_path / "other").returncode == 0
    assert rows(tmp_path / "other") == rows(tmp_path / "one")


@pytest.mark.slow
def test_trials_below_the_median_are_cut_short(optuna, command, tmp_path: Path) -> None:
    done = command(*SEARCH, "--prune", "--trials", "10", "--output", tmp_path / "search", "--json")
    assert done.returncode == 0, done.stderr
    table = rows(tmp_path / "search")
    assert {row["state"] for row in table} == {"finished", "pruned"}
    assert min(int(row["epochs"]) for row in table if row["state"] == "pruned") < 4
    assert {row["epochs"] for row in table if row["state"] == "finished"} == {"4"}
