"""feeds.yaml and the environment: `load` reads and checks both, `edit_feeds` adds and removes feeds in the text."""

from __future__ import annotations

from aggregator.settings.edit import edit_feeds
from aggregator.settings.load import Mail, Network, Settings, load, loads

__all__ = ["Mail", "Network", "Settings", "edit_feeds", "load", "loads"]
