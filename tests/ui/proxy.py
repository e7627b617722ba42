"""A connection that can be cut: everything goes through it until then, and again when it is mended."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

PART = 1 << 16


class Proxy:
    """Passes bytes between a port of its own and another one of this machine."""

    def __init__(self, port: int) -> None:
        self.behind = port
        self.up = True
        self._pairs: set[socket.socket] = set()
        self._guard = threading.Lock()
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._door.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Drop what is open; what comes is dropped at once."""
        self.up = False
        with self._guard:
            for end in self._pairs:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        """Let bytes pass again."""
        self.up = True

    def close(self) -> None:
        """End it."""
        self.cut()
        self._door.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._door.accept()
            except OSError:
                return
            try:
                if not self.up:
                    raise OSError
                far = socket.create_connection(("127.0.0.1", self.behind))
            except OSError:
                near.close()
                continue
            with self._guard:
                self._pairs |= {near, far}
            for ends in ((near, far), (far, near)):
                threading.Thread(target=self._pass, args=ends, daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while part := source.recv(PART):
                sink.sendall(part)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        with self._guard:
            self._pairs.discard(source)
        source.close()


@contextlib.contextmanager
def proxy(port: int) -> Iterator[Proxy]:
    """Open one before a port."""
    made = Proxy(port)
    try:
        yield made
    finally:
        made.close()
