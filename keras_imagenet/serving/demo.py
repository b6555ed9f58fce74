"""A page on this machine to drop a photo on, which is answered as predict answers. Needs Gradio, and no TensorFlow."""

import os
import socket
import tempfile
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from keras_imagenet.errors import SettingsError
from keras_imagenet.serving.files import Fault
from keras_imagenet.serving.given import Given

HOST = "127.0.0.1"
TOP = 5
ALONE = ("Content-Security-Policy", "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:")
"""A header by which the browser lets the page load nothing from, and send nothing to, any other place."""

Predict = Callable[[Sequence[Given]], tuple[list[dict[str, Any]], list[Fault]]]


def listening(port: int) -> socket.socket:
    """A socket that listens on 127.0.0.1, at a free port where 0 is asked for.

    Raises SettingsError where Gradio is not installed, or the port cannot be had.
    """
    if find_spec("gradio") is None:
        raise SettingsError("demo: its page is made with Gradio; pip install 'gradio>=6.31,<7' brings it")
    if not 0 <= port <= 65535:
        raise SettingsError(f"--port {port}: must be from 1 to 65,535, or 0 for a free one")
    try:
        return socket.create_server((HOST, port))
    except OSError as error:
        raise SettingsError(
            f"--port {port}: cannot be had on {HOST}: {os.strerror(error.errno)}; without --port a free one is taken"
        ) from error


def address(server: socket.socket) -> str:
    """Where a browser finds the page."""
    return f"http://{HOST}:{server.getsockname()[1]}/"


def serve(server: socket.socket, name: str, predict: Predict, ready: Callable[[], None]) -> None:
    """Answer the page's requests until a signal ends it; the photos that were dropped go with it.

    name: of the network. ready: called once, when the page is made.
    """
    with tempfile.TemporaryDirectory(prefix="keras-imagenet-demo-") as folder:
        # Gradio reads these where it is imported: it tells its makers nothing, and keeps no file anywhere else.
        os.environ.update(GRADIO_ANALYTICS_ENABLED="False", GRADIO_TEMP_DIR=folder)
        import fastapi
        import gradio
        import uvicorn

        page = gradio.mount_gradio_app(
            fastapi.FastAPI(), _page(name, predict), "/", footer_links=[], run_history=False, ssr_mode=False
        )
        # An open page holds a connection, which would be waited for.
        config = uvicorn.Config(page, log_level="critical", headers=[ALONE], timeout_graceful_shutdown=1)
        ready()
        uvicorn.Server(config).run([server])


def _page(name: str, predict: Predict) -> Any:
    """Gradio's blocks: a photo on the left, its classes on the right."""
    import gradio

    def answer(photo: dict[str, Any] | None) -> dict[str, Any]:
        return {} if photo is None else _shown(*predict([(photo["orig_name"], Path(photo["path"]))]))

    with gradio.Blocks(title=name) as page, gradio.Row():
        photo = gradio.Image(label="photo", sources=["upload"])
        classes = gradio.Label(label=name)
        # Not preprocessed, since Gradio would decode the file; nor postprocessed, which joins classes of the same name.
        photo.change(answer, photo, classes, preprocess=False, postprocess=False, api_name="answer")
    return page


def _shown(answers: Sequence[dict[str, Any]], faults: Sequence[Fault]) -> dict[str, Any]:
    """One answer, or why there is none, as Gradio's Label shows it."""
    if faults:
        return {"label": "; ".join(f"{name}: {reason}" for name, reason in faults)}
    rows = [{"label": found["class"], "confidence": found["probability"]} for found in answers[0]["predictions"]]
    return {"label": rows[0]["label"], "confidences": rows}
