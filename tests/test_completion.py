"""What TAB does at the prompt of a real shell, which has nothing but the script that `completion` prints."""

import contextlib
import os
import pty
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from keras_imagenet.cli import main

START = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], "PS1='$ '\n"),
    "zsh": (["zsh", "-f", "-i"], "autoload -Uz compinit && compinit -u -D\nunsetopt PROMPT_SP\n"),
}
COMMAND = 'keras-imagenet() { printf "%s\\n" "$*" >> said; }\n'
TYPED = {
    "ev\t": "evaluate",
    "fit --train.ep\t5": "fit --train.epochs 5",
    "fit --config dig\t": "fit --config digits/simple_cnn",
    "fit --dry\t--config my\t": "fit --dry_run --config my recipe.yaml",
    "evaluate mobilenet_v3_l\t": "evaluate mobilenet_v3_large",
    "predict efficientnet_lite0 pho\tcat.j\t": "predict efficientnet_lite0 photos/cat.jpg",
    "models convnext_ti\t": "models convnext_tiny",
    "recipes digits/s\t": "recipes digits/simple_cnn",
    "fit --model.name convnext_ti\tpho\t": "fit --model.name convnext_tiny photos",
    "prepare --tfds_d\t": "prepare --tfds_directory",
    "completion z\t": "completion zsh",
}


@pytest.mark.parametrize("shell", START)
def test_tab_completes_commands_settings_names_and_files(shell: str, tmp_path: Path, capsys) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"needs {shell}")
    assert main(["completion", shell]) == 0
    (tmp_path / "script").write_text(capsys.readouterr().out)
    (tmp_path / "photos").mkdir()
    for name in ("photos/cat.jpg", "my recipe.yaml"):
        (tmp_path / name).touch()
    assert said(shell, tmp_path, list(TYPED)) == list(TYPED.values())


def said(shell: str, folder: Path, typed: list[str]) -> list[str]:
    """The words that the shell gives the command for each line that is typed in the folder."""
    words, settings = START[shell]
    ours, theirs = pty.openpty()
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "TERM": "dumb", "LC_ALL": "C.UTF-8"}
    options = {"stdin": theirs, "stdout": theirs, "stderr": theirs, "cwd": folder, "env": environment}
    process = subprocess.Popen(words, start_new_session=True, **options)
    os.close(theirs)
    os.set_blocking(ours, False)
    file, found = folder / "said", []
    os.write(ours, f'{settings}{COMMAND}eval "$(cat script)"\nkeras-imagenet ready\n'.encode())
    for line in [*typed, None]:
        deadline, wanted = time.monotonic() + 30, len(found) + 1
        while len(found) < wanted and time.monotonic() < deadline:
            time.sleep(0.02)
            with contextlib.suppress(BlockingIOError):
                os.read(ours, 65536)  # else the shell would wait until somebody reads what it shows
            found = file.read_text().splitlines() if file.exists() else []
        if line is not None:
            os.write(ours, f"keras-imagenet {line}\n".encode())
    process.kill()
    process.wait()
    os.close(ours)
    return [line.rstrip(" /") for line in found[1:]]
