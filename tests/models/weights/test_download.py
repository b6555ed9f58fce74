"""Published weights are had whole or not at all, from a server on this machine."""

from __future__ import annotations

import hashlib
import http.server
import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from keras_imagenet.errors import DataError, SettingsError
from keras_imagenet.models import weights
from keras_imagenet.models.weights import download, presets

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "weights"
CARD = {"input_size": [3, 240, 240], "crop_pct": 0.9, "interpolation": "bilinear", "mean": [0.5] * 3, "std": [0.5] * 3}


class Server(http.server.ThreadingHTTPServer):
    """Serves a folder; `cut` names files whose connection ends half-way, `asked` counts what was asked for."""

    folder: Path
    cut: set[str]
    asked: list[str]

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        file = self.server.folder / self.path.lstrip("/")
        if "broken" in self.path:
            self.send_error(503)
        elif not file.is_file():
            self.send_error(404)
        else:
            content = file.read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: len(content) // 2] if file.name in self.server.cut else content)

    def log_message(self, *arguments) -> None:
        """Say nothing."""


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """The hub with one network, torch's server with another; the cache is empty."""
    with Server(("127.0.0.1", 0), Handler) as server:
        server.folder, server.cut, server.asked = tmp_path / "server", set(), []
        hub = server.folder / "timm" / "tiny.a1_in1k" / "resolve" / "main"
        hub.mkdir(parents=True)
        shutil.copy(GOLDEN / "timm_efficientnet.safetensors", hub / "model.safetensors")
        card = {"architecture": "tiny", "pretrained_cfg": {**CARD, "license": "cc-by-nc-4.0"}}
        (hub / "config.json").write_text(json.dumps(card))
        digest = hashlib.sha256((GOLDEN / "torchvision_efficientnet.pth").read_bytes()).hexdigest()
        stems = {"V1": f"tiny-{digest[:8]}", "V2": "tiny-00000000"}
        for stem in stems.values():
            shutil.copy(GOLDEN / "torchvision_efficientnet.pth", server.folder / f"{stem}.pth")
        row = presets._rows()[0]
        rows = [{**row, "name": "efficientnet_b0", "file": stem, "weights": tag} for tag, stem in stems.items()]
        monkeypatch.setattr(presets, "_rows", lambda: rows)
        monkeypatch.setenv("KERAS_HOME", str(tmp_path / "cache"))
        monkeypatch.setenv("HF_ENDPOINT", server.address)
        monkeypatch.setattr(download, "TORCH", server.address)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def _left(tmp_path: Path) -> list[str]:
    return [path.name for path in (tmp_path / "cache").rglob("*") if path.is_file()]


def test_timms_come_with_preset_and_licence_and_once(server: Server, tmp_path: Path) -> None:
    for _ in range(2):
        origin = weights.find("timm:tiny.a1_in1k", "efficientnet_b0")
        assert origin.origin == "timm"
        assert origin.preset["size"] == (240, 240)
        assert origin.licence == "cc-by-nc-4.0"
    assert len(server.asked) == 2
    assert sorted(_left(tmp_path)) == ["config.json", "model.safetensors"]


def test_torchvisions_are_those_of_the_hash_in_their_name(server: Server, tmp_path: Path) -> None:
    origin = weights.find(Path("torchvision:efficientnet_b0"), "efficientnet_b0")
    assert origin.origin == "torchvision"
    assert origin.location.read_bytes() == (GOLDEN / "torchvision_efficientnet.pth").read_bytes()
    with pytest.raises(DataError, match=r"SHA-256 begins with [0-9a-f]{8}, not with 00000000"):
        weights.find("torchvision:efficientnet_b0.V2", "efficientnet_b0")
    assert _left(tmp_path) == [origin.location.name]


def test_a_cut_connection_leaves_nothing_and_the_next_attempt_succeeds(server: Server, tmp_path: Path) -> None:
    server.cut = {"model.safetensors"}
    with pytest.raises(DataError, match=r"could not be downloaded: .*; try again, or give a file$"):
        weights.find("timm:tiny.a1_in1k", "efficientnet_b0")
    assert _left(tmp_path) == ["config.json"]
    server.cut = set()
    assert weights.find("timm:tiny.a1_in1k", "efficientnet_b0").preset["crop_fraction"] == 0.9


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        ("timm:tiny.a9", SettingsError, r"^model.weights = timm:tiny.a9: http.*/tiny.a9/.* is not there \(404\)$"),
        ("timm:broken", DataError, r"answers 503 Service Unavailable$"),
        ("torchvision:efficientnet_b1", SettingsError, r"did you mean torchvision:efficientnet_b0\?$"),
        ("torchvision:efficientnet_b0.V3", SettingsError, r"there are efficientnet_b0.V1, efficientnet_b0.V2$"),
        ("timm:../../etc", SettingsError, r"^model.weights = timm:../../etc: no such file$"),
    ],
)
def test_what_is_not_there_is_one_line(server: Server, tmp_path: Path, source, error, message) -> None:
    with pytest.raises(error, match=message) as raised:
        weights.find(source, "efficientnet_b0")
    assert "\n" not in str(raised.value)
    assert _left(tmp_path) == []


def test_a_dead_server_is_one_line(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(DataError, match=r"could not be downloaded: .*refused"):
        weights.find("timm:tiny.a1_in1k", "efficientnet_b0")


def test_every_file_of_torchvision_has_a_hash() -> None:
    rows = [row for row in presets._rows() if row["origin"] == "torchvision"]
    assert len(rows) > 60
    assert all(download.HASHED.search(f"{row['file']}.pth") for row in rows)
