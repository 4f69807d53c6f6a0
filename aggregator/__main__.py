"""`python -m aggregator` and the console script."""

from __future__ import annotations


def main() -> None:
    """Run the command line."""
    from aggregator.cli import main as cli_main

    cli_main()


if __name__ == "__main__":
    main()
