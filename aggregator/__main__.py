"""`python -m aggregator` and the console script."""

from __future__ import annotations

import gc

_COLLECT = 50_000
"""Objects made before the collector looks for cycles. It finds next to none here, and looking takes a tenth of a start."""


def main() -> None:
    """Run the command line."""
    gc.set_threshold(_COLLECT, 20, 20)
    from aggregator.cli import main as cli_main

    cli_main()


if __name__ == "__main__":
    main()
