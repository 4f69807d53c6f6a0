"""`python -m aggregator` and the console script."""

from __future__ import annotations

import gc
import sys

from aggregator import ending

_COLLECT = 50_000
"""Objects made before the collector looks for cycles. It finds next to none here, and looking takes a tenth of a start."""


def main() -> None:
    """Run the command line."""
    gc.set_threshold(_COLLECT, 20, 20)
    try:
        if sys.argv[-1] == "run":  # most likely the daemon, which ends well whenever it is told to
            ending.listen()
        from aggregator.cli import main as cli_main

        cli_main()
    except SystemExit:
        raise
    except BaseException as error:  # noqa: BLE001 - what an import raises that is broken off may be anything
        sys.exit(ending.status(error))


if __name__ == "__main__":
    main()
