"""Which arrivals are the same item, which articles are the same text, which ones tell the same story."""
