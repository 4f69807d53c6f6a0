"""`run`: the daemon."""

from __future__ import annotations

import click

from aggregator import ending
from aggregator.app import App


@click.command(epilog="Examples:\n\n  aggregator run\n\n  aggregator --log-format json run")
@click.pass_obj
def run(app: App) -> None:
    """Run the daemon: poll every feed once, then each at its interval, until SIGTERM or Ctrl-C.

    On a PostgreSQL archive this is one worker; start as many as you like, on as many machines.

    SIGHUP reads feeds.yaml again. What is found goes into the archive; log lines go to stderr.
    """
    ending.listen()
    try:
        _run(app)
    except BaseException as error:
        if not ending.is_told():
            raise
        from aggregator import log

        log.configure(app.log_format)
        log.info("stopped", error=None if isinstance(error, KeyboardInterrupt) else str(error))


def _run(app: App) -> None:
    from aggregator.store import postgres

    if postgres.is_postgres(app.url):
        from aggregator import worker

        worker.run(app)
    else:
        from aggregator import daemon

        daemon.run(app)
