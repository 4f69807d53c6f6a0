"""What systemd is told and asks (sd_notify(3), sd_watchdog_enabled(3)); nothing where it did not start us."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from contextlib import suppress


def tell(message: str, environ: Mapping[str, str] = os.environ) -> None:
    """One datagram to $NOTIFY_SOCKET: READY=1, STOPPING=1, WATCHDOG=1, STATUS=…"""
    address = environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as link:
        link.connect("\0" + address[1:] if address.startswith("@") else address)
        link.send(message.encode())


def watchdog(environ: Mapping[str, str] = os.environ) -> float | None:
    """Seconds after which systemd takes silence for death; None where it does not watch this process."""
    text, pid = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID")
    if not text.isdigit() or int(text) == 0 or (pid and pid != str(os.getpid())):
        return None
    return int(text) / 1e6
