"""Which clauses an article discusses, and the sentences that show it: pure and deterministic.

    Tagger(catalogue).tags(title, text, published) -> Tags

The steps: a view without noise (`view`), its words in bits (`lexicon`), which agreement each sentence is about
(`context`), and which clauses the sentence then speaks of (here).
"""

from aggregator.tag.tagger import Explanation, Near, Tagger

__all__ = ["Explanation", "Near", "Tagger"]
