"""A small SMTP server on loopback for the tests: keeps what it is given, asks for a password where told so."""

from __future__ import annotations

import base64
import socketserver
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import cast

from tests.serving import Serving


class Postbox(Serving):
    """`with Postbox() as box:` then `box.url`, `box.mails`; `refusing` puts every recipient off."""

    def __init__(self, password: str = "") -> None:
        self.mails: list[EmailMessage] = []
        self.said: list[str] = []
        self.refusing = False
        self.password = password
        handler = type("Handler", (_Handler,), {"box": self})
        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]

    @property
    def url(self) -> str:
        """For AGGREGATOR_SMTP_URL."""
        return f"smtp://127.0.0.1:{self.port}"


class _Handler(socketserver.StreamRequestHandler):
    box: Postbox

    def handle(self) -> None:
        """One dialogue."""
        self.answer("220 postbox")
        while line := self.rfile.readline().decode().strip():
            self.box.said.append(line)
            word = line.partition(" ")[0].upper()
            if word == "EHLO":
                self.answer("250-postbox", *(["250-AUTH PLAIN"] if self.box.password else []), "250 SIZE 10000000")
            elif word == "AUTH":
                given = base64.b64decode(line.rpartition(" ")[2]).decode().rpartition("\0")[2]
                self.answer("235 welcome" if given == self.box.password else "535 that is not it")
            elif word == "RCPT" and self.box.refusing:
                self.answer("450 come again later")
            elif word == "DATA":
                self.answer("354 go ahead")
                self.take()
            elif word == "QUIT":
                self.answer("221 bye")
                return
            else:
                self.answer("250 ok")

    def take(self) -> None:
        """One mail."""
        data = b""
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            data += line
        self.box.mails.append(cast("EmailMessage", message_from_bytes(data, policy=policy.default)))
        self.answer("250 kept")

    def answer(self, *lines: str) -> None:
        """What the server says."""
        self.wfile.write("".join(f"{line}\r\n" for line in lines).encode())
