"""`python -m aggregator` and the console script."""

from __future__ import annotations

import sys

from aggregator import ending


def main() -> None:
    """Run the command line."""
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
