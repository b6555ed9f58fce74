"""Published weights from where they are published: `timm:NAME` from its hub, `torchvision:NAME` from torch's server.

A file is there whole or not at all: it is written beside, its length and, where its name carries one, its hash are
checked, and then it gets its name. Once there, it is not asked for again. `keras.utils.get_file` knows no shortened hash
and writes under the final name, so a killed process would leave half a file that looks whole. huggingface_hub brings a
dozen packages, asks every time, and needs of a mirror more than that it serves files; torch's server it does not know.
"""

from __future__ import annotations

import hashlib
import os
import re
import urllib.error
import urllib.request
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import BinaryIO

from keras_imagenet import files
from keras_imagenet.errors import DataError, SettingsError
from keras_imagenet.models.weights import presets

PUBLISHED = re.compile(r"(timm|torchvision):(\w[\w.-]*)")
HUB = "https://huggingface.co"
"""Where timm's weights are, unless HF_ENDPOINT names a mirror."""
TORCH = "https://download.pytorch.org/models"
SECONDS = 30
"""Of silence after which a connection counts as dead."""
CHUNK = 1 << 20
ABSENT = (401, 403, 404, 410)
"""Answers for what is not there; the hub says 401 for a name that it does not have."""
HASHED = re.compile(r"-([0-9a-f]{8,64})\.pth")


def fetch(source: str) -> Path:
    """The local file of `timm:NAME` or `torchvision:NAME[.TAG]`, downloaded if it is not there yet.

    NAME is timm's with its tag (resnet50.a1_in1k), or torchvision's, whose TAG is IMAGENET1K_V1 if not given. timm's
    config.json, with the preset and the licence, comes to lie beside the file. Raises SettingsError for a name that is
    not published, DataError if it cannot be had or is damaged.
    """
    origin, name = PUBLISHED.fullmatch(source).groups()
    folder = files.weights_folder() / origin
    if origin == "torchvision":
        file = presets.torchvision_file(name)
        return _had(f"{TORCH}/{file}", folder / file, source)
    address = f"{os.environ.get('HF_ENDPOINT', HUB)}/timm/{name}/resolve/main"
    _had(f"{address}/config.json", folder / name / "config.json", source)
    return _had(f"{address}/model.safetensors", folder / name / "model.safetensors", source)


def _had(url: str, path: Path, source: str) -> Path:
    if path.is_file():
        return path
    files.sweep(path.parent)
    try:
        with urllib.request.urlopen(url, timeout=SECONDS) as response, files.appearing(path) as file:
            _copy(response, file, path.name)
            _check(file, path.name, response.headers.get("Content-Length"))
    except urllib.error.HTTPError as error:
        if error.code in ABSENT:
            raise SettingsError(f"model.weights = {source}: {url} is not there ({error.code})") from error
        raise DataError(f"model.weights = {source}: {url} answers {error.code} {error.reason}") from error
    except (OSError, HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise DataError(
            f"model.weights = {source}: {url} could not be downloaded: {reason}; try again, or give a file"
        ) from error
    return path


def _copy(response: HTTPResponse, file: BinaryIO, name: str) -> None:
    """With progress on standard error, where that is a terminal."""
    from rich.console import Console
    from rich.progress import wrap_file

    total = int(response.headers.get("Content-Length") or 0)
    console = Console(stderr=True)
    with wrap_file(
        response, total, description=name, console=console, transient=True, disable=not console.is_terminal
    ) as reader:
        while chunk := reader.read(CHUNK):
            file.write(chunk)


def _check(file: BinaryIO, name: str, length: str | None) -> None:
    """ValueError if the file, which was written to its end, has not the length that was announced, or not the hash in its name."""
    size = file.tell()
    if length is not None and size != int(length):
        raise ValueError(f"the connection ended after {size:,} of {int(length):,} bytes")
    if found := HASHED.search(name):
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        if not digest.startswith(found[1]):
            raise ValueError(f"its SHA-256 begins with {digest[: len(found[1])]}, not with {found[1]} as its name says")
