"""Going out: conditional GETs under a guard, robots.txt, and looking for a page's feeds.

client     Fetcher: one exchange, redirects followed and counted, failures as one sentence
transport  sockets: checked when opened, bounded while they live (httpx over httpcore)
guard      which URLs and addresses may be asked
hosts      a pace per host, per route for RSSHub
pages      articles' pages, where robots.txt permits it
"""

import sys

# httpx takes its own command line along (rich, pygments, click) where it finds one: a sixteenth of the time a poll starts in.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]  # None says that it cannot be imported

from aggregator.fetch.client import FEED_TYPES, PAGE_TYPES, Fetcher, NetworkPolicy  # noqa: E402 - after that
from aggregator.fetch.pages import Pages  # noqa: E402 - as above

__all__ = ["FEED_TYPES", "PAGE_TYPES", "Fetcher", "NetworkPolicy", "Pages"]
