"""Folders are found, made, held and refused in one line; a run is where its folder lies."""

import ctypes
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import keras
import numpy as np
import pytest
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator

from keras_imagenet import labels, recipes, run_folder
from keras_imagenet.cli import main
from keras_imagenet.errors import SettingsError
from keras_imagenet.run_folder import RunFolder, created
from keras_imagenet.settings import Settings

FEW = ("fit", "--train.steps", "4", "--train.checkpoint_steps", "2")


def named(folder: Path) -> Settings:
    return recipes.load(overrides=[("runtime.run_folder", str(folder))])


def test_a_new_run_takes_the_recipe_s_name(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with created(recipes.load(), "digits/simple_cnn") as folder:
        assert folder.path.parent == Path("runs")
        assert folder.path.name.startswith("digits-simple_cnn-")
    with created(recipes.load(), "some/where/mine.yaml") as folder:
        assert folder.path.name.startswith("mine-")


def test_two_runs_of_one_second_get_folders_of_their_own(tmp_path: Path, monkeypatch) -> None:
    """Even where the second looks before the first has written anything into its folder."""
    monkeypatch.chdir(tmp_path)

    class Stopped(datetime):
        @classmethod
        def now(cls, tz=None) -> datetime:
            return cls(2026, 1, 2, 3, 4, 5, tzinfo=tz)

    monkeypatch.setattr(run_folder, "datetime", Stopped)
    Path("runs/digits-simple_cnn-20260102-030405").mkdir(parents=True)
    with created(recipes.load(), "digits/simple_cnn") as one, created(recipes.load(), "digits/simple_cnn") as other:
        names = [folder.path.name for folder in (one, other)]
    assert names == ["digits-simple_cnn-20260102-030405-2", "digits-simple_cnn-20260102-030405-3"]


def hold(folder: Path, ready) -> None:
    """Be in a folder's run for good."""
    with created(named(folder), ""):
        ready.set()
        time.sleep(600)


def test_a_folder_is_one_process_alone_until_it_ends_killed_or_not(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    process = context.Process(target=hold, args=(tmp_path / "run", ready))
    process.start()
    try:
        assert ready.wait(60)
        with (
            pytest.raises(SettingsError, match=r"run: another process is training in it; wait") as refused,
            created(named(tmp_path / "run"), ""),
        ):
            pass
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.join(60)
    assert "\n" not in str(refused.value)
    with created(named(tmp_path / "run"), "") as folder:
        assert folder.log_file.exists()


def test_a_folder_stays_one_process_s_own_where_its_log_is_deleted(tmp_path: Path) -> None:
    with created(named(tmp_path / "run"), "") as folder:
        folder.log_file.unlink()
        with (
            pytest.raises(SettingsError, match="another process is training in it"),
            created(named(tmp_path / "run"), ""),
        ):
            pass


def test_the_second_command_in_a_folder_is_refused_and_the_first_goes_on(command, tmp_path: Path) -> None:
    words = [sys.executable, "-m", "keras_imagenet", *FEW, "--runtime.run_folder", str(tmp_path / "run")]
    first = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not (tmp_path / "run" / "log.txt").exists() and first.poll() is None:
        time.sleep(0.01)
    second = command(*FEW, "--runtime.run_folder", tmp_path / "run")
    assert second.returncode == 2
    assert second.stderr.startswith(f"keras-imagenet: {tmp_path / 'run'}: another process is training in it")
    assert second.stderr.count("\n") == 1
    _, complaint = first.communicate(timeout=300)
    assert first.returncode == 0, complaint
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["steps"] == 4


def test_what_fails_at_the_start_leaves_what_the_user_had_made(tmp_path: Path, monkeypatch, capsys) -> None:
    """An empty folder of theirs stays; one that was made for the run goes; `.` shows the mistake itself."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "theirs").mkdir()
    mistake = "model.freeze: 'stam' fits no layer of simple_cnn"
    for folder in ("theirs", "ours", "."):
        assert main(["fit", "--model.freeze", "[stam]", "--runtime.run_folder", folder]) == 2
        printed = capsys.readouterr().err
        assert mistake in printed
        assert printed.count("\n") == 1
    assert list((tmp_path / "theirs").iterdir()) == []
    assert {path.name for path in tmp_path.iterdir()} == {"theirs"}
    assert not (tmp_path / "ours").exists()


@pytest.fixture(scope="module")
def unfinished(tmp_path_factory) -> Path:
    """A run of four steps, as it lay after two of them."""
    run = tmp_path_factory.mktemp("unfinished") / "run"
    assert main([*FEW, "--runtime.run_folder", str(run)]) == 0
    for file in ("metrics.json", "model.keras", "history.csv", "checkpoints/step-00000004.npz"):
        (run / file).unlink()
    return run


def test_a_run_moved_elsewhere_goes_on_there(unfinished: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    """And nothing comes to life again where it was."""
    monkeypatch.chdir(tmp_path)
    moved = shutil.copytree(unfinished, tmp_path / "before").rename(tmp_path / "moved")
    assert main(["fit", "--config", "moved"]) == 0
    assert "moved, going on from step 2" in capsys.readouterr().out
    assert run_folder.opened(moved).metrics["steps"] == 4
    assert {path.name for path in tmp_path.iterdir()} == {"moved"}


def test_settings_that_change_no_result_may_change_and_leftovers_are_swept(
    unfinished: Path, tmp_path: Path, capsys
) -> None:
    """How often is saved and drawn, the size of evaluation's batches. Parts of a killed writer go; another's stays."""
    run = shutil.copytree(unfinished, tmp_path / "run")
    left = [run / f".part-{'0' * 16}-model.keras", run / "checkpoints" / f".part-{'1' * 16}-step-00000003.npz"]
    for part in left:
        part.write_bytes(b"half")
    own = run / ".part-of-my-notes"
    own.write_text("kept")
    words = ("--train.checkpoint_steps", "3", "--train.summary_steps", "1", "--train.evaluation_batch_size", "100")
    assert main(["fit", "--config", str(run), *words]) == 0
    assert "going on from step 2" in capsys.readouterr().out
    assert sorted(path.name for path in (run / "checkpoints").iterdir()) == ["step-00000003.npz", "step-00000004.npz"]
    assert own.exists()
    assert not any(part.exists() for part in left)


def test_data_may_lie_elsewhere(tmp_path: Path, monkeypatch, capsys) -> None:
    """The same file under another name: what the data is counts, not where it lies."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    arrays = {"x_train": random.integers(0, 256, (64, 8, 8)).astype(np.uint8), "y_train": np.arange(64) % 4}
    np.savez("here.npz", **arrays)
    words = [*FEW, "--train.batch_size", "16", "--data.source.name", "arrays", "--runtime.run_folder", "run"]
    assert main([*words, "--data.source.file", "here.npz"]) == 0
    for file in ("metrics.json", "checkpoints/step-00000004.npz"):
        Path("run", file).unlink()
    Path("here.npz").rename("there.npz")
    assert main([*words, "--data.source.file", "there.npz"]) == 0
    assert "going on from step 2" in capsys.readouterr().out


def test_the_list_of_classes_may_lie_elsewhere(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    Path("here.txt").write_text("".join(f"digit {number}\n" for number in range(10)))
    words = [*FEW, "--runtime.run_folder", "run"]
    assert main([*words, "--data.source.classes", "here.txt"]) == 0
    for file in ("metrics.json", "checkpoints/step-00000004.npz"):
        Path("run", file).unlink()
    Path("here.txt").rename("there.txt")
    assert main([*words, "--data.source.classes", "there.txt"]) == 0
    assert "going on from step 2" in capsys.readouterr().out


def test_a_run_is_measured_from_another_working_directory(tmp_path: Path, monkeypatch) -> None:
    """Though its data was given by a path from where it began."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    np.savez("here.npz", x_train=random.integers(0, 256, (64, 8, 8)).astype(np.uint8), y_train=np.arange(64) % 4)
    words = ["--train.batch_size", "16", "--data.source.name", "arrays", "--data.source.file", "here.npz"]
    assert main([*FEW, *words, "--runtime.run_folder", "run"]) == 0
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert main(["evaluate", "../run"]) == 0


@pytest.mark.slow
def test_a_run_goes_on_without_the_weights_it_began_with(unfinished: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    """A checkpoint holds all of them, and the settings what they had said of the network."""
    monkeypatch.chdir(tmp_path)
    few = [*FEW, "--model.name", "resnet20_cifar", "--data.size", "16"]
    assert main([*few, "--runtime.run_folder", "first", "--model.batch_norm.epsilon", "1e-4"]) == 0
    shutil.move("first/model.keras", "weights.keras")
    words = [*few, "--model.weights", "weights.keras", "--runtime.run_folder", "run"]
    assert main(words) == 0
    wanted = keras.saving.load_model("run/model.keras").get_weights()
    Path("weights.keras").unlink()
    for go_on in (words, ["fit", "--config", "run"]):
        for file in ("metrics.json", "checkpoints/step-00000004.npz"):
            Path("run", file).unlink()
        assert main(go_on) == 0
        assert "going on from step 2" in capsys.readouterr().out
        network = keras.saving.load_model("run/model.keras")
        assert {layer.epsilon for layer in network.layers if hasattr(layer, "epsilon")} == {1e-4}
        for value, known in zip(network.get_weights(), wanted, strict=True):
            np.testing.assert_array_equal(value, known)


def test_a_run_that_an_earlier_version_finished_is_finished(unfinished: Path, tmp_path: Path, capsys) -> None:
    """Whatever its checkpoints hold."""
    run = shutil.copytree(unfinished, tmp_path / "run")
    np.savez(run / "checkpoints" / "step-00000004.npz", progress=np.zeros(3))
    (run / "metrics.json").write_text(
        '{"loss": 1, "top1": 0, "top5": 0, "unreadable": 0, "measured_on": "", "best": null}'
    )
    assert main(["fit", "--config", str(run)]) == 0
    assert f"{run} is finished already" in capsys.readouterr().out


def test_a_run_ended_where_it_stands_is_used_by_its_last_or_best_weights(
    unfinished: Path, tmp_path: Path, capsys
) -> None:
    run = shutil.copytree(unfinished, tmp_path / "run")
    said = f"{run}: not finished; these are its last weights, from step 2"
    for words in (["evaluate", str(run)], ["predict", str(run), str(run / "example.png")], ["export", str(run)]):
        assert main(words) == 0
        assert said in capsys.readouterr().out
    best = tmp_path / "best"
    words = [
        "--train.keep",
        "best",
        "--train.epochs",
        "2",
        "--train.batch_size",
        "512",
        "--train.keep_checkpoints",
        "9",
    ]
    assert main(["fit", *words, "--runtime.run_folder", str(best)]) == 0
    history = run_folder.RunFolder(best).history
    for file in ("metrics.json", "model.keras", "checkpoints/step-00000006.npz"):
        (best / file).unlink()
    capsys.readouterr()
    assert main(["evaluate", str(best), "--json"]) == 0
    printed = capsys.readouterr()
    assert "these are the best so far, of epoch 1, weights, from step 3" in printed.err
    assert json.loads(printed.out)["loss"] == float(history[0]["validation_loss"])


def test_more_epochs_go_on_from_a_run_s_end_where_its_rates_do_not_change(tmp_path: Path, capsys) -> None:
    falling = ["--schedule.name", "exponential", "--train.batch_size", "512"]
    whole, longer = str(tmp_path / "whole"), str(tmp_path / "longer")
    assert main(["fit", *falling, "--train.epochs", "2", "--runtime.run_folder", whole]) == 0
    assert main(["fit", *falling, "--train.epochs", "1", "--runtime.run_folder", longer]) == 0
    assert main(["fit", "--config", longer, "--train.epochs", "2"]) == 0
    assert "going on from step 3" in capsys.readouterr().out
    one, other = (keras.saving.load_model(f"{run}/model.keras").get_weights() for run in (whole, longer))
    for value, known in zip(other, one, strict=True):
        np.testing.assert_array_equal(value, known)
    assert [row["step"] for row in run_folder.RunFolder(Path(longer)).history] == ["3", "6"]
    assert main(["fit", "--config", longer, "--train.epochs", "1"]) == 2
    assert "3 steps are not more than the 6 that the run has made" in capsys.readouterr().err
    assert run_folder.RunFolder(Path(longer)).metrics["steps"] == 6


def test_more_epochs_of_a_schedule_that_ends_are_another_run(unfinished: Path, tmp_path: Path, capsys) -> None:
    run = shutil.copytree(unfinished, tmp_path / "run")
    assert main(["fit", "--config", str(run), "--train.steps", "9"]) == 2
    complaint = capsys.readouterr().err
    assert "run: its cosine schedule ends with the run" in complaint
    assert f"give --model.weights {run} and another runtime.run_folder" in complaint
    assert complaint.count("\n") == 1


@pytest.mark.parametrize("average", ["torchvision", "lookahead"])
def test_more_epochs_of_an_average_that_goes_by_their_number_are_another_run(
    tmp_path: Path, capsys, average: str
) -> None:
    words = [
        *FEW,
        "--schedule.name",
        "constant",
        "--average.name",
        average,
        "--runtime.run_folder",
        str(tmp_path),
    ]
    assert main(words) == 0
    assert main(["fit", "--config", str(tmp_path), "--train.steps", "9"]) == 2
    complaint = f"its {average} average's decay goes with the run, so with another train.steps"
    assert complaint in capsys.readouterr().err


def test_a_run_of_four_classes_at_its_time_limit_says_so_and_ends_with_the_best_of_its_average(
    tmp_path: Path, capsys
) -> None:
    random, run = np.random.default_rng(0), run_folder.RunFolder(tmp_path / "run")
    arrays = {"x_train": random.integers(0, 256, (64, 8, 8)).astype(np.uint8), "y_train": np.arange(64) % 4}
    np.savez(tmp_path / "four.npz", **arrays)
    words = ["fit", "--data.source.name", "arrays", "--data.source.file", str(tmp_path / "four.npz"), "--json"]
    words += ["--data.source.validation_fraction", "0.5", "--train.epochs", "6", "--train.batch_size", "8"]
    words += ["--average.name", "swa", "--average.from_epoch", "1", "--train.keep", "average"]
    words += ["--runtime.run_folder", str(run.path)]
    assert main([*words, "--train.time_limit", "0.00001"]) == 0
    assert json.loads(capsys.readouterr().out) == {"state": "not finished", "run_folder": str(run.path)}
    assert main(words) == 0
    assert json.loads(capsys.readouterr().out)["best"]["top1"] == max(float(row["average_top1"]) for row in run.history)
    tags = EventAccumulator(str(run.tensorboard / "validation")).Reload().Tags()["tensors"]
    assert {"average_top1", "average_loss"} < {*tags}
    assert "average_top5" not in tags


def test_other_validation_examples_are_other_data(tmp_path: Path, capsys) -> None:
    """Rows, patience and the best compare what was measured on the same examples."""
    random = np.random.default_rng(0)
    arrays = {"x_train": random.integers(0, 256, (64, 8, 8)).astype(np.uint8), "y_train": np.arange(64) % 4}
    np.savez(tmp_path / "one.npz", **arrays)
    np.savez(tmp_path / "other.npz", **arrays, x_test=arrays["x_train"][:16], y_test=arrays["y_train"][:16])
    words = [*FEW, "--train.batch_size", "16", "--data.source.name", "arrays", "--runtime.run_folder"]
    words.append(str(tmp_path / "run"))
    assert main([*words, "--data.source.file", str(tmp_path / "one.npz")]) == 0
    (tmp_path / "run" / "metrics.json").unlink()
    assert main([*words, "--data.source.file", str(tmp_path / "other.npz")]) == 3
    assert "run: the data has changed since this run began" in capsys.readouterr().err


@pytest.mark.parametrize("files_written", range(6))
def test_a_run_killed_at_its_beginning_goes_on_in_its_folder_or_says_that_it_cannot(
    tmp_path: Path, monkeypatch, files_written: int
) -> None:
    """Settings alone would be taken for a recipe, whose run begins elsewhere."""
    monkeypatch.chdir(tmp_path)
    replace, written = os.replace, []

    def replace_some(part: Path, path: Path) -> None:
        if len(written) == files_written:
            raise KeyboardInterrupt
        written.append(path)
        replace(part, path)

    with monkeypatch.context() as killed:
        killed.setattr(os, "replace", replace_some)
        assert main([*FEW, "--runtime.run_folder", "run"]) == 130
    assert main(["fit", "--config", "run", *FEW[1:]]) == (0 if Path("run", "settings.yaml").exists() else 2)
    assert not Path("runs").exists()


def test_classes_keep_identifiers_and_names(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    labels.write_classes(folder.classes_file, labels.ClassList(("n1", "n2"), ("a, b", "größe")))
    assert folder.classes.identifiers == ("n1", "n2")
    assert folder.classes.names == ("a, b", "größe")
    labels.write_classes(folder.classes_file, labels.from_identifiers(("cat", "dog")))
    assert folder.classes_file.read_text() == "cat\ndog\n"


def test_what_is_not_a_finished_run_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no such run folder"):
        run_folder.opened(tmp_path / "nowhere")
    (tmp_path / "settings.yaml").write_text("train: {epochs: 1}\n")
    with pytest.raises(SettingsError, match=r"not a finished run: model\.keras is missing"):
        run_folder.opened(tmp_path)


def without_override() -> None:
    """Let permissions bind root, too, in the program that is started: PR_CAPBSET_DROP of CAP_DAC_OVERRIDE."""
    ctypes.CDLL(None).prctl(24, 1, 0, 0, 0)


def test_what_a_run_left_is_used_where_nothing_can_be_written(digits_run, tmp_path) -> None:
    """A read-only mount, or the folder of somebody else."""
    folder = shutil.copytree(digits_run, tmp_path / "run")
    before = sorted(folder.rglob("*"))
    for path in (folder, *before):
        path.chmod(0o555 if path.is_dir() else 0o444)

    if subprocess.run(["touch", folder / "new"], capture_output=True, preexec_fn=without_override).returncode == 0:
        pytest.skip("permissions do not bind this user")
    commands = (
        ["evaluate", str(folder)],
        ["predict", str(folder), str(folder / "example.png")],
        ["export", str(folder), "--output", str(tmp_path / "served")],
        ["export", str(folder)],
    )
    program = f"from keras_imagenet.cli import main\nprint([main(words) for words in {commands}])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, preexec_fn=without_override)
    assert done.stdout.endswith("[0, 0, 0, 2]\n"), done.stderr
    refused = f"keras-imagenet: --output {folder / 'saved_model'}: cannot be written: Permission denied\n"
    assert done.stderr == refused
    assert sorted(folder.rglob("*")) == before
    for path in (folder, *before):
        path.chmod(0o755)


@pytest.mark.parametrize("log", ["folder", "link", "pipe"])
def test_evaluation_needs_no_log_and_follows_no_link_there(log, digits_run, tmp_path, capfd) -> None:
    folder = shutil.copytree(digits_run, tmp_path / "run")
    (folder / "log.txt").unlink()
    if log == "folder":
        (folder / "log.txt").mkdir()
    elif log == "link":
        (folder / "log.txt").symlink_to(tmp_path / "elsewhere")
    else:
        os.mkfifo(folder / "log.txt")
    assert main(["evaluate", str(folder)]) == 0
    assert not (tmp_path / "elsewhere").exists()


def test_a_finished_run_is_not_the_answer_to_other_data(command, tmp_path: Path) -> None:
    """Its metrics were measured on what it was given then."""
    photos, run = tmp_path / "photos.npz", tmp_path / "run"

    def fit(seed: int) -> subprocess.CompletedProcess:
        images = np.random.default_rng(seed).integers(0, 256, (24, 8, 8), np.uint8)
        np.savez(photos, x_train=images, y_train=np.arange(24) % 2)
        words = ("--data.source.name", "arrays", "--data.source.file", photos, "--train.steps", 1)
        return command("fit", *words, "--runtime.run_folder", run)

    assert fit(0).returncode == 0
    assert "is finished already" in fit(0).stdout
    other = fit(1)
    assert other.returncode == 3
    assert f"{run}: the data has changed since this run began" in other.stderr


def test_a_run_of_a_version_that_knew_other_settings_is_measured_and_asked(command, digits_run, tmp_path) -> None:
    """What it was trained with acts no more; its preset, label order and network lie beside its settings."""
    run = shutil.copytree(digits_run, tmp_path / "run")
    settings = (run / "settings.yaml").read_text()
    (run / "settings.yaml").write_text(settings.replace("optimizer:\n", "optimizer:\n  decay_embeddings: false\n"))
    measured = command("evaluate", run, "--json")
    assert measured.returncode == 0, measured.stderr
    assert json.loads(measured.stdout)["top1"] == json.loads((run / "metrics.json").read_text())["top1"]
    assert command("predict", run, run / "example.png").returncode == 0
    refused = command("fit", "--config", run)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "optimizer.decay_embeddings: unknown setting" in refused.stderr
