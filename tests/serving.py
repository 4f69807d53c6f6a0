"""A server on loopback for as long as a `with` lasts."""

from __future__ import annotations

import socketserver
import threading
from typing import Self


class Serving:
    """Its subclass makes `_server`; `with` answers in a thread of its own until the end."""

    _server: socketserver.BaseServer

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
