"""The commands as a user types them: what they print where, their exit codes, and what they leave behind."""

import json
import os
import re
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from keras_imagenet.cli import main


def test_the_main_job_ends_with_what_it_reached_and_what_to_try_next(command, digits_run: Path) -> None:
    """The same command again says that the run is finished, and changes nothing."""
    before = (digits_run / "metrics.json").read_text()
    done = command("fit", "--train.epochs", "6", "--runtime.run_folder", digits_run)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert "finished already" in lines[0]
    assert any(re.match(r"reached: top-1 0\.[89]\d+, .* on \d+ validation examples", line) for line in lines)
    assert [line.split()[0] for line in lines[-3:]] == ["tensorboard", "keras-imagenet", "keras-imagenet"]
    assert (digits_run / "metrics.json").read_text() == before


def test_a_run_folder_holds_what_the_design_names(digits_run: Path) -> None:
    names = {path.name for path in digits_run.iterdir()}
    assert names == {
        "settings.yaml", "environment.json", "history.csv", "metrics.json", "log.txt", "checkpoints", "tensorboard",
        "model.keras", "classes.txt", "preset.json", "example.png", "report",
    }  # fmt: skip
    environment = json.loads((digits_run / "environment.json").read_text())
    assert environment["exact"] == "exact"
    assert environment["versions"]["keras"].startswith("3.")
    assert (digits_run / "history.csv").read_text().count("\n") == 7


