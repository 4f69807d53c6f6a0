"""Going out: conditional GETs under a guard, robots.txt, and looking for a page's feeds.

client     Fetcher: one exchange, redirects followed and counted, failures as one sentence
transport  sockets: checked when opened, bounded while they live (httpx over httpcore)
guard      which URLs and addresses may be asked
hosts      a pace per host, per route for RSSHub
pages      articles' pages, where robots.txt permits it
"""

from aggregator.fetch.client import FEED_TYPES, PAGE_TYPES, Fetcher, NetworkPolicy
from aggregator.fetch.pages import Pages

__all__ = ["FEED_TYPES", "PAGE_TYPES", "Fetcher", "NetworkPolicy", "Pages"]
