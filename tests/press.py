"""The workload server of the shared material, counting how many requests one host has at the same time.

    python tests/press.py WORKLOAD.PY [options of its `serve`]

`GET /_hosts` answers with the most at once and the number of requests, by address; everything else is the workload's.
A request counts from its first byte until its answer is handed to the kernel, so what one client sends after it has
read an answer never counts beside it.
"""

from __future__ import annotations

import importlib.util
import json
import random
import socket
import sys
from collections import Counter
from contextlib import ExitStack, suppress
from types import ModuleType

most: Counter[str] = Counter()
now: Counter[str] = Counter()
asked: Counter[str] = Counter()


def free_port(hosts: int) -> int:
    """A port that is free on 127.0.0.1 to 127.0.0.<hosts>, below those that are given to outgoing connections."""
    for port in random.SystemRandom().sample(range(11_000, 20_000), 200):
        with ExitStack() as stack, suppress(OSError):
            for host in range(1, hosts + 1):
                stack.enter_context(socket.create_server((f"127.0.0.{host}", port)))
            return port
    raise AssertionError("no port is free")


def _workload(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location("workload", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["workload"] = module
    spec.loader.exec_module(module)
    return module


def main() -> None:
    """Serve until told to stop."""
    workload = _workload(sys.argv[1])

    class Counting(workload.Http):
        """One connection; a client waits for an answer before it asks again."""

        def connection_made(self, tr) -> None:
            """A client came to this address."""
            super().connection_made(tr)
            self.host, self.busy = tr.get_extra_info("sockname")[0], False

        def data_received(self, data) -> None:
            """Another request begins unless it is the rest of one."""
            if data.startswith(b"GET /_hosts "):
                report = json.dumps({"most": most, "asked": asked}).encode()
                self.tr.write(workload.plain(200, report, "application/json"))
                return
            if not self.busy and not data.startswith(b"GET /_"):
                self.busy = True
                now[self.host] += 1
                asked[self.host] += 1
                most[self.host] = max(most[self.host], now[self.host])
            super().data_received(data)

        def send(self, out, close) -> None:
            """The answer is on its way."""
            self.done()
            super().send(out, close)

        def connection_lost(self, exc) -> None:
            """The client went away, perhaps before it was answered."""
            self.done()
            super().connection_lost(exc)

        def done(self) -> None:
            """No longer at work for this client."""
            if self.busy:
                self.busy = False
                now[self.host] -= 1

    workload.Http = Counting
    sys.argv = [sys.argv[1], "serve", *sys.argv[2:]]
    workload.main()


if __name__ == "__main__":
    main()
