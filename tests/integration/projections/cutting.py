"""A proxy before Postgres that cuts the connection at a COMMIT, before or after the server has heard of it."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Literal

COMMIT = b"COMMIT\0"  # as the driver sends it; "ON COMMIT DELETE ROWS" is not followed by a NUL


class CuttingProxy:
    """Forwards connections to a port; `cut_at(n)` cuts at the n-th COMMIT from now on."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._lock = threading.Lock()
        self._commits_left = -1
        self._kind: Literal["before", "after"] = "before"
        self.cuts = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def cut_at(self, commit: int, kind: Literal["before", "after"]) -> None:
        """Cut at the n-th COMMIT: `before` the server hears of it, or `after` it has, so that its answer is lost."""
        with self._lock:
            self._commits_left, self._kind = commit, kind

    def close(self) -> None:
        """Accept no more."""
        self._server.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                client, _ = self._server.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
                threading.Thread(target=self._forward, args=(client, server), daemon=True).start()
                threading.Thread(target=self._answer, args=(server, client), daemon=True).start()

    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        with client, server, contextlib.suppress(OSError):
            while data := client.recv(65_536):
                if COMMIT in data and self._is_the_one():
                    client.shutdown(socket.SHUT_RDWR)
                    if self._kind == "after":
                        server.sendall(data)
                        server.shutdown(socket.SHUT_WR)  # the server reads what it was sent, then the end
                        while server.recv(65_536):
                            pass
                    else:
                        server.shutdown(socket.SHUT_RDWR)
                    return
                server.sendall(data)

    def _answer(self, server: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(65_536):
                client.sendall(data)

    def _is_the_one(self) -> bool:
        with self._lock:
            self._commits_left -= 1
            self.cuts += self._commits_left == 0  # before the client can see anything of it
            return self._commits_left == 0


@contextmanager
def cutting(target: int) -> Generator[CuttingProxy, None, None]:
    """A proxy for the block."""
    proxy = CuttingProxy(target)
    try:
        yield proxy
    finally:
        proxy.close()
