"""`demo` answers a photo dropped on its page as `predict` answers the file, and leaves nothing behind."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from configparser import ConfigParser
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from keras_imagenet.errors import SettingsError
from keras_imagenet.serving import demo

ROOT = Path(__file__).resolve().parents[2]


def test_without_its_extra_one_line_says_what_to_install() -> None:
    program = """
import sys
sys.modules["gradio"] = None  # as where it is not installed
from keras_imagenet.cli import main
code = main(["demo", "efficientnet_lite0"])
assert "tensorflow" not in sys.modules
sys.exit(code)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    gradio = setup["options.extras_require"]["demo"].strip()
    wanted = f"keras-imagenet: demo: its page is made with Gradio; pip install '{gradio}' brings it\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", wanted)


@pytest.fixture
def gradio_client():
    return pytest.importorskip("gradio_client", reason="needs Gradio: pip install -e '.[test,demo]'")


def test_a_port_that_cannot_be_had_is_one_line(gradio_client) -> None:
    with socket.create_server((demo.HOST, 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=f"--port {port}: cannot be had on 127.0.0.1: Address already in use"):
            demo.listening(port)
    for port in (-1, 65_536):
        with pytest.raises(SettingsError, match=f"--port {port}: must be from 1 to 65,535, or 0 for a free one"):
            demo.listening(port)


@contextmanager
def shown(run: Path, temporary: Path) -> Iterator[tuple[subprocess.Popen, str]]:
    """The process that shows a page, and the page's address."""
    words = [sys.executable, "-m", "keras_imagenet", "demo", str(run), "--json"]
    environment = os.environ | {"TMPDIR": str(temporary)}
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as process:
        try:
            yield process, json.loads(process.stdout.readline())["address"]
        finally:
            process.kill()


def test_the_page_says_what_predict_says_and_leaves_nothing(gradio_client, command, digits_run, tmp_path) -> None:
    """Where pixels mean something else than they seem to: turned by Exif, of 16 bits, of a palette with a transparent colour."""
    photos, temporary = tmp_path / "photos", tmp_path / "temporary"
    photos.mkdir()
    temporary.mkdir()
    digit = np.kron(np.asarray(Image.open(digits_run / "example.png").convert("L")), np.ones((4, 4), np.uint8))
    turned = Image.fromarray(digit)
    turned.getexif()[0x0112] = 6
    turned.save(photos / "turned.jpg", exif=turned.getexif())
    Image.fromarray(digit.astype(np.uint16) * 100).save(photos / "deep.png")
    Image.fromarray(digit).convert("P").save(photos / "palette.png", transparency=0)
    (photos / "text.jpg").write_text("not an image")

    with shown(digits_run, temporary) as (process, address):
        with urllib.request.urlopen(address) as page:
            assert page.headers["Content-Security-Policy"].startswith("default-src 'self'")
        client = gradio_client.Client(address, verbose=False, analytics_enabled=False, download_files=False)
        assert client.config["analytics_enabled"] is False

        def dropped(name: str) -> dict:
            return client.predict(gradio_client.handle_file(str(photos / name)), api_name="/answer")

        for name in ("turned.jpg", "deep.png", "palette.png"):
            said = json.loads(command("predict", digits_run, photos / name, "--json").stdout)["images"][0][
                "predictions"
            ]
            found = [(row["label"], row["confidence"]) for row in dropped(name)["confidences"]]
            assert found == [(row["class"], row["probability"]) for row in said], name
        reason = command("predict", digits_run, photos / "text.jpg").stderr.strip()
        assert reason == f"keras-imagenet: {photos / dropped('text.jpg')['label']}"
        assert any(path.name == "turned.jpg" for path in temporary.rglob("*"))

        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=60)
        assert (process.returncode, rest, errors) == (130, "", "keras-imagenet: interrupted\n")
    assert list(temporary.iterdir()) == []
