"""Serve the app: Voilà for one notebook, on this machine alone unless told otherwise, with nothing from the network."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
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
from typing import Any

from segapp.core.types import InputError

ADDRESS = "127.0.0.1"
PORT = 8866
EXTENSIONS = ["@voila-dashboards/widgets-manager8", "@jupyter-widgets/jupyterlab-manager", "anywidget"]
"""Extensions that the page loads; the others that are installed would only cost time."""

MESSAGE_BYTES = 200 << 20
"""Largest message from the page; the default of 10 MiB drops the connection at a larger upload."""

SHARE = Path(__file__).with_name("share")
"""Holds the page template without addresses of the network."""

IDLE_MINUTES = 30.0
"""After so long the kernel of a closed page ends."""

UPLOAD_MB = 256

READY_S = 60.0

HERE = ("127.0.0.1", "localhost", "::1")
"""Addresses that only this machine reaches."""


@dataclass
class Served:
    """A running server: its process, its address, and the folder with the one notebook and the log."""

    process: subprocess.Popen[bytes]
    address: str
    folder: Path
    token: str = ""

    @property
    def link(self) -> str:
        """The address to open, with the token where there is one."""
        return self.address + (f"?token={self.token}" if self.token else "")

    def stop(self) -> None:
        """End Voilà and its kernels, and remove the folder."""
        stop(self.process)
        shutil.rmtree(self.folder, ignore_errors=True)


def settings(port: int, host: str = ADDRESS, idle_minutes: float | None = None, preheat: int = 0) -> dict[str, Any]:
    """Return the configuration of Voilà, as its voila.json holds it."""
    found: dict[str, Any] = {
        "Voila": {
            "port": port,
            "ip": host,
            "open_browser": False,
            # A page that closes tells the server to end its kernel, and Voilà's page has no XSRF cookie to show: the
            # word would be refused, and every reload would leave a kernel behind. Requests from other sites are
            # refused by their origin all the same.
            "tornado_settings": {"websocket_max_message_size": MESSAGE_BYTES, "disable_check_xsrf": True},
        },
        "VoilaConfiguration": {
            "template": "segapp",
            "strip_sources": True,
            "show_tracebacks": False,
            "allow_template_override": "NO",
            "allow_theme_override": "NO",
            "file_allowlist": [],
            "extension_allowlist": EXTENSIONS,
            "preheat_kernel": preheat > 0,
        },
        # on a busy machine the page would come without the app, after Voilà's own 4 s
        "VoilaExecutor": {"iopub_timeout": 120},
        "MappingKernelManager": {
            "cull_interval": 60,
            "cull_idle_timeout": max(round(60 * (IDLE_MINUTES if idle_minutes is None else idle_minutes)), 0),
            # a page that is open keeps its kernel, unless an end was asked for
            "cull_connected": idle_minutes is not None,
        },
    }
    if preheat > 0:
        found["VoilaKernelManager"] = {"kernel_pools_config": {"default": {"pool_size": preheat}}, "fill_delay": 20}
    return found


def environment(
    gem: str | Path | None = None,
    stain: str | Path | None = None,
    sample: str | None = None,
    chip: str | Path | None = None,
) -> dict[str, str]:
    """Return the variables that tell the notebook what to open."""
    told = {"SEGAPP_GEM": gem, "SEGAPP_STAIN": stain, "SEGAPP_CHIP": chip}
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
    chip: str | Path | None = None,
    port: int = PORT,
    out: str | Path | None = None,
    host: str = ADDRESS,
    token: str | None = None,
    root: str | Path | None = None,
    idle_minutes: float | None = None,
    max_upload_mb: float = UPLOAD_MB,
    preheat: int = 0,
) -> Served:
    """Start Voilà and return once it answers.

    Parameters
    ----------
    gem, stain, sample, chip
        What to open.
    port : int
    out : path, optional
        Folder that Export writes into; the working folder by default.
    host : str
        Address to listen on. One that other machines reach needs a token.
    token : str, optional
        Word that a visitor must know; made up where `host` is reached by others, none otherwise.
    root : path, optional
        Folder that the Open dialog may read from; the working folder by default.
    idle_minutes : float, optional
        Ends the kernel of an open page, too, after so long without a word; 0 never ends any. By default that of a
        closed page ends after `IDLE_MINUTES`.
    max_upload_mb : float
        Largest upload, in millions of bytes.
    preheat : int
        Kernels that are kept ready, with the inputs opened and computed; each takes the memory of one.

    Raises
    ------
    InputError
        When the choices exclude each other, the port is taken, or Voilà does not start.
    """
    if chip is not None and (gem is not None or sample is not None):
        raise InputError("both a chip and a GEM or a sample were given; give one of them")
    if gem is not None and sample is not None:
        raise InputError("both a GEM and a sample were given; give one of them")
    if stain is not None and gem is None:
        raise InputError("a stain was given without a GEM; give the GEM of the same section too")
    folder_of_files = Path(root or ".").resolve()
    if not folder_of_files.is_dir():
        raise InputError(f"{root} is not a folder; give the one that holds your sections with --root")
    _check_port(port, host)
    if token is None:
        token = "" if host in HERE else secrets.token_urlsafe(24)
    # a folder with this one notebook in it: nothing else can be asked for
    folder = Path(tempfile.mkdtemp(prefix="segapp-"))
    page = folder / "app.ipynb"
    shutil.copyfile(notebook(), page)
    variables = {
        **os.environ,
        **environment(gem, stain, sample, chip),
        "SEGAPP_OUT": str(Path(out or ".").resolve()),
        "SEGAPP_ROOT": str(folder_of_files),
        "SEGAPP_MAX_UPLOAD": str(round(max_upload_mb * 1e6)),
        "JUPYTER_PATH": os.pathsep.join(filter(None, (str(SHARE), os.environ.get("JUPYTER_PATH")))),
    }
    chosen = settings(port, host, idle_minutes, preheat)
    chosen["Voila"]["token"] = token
    # in a file that only its owner reads: the words of a command are seen by every user of the machine
    (folder / "voila.json").write_text(json.dumps(chosen, indent=2), encoding="utf-8")
    with (folder / "voila.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "voila", str(page), "--no-browser"],
            cwd=folder,
            env=variables,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    name = socket.gethostname() if host in ("0.0.0.0", "::", "") else host
    served = Served(process, f"http://{f'[{name}]' if ':' in name else name}:{port}/", folder, token)
    try:
        _wait(process, host, port, folder / "voila.log")
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
    **choices: Any,
) -> int:
    """Serve the app until Ctrl-C; print the address, and open it where there is a display.

    Parameters
    ----------
    gem, stain : path, optional
        What to open.
    sample : str, optional
        Sample to open.
    port : int
        0 for any free one.
    browser : bool
        Open the address in the browser.
    **choices
        Host, token, root, limits and preheating: see `start`.

    Returns
    -------
    int
        0, after Ctrl-C.
    """
    # ended by a signal, Voilà and its kernels end too
    with contextlib.suppress(ValueError):  # only the main thread may say so
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    served = start(gem=gem, stain=stain, sample=sample, port=port or free_port(), **choices)
    print(f"segapp is at {served.link} (Ctrl-C ends it)", flush=True)
    if browser:
        _open_browser(served.link)
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


def _check_port(port: int, host: str) -> None:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, OverflowError):
            raise InputError(f"port {port} on {host} cannot be used; give another one with --port") from None


def _wait(process: subprocess.Popen[bytes], host: str, port: int, log: Path) -> None:
    # an address that stands for every one of the machine is asked on this one
    host = {"0.0.0.0": ADDRESS, "": ADDRESS, "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            last = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
            raise InputError(f"the app could not be served: {last[0] if last else 'Voilà ended'}")
        try:
            # a page of Voilà's own: the notebook would start a kernel that nobody looks at
            urllib.request.urlopen(f"http://{host}:{port}/voila/static/missing", timeout=2).close()
        except urllib.error.HTTPError as answer:
            answer.close()
            return
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise InputError(f"Voilà did not answer on port {port} within {READY_S:.0f} s; its log is {log}")
