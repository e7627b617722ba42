"""Serve the app: Voilà on this machine alone, for one notebook, with nothing from the network."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from segapp.core.types import InputError

ADDRESS = "127.0.0.1"
PORT = 8866
EXTENSIONS = ["@voila-dashboards/widgets-manager8", "@jupyter-widgets/jupyterlab-manager", "anywidget"]
"""Extensions that the page loads; the others that are installed would only cost time."""

MESSAGE_BYTES = 200 << 20
"""Largest message from the page; the default of 10 MiB drops the connection at a larger upload."""

SHARE = Path(__file__).with_name("share")
"""Holds the page template without addresses of the network."""

IDLE_S = 1800
"""Seconds after which the kernel of a closed page ends."""

READY_S = 60.0


@dataclass
class Served:
    """A running server: its process, its address, and the folder with the one notebook and the log."""

    process: subprocess.Popen[bytes]
    address: str
    folder: Path

    def stop(self) -> None:
        """End Voilà and its kernels, and remove the folder."""
        stop(self.process)
        shutil.rmtree(self.folder, ignore_errors=True)


def settings(port: int) -> list[str]:
    """Return the options of Voilà."""
    return [
        f"--port={port}",
        f"--Voila.ip={ADDRESS}",
        "--no-browser",
        "--Voila.open_browser=False",
        "--VoilaConfiguration.template=segapp",
        "--VoilaConfiguration.strip_sources=True",
        "--VoilaConfiguration.show_tracebacks=False",
        "--VoilaConfiguration.allow_template_override=NO",
        "--VoilaConfiguration.allow_theme_override=NO",
        "--VoilaConfiguration.file_allowlist=[]",
        f"--VoilaConfiguration.extension_allowlist={EXTENSIONS}",
        f"--Voila.tornado_settings={{'websocket_max_message_size': {MESSAGE_BYTES}}}",
        "--MappingKernelManager.cull_interval=60",
        f"--MappingKernelManager.cull_idle_timeout={IDLE_S}",
        "--MappingKernelManager.cull_connected=False",
    ]


def environment(
    gem: str | Path | None = None, stain: str | Path | None = None, sample: str | None = None
) -> dict[str, str]:
    """Return the variables that tell the notebook what to open."""
    told = {"SEGAPP_GEM": gem, "SEGAPP_STAIN": stain}
    variables = {name: str(Path(path).resolve()) for name, path in told.items() if path is not None}
    if sample is not None:
        variables["SEGAPP_SAMPLE"] = sample
    return variables


def notebook() -> Path:
    """Return the path of the notebook that shows the app."""
    beside = Path(__file__).parents[2] / "notebooks" / "app.ipynb"
    packaged = Path(str(files("segapp"))) / "notebooks" / "app.ipynb"
    for path in (beside, packaged):
        if path.is_file():
            return path
    raise InputError("app.ipynb is missing from the installation; install segapp again")


def start(
    *,
    gem: str | Path | None = None,
    stain: str | Path | None = None,
    sample: str | None = None,
    port: int = PORT,
    out: str | Path | None = None,
) -> Served:
    """Start Voilà and return once it answers.

    Raises
    ------
    InputError
        When the choices exclude each other, the port is taken, or Voilà does not start.
    """
    if gem is not None and sample is not None:
        raise InputError("both a GEM and a sample were given; give one of them")
    if stain is not None and gem is None:
        raise InputError("a stain was given without a GEM; give the GEM of the same section too")
    _check_port(port)
    # a folder with this one notebook in it: nothing else can be asked for
    folder = Path(tempfile.mkdtemp(prefix="segapp-"))
    page = folder / "app.ipynb"
    shutil.copyfile(notebook(), page)
    variables = {
        **os.environ,
        **environment(gem, stain, sample),
        "SEGAPP_OUT": str(Path(out or ".").resolve()),
        "JUPYTER_PATH": os.pathsep.join(filter(None, (str(SHARE), os.environ.get("JUPYTER_PATH")))),
    }
    with (folder / "voila.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "voila", str(page), *settings(port)],
            env=variables,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    served = Served(process, f"http://{ADDRESS}:{port}/", folder)
    try:
        _wait(process, port, folder / "voila.log")
    except BaseException:
        served.stop()
        raise
    return served


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a server."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


def serve(
    *,
    gem: str | Path | None = None,
    stain: str | Path | None = None,
    sample: str | None = None,
    port: int = PORT,
    browser: bool = True,
) -> int:
    """Serve the app until Ctrl-C; print the address, and open it where there is a display.

    Parameters
    ----------
    gem, stain : path, optional
        What to open.
    sample : str, optional
        Sample to open.
    port : int
        On 127.0.0.1; 0 for any free one.
    browser : bool
        Open the address in the browser.

    Returns
    -------
    int
        0, after Ctrl-C.
    """
    # ended by a signal, Voilà and its kernels end too
    with contextlib.suppress(ValueError):  # only the main thread may say so
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    served = start(gem=gem, stain=stain, sample=sample, port=port or free_port())
    print(f"segapp is at {served.address} (Ctrl-C ends it)", flush=True)
    if browser:
        _open_browser(served.address)
    try:
        served.process.wait()
    except KeyboardInterrupt:
        pass
    finally:
        served.stop()
    return 0


def _open_browser(address: str) -> None:
    import webbrowser

    threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()


def free_port() -> int:
    """Return a port of this machine that nobody uses."""
    with socket.socket() as probe:
        probe.bind((ADDRESS, 0))
        return int(probe.getsockname()[1])


def _check_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((ADDRESS, port))
        except (OSError, OverflowError):
            raise InputError(f"port {port} on {ADDRESS} cannot be used; give another one with --port") from None


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            last = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
            raise InputError(f"the app could not be served: {last[0] if last else 'Voilà ended'}")
        try:
            # a page of Voilà's own: the notebook would start a kernel that nobody looks at
            urllib.request.urlopen(f"http://{ADDRESS}:{port}/voila/static/missing", timeout=2).close()
        except urllib.error.HTTPError as answer:
            answer.close()
            return
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise InputError(f"Voilà did not answer on port {port} within {READY_S:.0f} s; its log is {log}")
