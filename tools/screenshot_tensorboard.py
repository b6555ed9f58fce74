"""Picture TensorBoard as a browser shows it: python tools/screenshot_tensorboard.py RUN PICTURE.png.

Needs chromium and chromedriver (Debian: apt-get install chromium chromium-driver). RUN is what `keras-imagenet fit`
leaves. TensorBoard listens on 127.0.0.1 only, and the browser is spoken to in the WebDriver protocol, which is plain HTTP.
"""

import base64
import io
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
)
WIDTH, HEIGHT = 1500, 1312
COLORS = 128
PATIENCE = 90.0
PINNED = (
    *({"plugin": "scalars", "tag": tag} for tag in ("loss", "top1", "learning_rate", "images_per_second", "data_wait")),
    {"plugin": "images", "tag": "confusion_matrix", "runId": "defaultExperimentId/validation", "sample": 0},
    *({"plugin": "images", "tag": "images", "runId": "defaultExperimentId/train", "sample": n} for n in range(3)),
)
SHOWN = 'document.querySelectorAll("card-view").length && document.body.innerText'
BUSY = 'document.querySelectorAll("mat-spinner, .mat-mdc-progress-spinner").length'


def main(run: str, picture: str) -> None:
    """Save what the time-series page shows of a run: its scalars, then its images."""
    with tensorboard(Path(run) / "tensorboard") as address, browser(WIDTH, HEIGHT) as drive:
        open_time_series(drive, address, pinned=PINNED)
        for words in ("enable step selection", "ignore outliers"):
            click(drive, "mat-checkbox input", words)
        click(drive, "button", "close side pane")
        wait_for(lambda: evaluate(drive, BUSY) == 0, "the cards to be drawn")
        time.sleep(2)  # curves and images fade in
        save(drive("GET", "/screenshot"), Path(picture))


@contextmanager
def tensorboard(directory: Path) -> Iterator[str]:
    """TensorBoard's address while it serves a folder of event files."""
    words = [sys.executable, "-m", "tensorboard.main", "--logdir", str(directory), "--host", "127.0.0.1", "--port", "0"]
    with process([*words, "--load_fast", "false"], re.compile(r"at (http://127\.0\.0\.1:\d+/)")) as address:
        yield address


@contextmanager
def browser(width: int, height: int) -> Iterator[Callable[..., Any]]:
    """A headless Chromium of its own profile; what it yields sends a WebDriver command: (method, path, body) -> value."""
    with (
        tempfile.TemporaryDirectory() as profile,
        process(["chromedriver", "--port=0"], re.compile(r"started successfully on port (\d+)")) as port,
    ):
        flags = [*FLAGS, f"--user-data-dir={profile}", f"--window-size={width},{height}"]
        options = {"args": flags, "binary": shutil.which("chromium")}
        wanted = {"capabilities": {"alwaysMatch": {"goog:chromeOptions": options}}}
        root = f"http://127.0.0.1:{port}/session"
        session = f"{root}/{_ask('POST', root, wanted)['sessionId']}"
        try:
            yield lambda method, path, body=None: _ask(method, session + path, body)
        finally:
            _ask("DELETE", session)


@contextmanager
def process(words: list[str], ready: re.Pattern) -> Iterator[str]:
    """A running program; yields the first group of `ready` as soon as a line of its output matches."""
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as running:
        try:
            seen = []
            for line in running.stdout:
                seen.append(line)
                if found := ready.search(line):
                    yield found[1]
                    return
            raise RuntimeError(f"{words[0]} ended: {''.join(seen)}")
        finally:
            running.terminate()


def open_time_series(drive: Callable[..., Any], address: str, pinned: Sequence[Mapping[str, Any]] = ()) -> None:
    """Go to the page that shows scalars and images together, the pinned cards on top, and wait until it has cards."""
    query = urllib.parse.urlencode({"smoothing": 0, "pinnedCards": json.dumps(list(pinned))})
    drive("POST", "/url", {"url": f"{address}?{query}#timeseries"})
    wait_for(lambda: evaluate(drive, SHOWN), "TensorBoard to show a card")


def click(drive: Callable[..., Any], selector: str, words: str) -> None:
    """Click the first element whose title, label or surrounding text says `words`."""
    found = f"""[...document.querySelectorAll({selector!r})].find(element =>
        [element.title, element.ariaLabel, element.closest("mat-checkbox")?.innerText].join(" ").toLowerCase()
        .includes({words!r}))"""
    wait_for(lambda: evaluate(drive, f"!!{found}"), f"a button {words}")
    evaluate(drive, f"{found}.click()")


def evaluate(drive: Callable[..., Any], expression: str) -> Any:
    """The value of a JavaScript expression on the page."""
    return drive("POST", "/execute/sync", {"script": f"return {expression};", "args": []})


def wait_for(ready: Callable[[], Any], what: str) -> Any:
    """The first true answer; RuntimeError where there is none in time."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if answer := ready():
            return answer
        time.sleep(0.3)
    raise RuntimeError(f"waited {PATIENCE:.0f} s for {what}")


def save(encoded: str, path: Path) -> None:
    """A screenshot, base64 of a PNG, in few colours."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with Image.open(io.BytesIO(base64.b64decode(encoded))) as image:
        image.convert("RGB").quantize(COLORS).save(path, optimize=True)
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


def _ask(method: str, address: str, body: Any = None) -> Any:
    data = json.dumps(body or {}).encode() if method == "POST" else None
    request = urllib.request.Request(address, data, {"Content-Type": "application/json"}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return json.load(answer)["value"]
    except urllib.error.HTTPError as error:
        raise RuntimeError(json.load(error)["value"]["message"]) from error


if __name__ == "__main__":
    main(*sys.argv[1:])
