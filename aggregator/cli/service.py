"""`service`: the systemd unit that keeps the daemon running."""

from __future__ import annotations

import getpass
import os
import sys
from pathlib import Path

import click

from aggregator.app import App

UNIT = """\
# aggregator as a service. To install it:
{install}
[Unit]
Description=aggregator, a monitor of the news on {archive}
After=network-online.target
Wants=network-online.target
# It is started again however often it ends.
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
ExecStart={command}
ExecReload=/bin/kill -HUP $MAINPID
Restart=always
RestartSec=5
# The daemon speaks up every few seconds while its jobs make progress; silence for two minutes means it hangs.
WatchdogSec=120
# A first start may have to bring a large archive up to date.
TimeoutStartSec=infinity
TimeoutStopSec=20
KillMode=mixed
UMask=0077
MemoryHigh=512M
NoNewPrivileges=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
{rest}
[Install]
WantedBy={target}
"""

OF_SYSTEM = """\
User={user}
ProtectSystem=strict
ReadWritePaths={folder}
PrivateTmp=yes
PrivateDevices=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
# Passwords and keys, one NAME=value a line: AGGREGATOR_SMTP_URL, AGGREGATOR_SMTP_PASSWORD, AGGREGATOR_RSSHUB_KEY.
EnvironmentFile=-/etc/aggregator.env
"""

OF_USER = """\
# Passwords and keys, one NAME=value a line: AGGREGATOR_SMTP_URL, AGGREGATOR_SMTP_PASSWORD, AGGREGATOR_RSSHUB_KEY.
EnvironmentFile=-%h/.config/aggregator/env
"""

INSTALL_SYSTEM = """\
#   aggregator service | sudo tee /etc/systemd/system/aggregator.service
#   sudo systemctl daemon-reload && sudo systemctl enable --now aggregator
"""

INSTALL_USER = """\
#   aggregator service --user > ~/.config/systemd/user/aggregator.service
#   systemctl --user daemon-reload && systemctl --user enable --now aggregator && loginctl enable-linger
"""


@click.command(
    epilog="Example:\n\n  aggregator --archive /srv/news/archive.db service | sudo tee /etc/systemd/system/aggregator.service"
)
@click.option("--user", "mine", is_flag=True, help="A unit for your own systemd (systemctl --user).")
@click.pass_obj
def service(app: App, *, mine: bool) -> None:
    """Print a systemd unit that keeps the daemon running on this archive with these feeds."""
    click.echo(unit(app, mine=mine), nl=False)


def unit(app: App, *, mine: bool) -> str:
    """The unit file; paths in it are full, and written so that systemd reads them as they are."""
    database = "://" in app.url
    archive = app.url if database else str(Path(app.url).expanduser().absolute())
    feeds = str(app.feeds_path.absolute())
    words = [sys.executable, "-m", "aggregator", "--archive", archive, "--feeds", feeds, "--log-format", "json", "run"]
    folder = Path(feeds).parent if database else Path(archive).parent
    rest = OF_USER if mine else OF_SYSTEM.format(user=_user(), folder=_quoted(str(folder)))
    return UNIT.format(
        install=INSTALL_USER if mine else INSTALL_SYSTEM,
        archive=_plain("a database" if database else archive),
        command=" ".join(map(_quoted, words)),
        rest=rest,
        target="default.target" if mine else "multi-user.target",
    )


def _user() -> str:
    """Who runs it: whoever prints it, or who called sudo."""
    return os.environ.get("SUDO_USER") or getpass.getuser()


def _quoted(word: str) -> str:
    """One word of a command line or list in a unit (systemd.syntax(7)): `%` and `$` doubled, quoted where needed."""
    plain = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    plain = plain.replace("\n", "\\n").replace("\t", "\\t")
    return plain if plain and not set(plain) & set(" ;'\"\\") else f'"{plain}"'


def _plain(text: str) -> str:
    return " ".join(text.split()).replace("%", "%%")