def test_evaluate_repeats_the_metrics_of_the_run(command, digits_run: Path) -> None:
    """And the batch size of evaluation changes nothing but rounding."""
    wanted = json.loads((digits_run / "metrics.json").read_text())
    done = command("evaluate", digits_run, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found == {name: wanted[name] for name in found}
    other = json.loads(command("evaluate", digits_run, "--json", "--train.evaluation_batch_size", "7").stdout)
    assert (other["top1"], other["top5"], other["examples"]) == (wanted["top1"], wanted["top5"], wanted["examples"])
    assert other["loss"] == pytest.approx(wanted["loss"], rel=1e-6)


def test_predict_names_classes_and_the_files_it_cannot_read(command, digits_run: Path, tmp_path: Path) -> None:
    for name in ("a, b.png", "[x].png", "-x.png", "größe ☃.png"):
        shutil.copy(digits_run / "example.png", tmp_path / name)
    (tmp_path / "text.jpg").write_text("not an image")
    done = command("predict", digits_run, tmp_path, "--json", "--top", "2")
    assert done.returncode == 3
    assert done.stderr.startswith(f"keras-imagenet: {tmp_path / 'text.jpg'}: text, which is not supported")
    answers = json.loads(done.stdout)["images"]
    assert {Path(answer["image"]).name for answer in answers} == {"a, b.png", "[x].png", "-x.png", "größe ☃.png"}
    assert all(len(answer["predictions"]) == 2 for answer in answers)
    dashed = command("predict", digits_run, "--", "-x.png", cwd=tmp_path)
    assert dashed.returncode == 0, dashed.stderr
    assert dashed.stdout.startswith("-x.png\n")


STALE = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#define OPEN(name) int name(const char *path, int flags, ...) { \\
    size_t length = strlen(path); va_list rest; va_start(rest, flags); int mode = va_arg(rest, int); va_end(rest); \\
    if (length >= 9 && !strcmp(path + length - 9, "stale.png")) { errno = ESTALE; return -1; } \\
    return ((int (*)(const char *, int, ...))dlsym(RTLD_NEXT, #name))(path, flags, mode); }
OPEN(open)
OPEN(open64)
"""


def test_predict_answers_for_what_the_disk_gives(command, digits_run: Path, tmp_path: Path) -> None:
    """In the order asked, twice where asked twice; a pipe is not waited for, a file of a lost network drive is one fault."""
    if shutil.which("gcc") is None:
        pytest.skip("needs gcc, for a disk that does not give a file")
    (tmp_path / "stale.c").write_text(STALE)
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", "stale.so", "stale.c", "-ldl"], check=True, cwd=tmp_path)
    for name in ("b.png", "a.png", "c.png", "stale.png"):
        shutil.copy(digits_run / "example.png", tmp_path / name)
    os.mkfifo(tmp_path / "pipe.png")
    asked = ("b.png", "none.png", "pipe.png", "a.png", "stale.png", "b.png", "stale.c")
    loaded = os.environ | {"LD_PRELOAD": str(tmp_path / "stale.so")}
    done = command("predict", digits_run, *asked, "--json", cwd=tmp_path, env=loaded)
    assert done.returncode == 3
    assert [answer["image"] for answer in json.loads(done.stdout)["images"]] == ["b.png", "a.png", "b.png"]
    assert done.stderr == (
        "keras-imagenet: none.png: no such file or folder; pipe.png: cannot be read: is a pipe, a device or a socket; "
        "stale.png: cannot be read: Stale file handle; stale.c: text, which is not supported; "
        "give JPEG, PNG, BMP, GIF or WebP\n"
    )


def test_another_model_over_the_default_recipe_and_a_dry_run_leaves_nothing(command, tmp_path: Path) -> None:
    done = command("fit", "--model.name", "resnet18", "--dry_run", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["settings"]["model"]["name"] == "resnet18"
    assert found["steps"] > 0
    assert found["memory"]["process"] > found["memory"]["weights"] > 11_000_000 * 4
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "code", "wanted"),
    [
        (["fit", "--config", "digits/simple_cn"], 2, "did you mean digits/simple_cnn?"),
        (["fit", "--model.name", "resnet81"], 2, "model.name = resnet81: no such model; did you mean resnet"),
        (["fit", "--train.epoch", "3"], 2, "train.epoch: unknown setting; did you mean epochs?"),
        (["fit", "--epochs", "3"], 2, "--epochs: unknown argument; did you mean --train.epochs?"),
        (["fit", "--cofig", "x"], 2, "--cofig: unknown argument; did you mean --config?"),
        (["fit", "--train.epochs"], 2, "--train.epochs: needs a value"),
        (["fit", "--train.epochs", "x"], 2, "train.epochs = 'x': must be a number, or auto"),
        (["fit", "--epoch", "3"], 2, "--epoch: unknown argument; did you mean --train.epochs?"),
        (["fit", "--dryrun"], 2, "--dryrun: unknown argument; did you mean --dry_run?"),
        (["fit", "--model.freeze", "stem"], 2, "model.freeze = stem: must be a list in brackets, such as [stem]"),
        (["fit", "--data.source.name", "foldr"], 2, "digits, arrays, folder, csv, records, tfds; did you mean folder?"),
        (["fit", "--data.size", "0"], 2, "data.size = '0': input should be greater than 0"),
        (["fit", "photos"], 2, "photos: no such file or folder; photos are a folder with a subfolder a class, a CSV"),
        (["fit", "folder", "other"], 2, "other: unexpected argument"),
        (["fit", "-x.jpg"], 2, "-x.jpg: a name that begins with - is read as an option"),
        (["fit", "--config"], 2, "--config: needs a value"),
        (["fit", "--model", "resnet50"], 2, "--model: unknown argument; did you mean --model.name?"),
        (["fit", "--optimizer=adam"], 2, "--optimizer=adam: unknown argument; did you mean --optimizer.name?"),
        (["fit", "--batch-size", "8"], 2, "--batch-size: unknown argument; did you mean --train.batch_size?"),
        (["fit", "--lr", "1"], 2, "--lr: unknown argument; did you mean --optimizer.learning_rate?"),
        (["fit", "--output", "x"], 2, "--output: is the picture of --find_rate; did you mean --runtime.run_folder?"),
        (["fit", "--resume", "x"], 2, "a run goes on by: keras-imagenet fit --config RUN --runtime.run_folder RUN"),
        (
            ["fit", "my run"],
            2,
            "my run: is a run, not photos; a run goes on by: keras-imagenet fit --config 'my run' --runtime.run_folder 'my run'",
        ),
        (
            ["fit", "folder"],
            3,
            "folder: holds no class folders; expected train/CLASS/FILE and val/CLASS/FILE, or CLASS",
        ),
        (["fit", "list.csv"], 2, "list.csv: no such file or folder"),
        (["fit", "digits/simple_cnn"], 2, "is a recipe, which is given as --config digits/simple_cnn"),
        (["data", "digits/simple_cn"], 2, "digits/simple_cn: no such file or folder"),
        (["runs", "--weights", "x"], 2, "--weights: unknown argument\n"),
        (["fitt"], 2, "fitt: must be one of fit, tune, evaluate, predict, features, "),
        (["fitt"], 2, "; did you mean fit?"),
        (["benchmark", "pipelin"], 2, "pipelin: must be one of pipeline; did you mean pipeline?"),
        (
            ["data", "--output", "sheet.docx"],
            2,
            "--output sheet.docx: no picture ends in .docx; give .png, .svg or .pdf",
        ),
        (["data", "--limit", "0"], 2, "--limit 0: must be at least 1"),
        (["benchmark", "pipeline", "--seconds", "nan"], 2, "--seconds nan: must be from 0.01 to 86,400"),
        (["benchmark", "pipeline", "--seconds", "inf"], 2, "--seconds inf: must be from 0.01 to 86,400"),
        (["fit", ""], 2, "command line: an argument: is empty; a variable of the shell may not be set"),
        (["fit", "--config", ""], 2, "command line: --config: is empty"),
        (["fit", "--data.source.directory="], 2, "command line: --data.source.directory: is empty"),
        (
            ["predict", "runs", "-x.jpg"],
            2,
            "-x.jpg: a name that begins with - is read as an option; write -- before it",
        ),
        ([], 2, "the following arguments are required: COMMAND"),
        (["evaluate", "my run", "my run"], 2, "my run: is a run, not photos; one run is measured at a time\n"),
        (["evaluate", "no/run"], 2, "no/run: no such run folder, and no such model"),
        (["evaluate", "cifar_net"], 2, "model.weights = published: none are known for cifar_net"),
        (
            ["evaluate", "efficientnet_lite0"],
            2,
            "efficientnet_lite0: is measured on labelled photos; name them behind it",
        ),
        (["fit", "--model.head", "probe"], 2, "head probe needs layers that have learned; give weights, such as"),
        (["predict", "no/run", "x.jpg"], 2, "no/run: no such run folder"),
        (
            ["predict", "efficientnet_lite0", __file__, "--output", "no/a.csv"],
            2,
            "--output no/a.csv: cannot be written",
        ),
        (
            ["features", "efficientnet_lite0", __file__, "--output", "folder"],
            2,
            "--output folder: cannot be written: Is a",
        ),
        (["export", "."], 2, ".: not a finished run: settings.yaml is missing"),
        (["runs", "no/folder"], 2, "no/folder: no such folder"),
        (["models", "resnet5"], 0, "resnet50"),
        (["models", "nosuchthing"], 2, "no network is called so"),
        (["schema", "--train.epochs", "6"], 2, "schema takes no settings"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    words: list[str], code: int, wanted: str, capsys, tmp_path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "-x.jpg").touch()
    for folder in ("folder", "my run"):
        (tmp_path / folder).mkdir()
    (tmp_path / "my run" / "settings.yaml").touch()
    assert main(words) == code
    printed = capsys.readouterr()
    assert wanted in printed.err + printed.out
    if code:
        assert printed.out == ""
        assert printed.err.count("\n") == 1


@pytest.mark.parametrize(
    ("make", "wanted"),
    [
        (lambda folder: None, "photos: "),
        (lambda folder: folder.mkdir(), "photos: holds no class folders"),
        (lambda folder: [(folder / name).mkdir(parents=True) for name in ("cat", "dog")], "holds no image"),
    ],
    ids=["missing", "empty", "no images"],
)
def test_a_folder_that_cannot_be_used(make, wanted: str, capsys, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    make(tmp_path / "photos")
    assert main(["fit", "--data.source.name", "folder", "--data.source.directory", "photos"]) == 3
    printed = capsys.readouterr()
    assert wanted in printed.err
    assert printed.err.count("\n") == 1
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("arrays", "wanted"),
    [
        ({"images": np.zeros((4, 8, 8), np.uint8)}, "x_train"),
        ({"x_train": np.zeros((4, 8), np.uint8), "y_train": np.zeros(4, np.int64)}, "x_train"),
        ({"x_train": np.zeros((4, 8, 8), np.uint8), "y_train": np.zeros(3, np.int64)}, "y_train"),
    ],
    ids=["names", "shape", "length"],
)
def test_arrays_that_cannot_be_used(arrays: dict, wanted: str, capsys, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.savez("wrong.npz", **arrays)
    assert main(["fit", "--data.source.name", "arrays", "--data.source.file", "wrong.npz"]) == 3
    printed = capsys.readouterr()
    assert wanted in printed.err
    assert printed.err.count("\n") == 1


def test_a_run_folder_that_cannot_be_written(capsys, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert main(["fit", "--runtime.run_folder", str(tmp_path / "file" / "run")]) == 2
    assert f"runtime.run_folder = {tmp_path / 'file' / 'run'}: cannot be written" in capsys.readouterr().err


@pytest.mark.slow
def test_fit_and_evaluate_take_odd_names_and_name_what_cannot_be_read(
    command, digits_run: Path, tmp_path: Path
) -> None:
    """A truncated JPEG and a text named .jpg are each named once and left out; the others count."""
    picture = np.asarray(Image.open(digits_run / "example.png").convert("RGB").resize((40, 40)))
    for name in ("zero, one", "größe ☃"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for file in ("a, b.jpg", "[x].jpg", "-x.jpg", "été 雪.jpg"):
            Image.fromarray(picture).save(tmp_path / "photos" / name / file)
    whole = (tmp_path / "photos" / "zero, one" / "-x.jpg").read_bytes()
    (tmp_path / "photos" / "zero, one" / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "photos" / "größe ☃" / "text.jpg").write_text("not an image")
    words = ("--data.source.name", "folder", "--data.source.directory", "photos", "--train.steps", "3")
    done = command("fit", *words, "--train.batch_size", "4", "--runtime.run_folder", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    left_out = sorted(line for line in done.stdout.splitlines() if line.startswith("left out: "))
    assert [line.split(": ")[1] for line in left_out] == ["größe ☃/text.jpg", "zero, one/cut.jpg"]
    # Three steps of 4 are an epoch of 10 and two examples more, less the unreadable among them.
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["examples"] in (8, 9, 10)
    measured = command("evaluate", "run", "--json", cwd=tmp_path)
    assert measured.returncode == 0, measured.stderr
    found = json.loads(measured.stdout)
    assert (found["examples"], found["unreadable"]) == (8, 2)


def test_a_batch_that_replicas_cannot_share(command, tmp_path: Path) -> None:
    words = ("fit", "--train.batch_size", "9", "--runtime.logical_cpus", "2", "--runtime.run_folder", tmp_path / "run")
    done = command(*words)
    assert done.returncode == 2
    assert done.stderr == "keras-imagenet: train.batch_size = 9: must be divisible by the number of replicas (2)\n"


def test_a_folder_of_another_run_is_left_alone(command, digits_run: Path, tmp_path: Path) -> None:
    """Of other settings: the keys are named. Of other data: that is said."""
    run = shutil.copytree(digits_run, tmp_path / "run")
    (run / "metrics.json").unlink()
    model = command("fit", "--model.name", "resnet18", "--train.epochs", "6", "--runtime.run_folder", run)
    assert model.returncode == 2
    assert "holds a run of other settings (model.dropout, model.name)" in model.stderr
    classes = tmp_path / "names.txt"
    classes.write_text("".join(f"digit {number}\n" for number in range(10)))
    settings = (run / "settings.yaml").read_text().replace("classes: null", f"classes: {classes}")
    (run / "settings.yaml").write_text(settings)
    data = command("fit", "--config", run, "--runtime.run_folder", run)
    assert data.returncode == 3
    assert "the data has changed since this run began" in data.stderr


def test_a_full_disk_is_one_line_and_keeps_what_was_written(command, tmp_path: Path) -> None:
    """A limit on the size of files stands for the full disk: the system refuses the write in the same place."""
    run = tmp_path / "run"

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))

    done = command("fit", "--train.epochs", "2", "--runtime.run_folder", run, preexec_fn=limit)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert f"{run}: cannot be written: File too large" in done.stderr
    assert not list(run.glob("checkpoints/*"))
    assert command("fit", "--train.epochs", "2", "--runtime.run_folder", run).returncode == 0


FULL_DISK = """
mount -t tmpfs -o size=30m none "$1" || exit 90
head -c 29m /dev/zero > "$1/filler"
"$2" -m keras_imagenet fit --train.epochs 2 --runtime.run_folder "$1/run"; echo "code $?"
ls "$1/run/checkpoints"
rm "$1/filler"
"$2" -m keras_imagenet fit --train.epochs 2 --runtime.run_folder "$1/run" > /dev/null; echo "code $?"
"""


@pytest.mark.slow
def test_a_file_system_that_is_full_is_one_line_and_the_run_goes_on_once_there_is_room(tmp_path: Path) -> None:
    """A real one, of 30 MiB, in a mount namespace of the test's own."""
    words = [
        "unshare",
        "--user",
        "--map-root-user",
        "--mount",
        "bash",
        "-c",
        FULL_DISK,
        "bash",
        tmp_path,
        sys.executable,
    ]
    if shutil.which("unshare") is None:
        pytest.skip("needs unshare, to mount a small file system")
    done = subprocess.run(words, capture_output=True, text=True, timeout=300)
    if done.returncode == 90 or "unshare:" in done.stderr:
        pytest.skip(f"may not mount a small file system: {done.stderr.strip()}")
    assert done.stderr.count("\n") == 1, done.stderr
    assert f"{tmp_path / 'run'}: cannot be written: No space left on device" in done.stderr
    assert done.stdout.splitlines()[-2:] == ["code 1", "code 0"]


def test_a_loss_that_is_not_finite_stops_the_run(command, tmp_path: Path) -> None:
    words = ("fit", "--train.steps", "60", "--optimizer.name", "sgd", "--optimizer.learning_rate", "1e20")
    done = command(*words, "--runtime.run_folder", tmp_path / "run")
    assert done.returncode == 4
    assert "the loss became" in done.stderr
    assert not list(tmp_path.glob("run/checkpoints/*"))


def test_a_run_without_validation_says_on_how_many_examples_it_was_measured(command, tmp_path: Path) -> None:
    """30 steps of 64, 28.08 steps an epoch: the second epoch has begun, with one step of its own after the border's."""
    words = ("fit", "--train.steps", "30", "--data.source.validation_fraction", "null", "--json")
    done = command(*words, "--runtime.run_folder", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["measured_on"] == "training examples, while training"
    assert found["examples"] == 64
    assert 0 < found["top1"] <= 1


def test_benchmark_says_how_fast_images_come(command, tmp_path: Path) -> None:
    file = tmp_path / "speed.json"
    done = command("benchmark", "pipeline", "--seconds", "0.2", "--output", file, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found == json.loads(file.read_text())
    assert found["images_per_second"] > 0
    assert set(found["share"]) == {"read", "decode", "augment", "batch"}
    assert file.with_suffix(".png").exists()


def test_runs_compares_run_folders(digits_run: Path, capsys) -> None:
    assert main(["runs", str(digits_run.parent), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(row["run"], row["model"], row["state"]) for row in rows] == [("digits", "simple_cnn", "finished")]
    assert main(["runs", str(digits_run.parent)]) == 0
    assert capsys.readouterr().out.splitlines()[0].split()[:3] == ["run", "model", "data"]


def test_runs_names_the_data(tmp_path: Path, capsys) -> None:
    sources = {
        "a": "{name: folder, directory: /data/photos}",
        "b": "{name: csv, file: lists/birds.csv, directory: /data/photos}",
        "c": "{name: tfds, dataset: 'imagenet_v2/matched-frequency'}",
    }
    for name, source in sources.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "settings.yaml").write_text(f"data: {{source: {source}}}\n")
    assert main(["runs", str(tmp_path), "--json"]) == 0
    found = [row["data"] for row in json.loads(capsys.readouterr().out)]
    assert found == ["folder photos", "csv photos birds.csv", "tfds imagenet_v2/matched-frequency"]


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"best": 3, "top1": 0.5}', '{"training_seconds": "long"}'])
def test_one_damaged_run_does_not_hide_the_others(text: str, digits_run: Path, tmp_path: Path, capsys) -> None:
    for name in ("whole", "broken"):
        shutil.copytree(digits_run, tmp_path / name, ignore=shutil.ignore_patterns("checkpoints", "tensorboard"))
    (tmp_path / "broken" / "metrics.json").write_text(text)
    assert main(["runs", str(tmp_path), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(row["run"], row["state"]) for row in rows] == [("broken", "damaged"), ("whole", "finished")]
    assert main(["runs", str(tmp_path)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3


@pytest.mark.parametrize("number", [9, 11])
def test_a_run_whose_classes_are_not_its_networks_is_one_line(number: int, digits_run: Path, tmp_path, capsys) -> None:
    """Names were given to other answers, or ran out."""
    shutil.copytree(digits_run, tmp_path / "run", ignore=shutil.ignore_patterns("checkpoints", "tensorboard"))
    (tmp_path / "run" / "classes.txt").write_text("".join(f"{label}\n" for label in range(number)))
    assert main(["predict", str(tmp_path / "run"), str(digits_run / "example.png")]) == 3
    assert f"classes.txt: names {number} classes, but the network tells 10 apart\n" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", "[1]", "[" * 100_000, '{"best": 3}', "\x1b"])
def test_a_finished_run_without_its_figures_is_one_line(text: str, digits_run: Path, tmp_path, capsys) -> None:
    shutil.copytree(digits_run, tmp_path / "run", ignore=shutil.ignore_patterns("tensorboard"))
    (tmp_path / "run" / "metrics.json").write_text(text)
    assert main(["fit", "--config", str(tmp_path / "run")]) == 2
    assert "metrics.json: is damaged; without it, the run goes on from its last checkpoint\n" in capsys.readouterr().err


def test_models_lists_names_parameters_and_macs(capsys) -> None:
    assert main(["models", "resnet50*", "--json"]) == 0
    row = next(row for row in json.loads(capsys.readouterr().out) if row["name"] == "resnet50")
    assert (row["parameters"], round(row["macs"] / 1e6)) == (25_557_032, 4089)


def test_a_closed_pipe_ends_fit_in_one_line(tmp_path: Path) -> None:
    """`keras-imagenet fit | head -1`: not a complaint about the disk, and the command that goes on."""
    words = [sys.executable, "-m", "keras_imagenet", "fit", "--runtime.run_folder", str(tmp_path / "run")]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.readline()
    process.stdout.close()
    complaint = process.stderr.read()
    assert process.wait(timeout=120) == 1
    assert complaint.count("\n") == 1
    assert "has closed it" in complaint
    assert complaint.endswith(f"To go on from the last checkpoint: keras-imagenet fit --config {tmp_path / 'run'}\n")


def test_a_run_that_ends_before_it_begins_leaves_no_folder(command, tmp_path: Path) -> None:
    done = command("fit", "--model.freeze", "[stam]", cwd=tmp_path)
    assert done.returncode == 2
    assert "model.freeze: 'stam' fits no layer of simple_cnn" in done.stderr
    assert not list(tmp_path.glob("runs/*"))
