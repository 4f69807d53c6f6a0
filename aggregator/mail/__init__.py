"""Mail out: build a message that says exactly what was meant (`message`), hand it to a server once (`smtp`)."""

from __future__ import annotations

from aggregator.mail.message import Letter, address, build, header_text, sender, weight
from aggregator.mail.smtp import Outcome, Patience, Result, Server, ServerError, Session, server, usual_sender

__all__ = [
    "Letter",
    "Outcome",
    "Patience",
    "Result",
    "Server",
    "ServerError",
    "Session",
    "address",
    "build",
    "header_text",
    "sender",
    "server",
    "usual_sender",
    "weight",
]
